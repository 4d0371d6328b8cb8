"""Optimizers and learning-rate curves, built from the catalog's choices out of torch's own classes."""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

import torch

from bench.catalog.training import OPTIMIZERS, SCHEDULES
from bench.values import Component
from bench.worker.compat import unwrap_dynamo_disable

unwrap_dynamo_disable(torch.optim.Optimizer)


def resolve(target: str) -> Callable[..., Any]:
    """Import what a catalog target ``"module:name"`` names."""
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def build_optimizer(parameters: Iterable[torch.nn.Parameter], choice: Component) -> torch.optim.Optimizer:
    """Make the optimizer of a recipe over trainable parameters, in torch's fused form (one kernel a step)."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer: torch.optim.Optimizer = resolve(OPTIMIZERS[choice.name].target)(
        trainable, **choice.as_dict(), fused=True
    )
    return optimizer


class Placeholder(torch.optim.Optimizer):
    """What a scheduler sets the learning rate of. Its step does nothing; a real one would import torch's compiler."""

    def __init__(self, lr: float) -> None:
        super().__init__([torch.nn.Parameter(torch.zeros(1))], {"lr": lr})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Nothing is optimized."""


def learning_rates(schedule: Component, *, lr: float, epochs: int) -> list[float]:
    """Learning rate of every epoch, from ``torch.optim.lr_scheduler`` run over a placeholder.

    The curve is data from here on: the training loop reads it by epoch, so that going on from a checkpoint needs no
    scheduler state. With warm-up the rate rises linearly from ``warmup_start * lr`` to ``lr`` over ``warmup_epochs``
    epochs; step and multistep then decay at their absolute epochs (Goyal et al. 2017, section 2.2), exponential and
    cosine start to decay when warm-up ends.

    Returns ``epochs`` floats.
    """
    optimizer = Placeholder(lr)
    scheduler = _scheduler(optimizer, schedule, epochs)
    rates = []
    for _ in range(epochs):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


def _scheduler(
    optimizer: torch.optim.Optimizer, schedule: Component, epochs: int
) -> torch.optim.lr_scheduler.LRScheduler:
    options = schedule.as_dict()
    warmup, start = int(options.pop("warmup_epochs", 0)), options.pop("warmup_start", None)  # type: ignore[arg-type]
    spec = SCHEDULES[schedule.name]
    if spec.epochs_option:
        options[spec.epochs_option] = max(1, epochs - warmup)
    if "milestones" in options:
        options["milestones"] = list(options["milestones"])  # type: ignore[arg-type, assignment]
    if not warmup:
        return resolve(spec.target)(optimizer, **options)  # type: ignore[no-any-return]
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=start, total_iters=warmup)  # type: ignore[arg-type]
    decay = resolve(spec.target)(optimizer, **options)
    if spec.absolute:
        return torch.optim.lr_scheduler.ChainedScheduler([rise, decay], optimizer)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, decay], milestones=[warmup])
