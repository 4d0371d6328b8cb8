"""Optimizers and learning-rate curves: torch's own classes, with the options of a recipe.

Called by :mod:`bench.worker.state` and :mod:`bench.worker.train`. The names and targets are in
:mod:`bench.catalog.training`.
"""

from collections.abc import Iterable
from pkgutil import resolve_name

import torch

from bench.catalog.training import OPTIMIZERS, SCHEDULES
from bench.values import Component
from bench.worker.compat import unwrap_dynamo_disable

unwrap_dynamo_disable(torch.optim.Optimizer)


def build_optimizer(parameters: Iterable[torch.nn.Parameter], choice: Component) -> torch.optim.Optimizer:
    """The optimizer of a recipe over the trainable parameters, in torch's fused form (one kernel per step)."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer: torch.optim.Optimizer = resolve_name(OPTIMIZERS[choice.name].target)(
        trainable, **choice.as_dict(), fused=True
    )
    return optimizer


class Placeholder(torch.optim.Optimizer):
    """Something for a scheduler to set the learning rate of.

    Its step does nothing. The schedulers warn unless it is called, and a real optimizer's step may import torch's
    compiler, see :func:`bench.worker.compat.unwrapped_step`.
    """

    def __init__(self, lr: float) -> None:
        super().__init__([torch.nn.Parameter(torch.zeros(1))], {"lr": lr})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Do nothing."""


def learning_rates(schedule: Component, *, lr: float, epochs: int, steps: int) -> list[list[float]]:
    """Learning rates of each epoch: one that holds for the whole epoch or, during warm-up, one per step.

    They come from ``torch.optim.lr_scheduler``, run over a placeholder. The training loop looks them up by epoch and
    step, so that resuming from a checkpoint needs no scheduler state.

    With warm-up the rate rises linearly, step by step, from ``warmup_start * lr`` in the first step to ``lr`` in the
    first step after ``warmup_epochs`` epochs (``LinearLR``, stepped once per iteration). Then step and multistep decay
    at their absolute epochs (Goyal et al. 2017, section 2.2); exponential and cosine start to decay when warm-up ends.

    Args:
        schedule: The decay with its options.
        lr: Learning rate that it scales.
        epochs: Epochs of training.
        steps: Steps per epoch.

    Returns ``epochs`` lists.
    """
    options = schedule.as_dict()
    warmup, start = int(options.get("warmup_epochs", 0)), float(options.get("warmup_start", 1.0))  # type: ignore[arg-type]
    rises = warmup * steps
    if SCHEDULES[schedule.name].absolute:
        decayed = _decayed(schedule, lr, epochs, epochs)
    else:
        decayed = [lr] * warmup + _decayed(schedule, lr, max(1, epochs - warmup), epochs - warmup)
    return [
        [rate * (start + (1 - start) * (epoch * steps + step) / rises) for step in range(steps)]
        if epoch < warmup
        else [rate]
        for epoch, rate in enumerate(decayed[:epochs])
    ]


def _decayed(schedule: Component, lr: float, decay_epochs: int, count: int) -> list[float]:
    """Learning rates of the first ``count`` epochs of a decay over ``decay_epochs``, without warm-up."""
    options = {key: value for key, value in schedule.as_dict().items() if not key.startswith("warmup_")}
    spec = SCHEDULES[schedule.name]
    if spec.epochs_option:
        options[spec.epochs_option] = decay_epochs
    if "milestones" in options:  # a tuple in a recipe, which is frozen; torch asks for a list
        options["milestones"] = list(options["milestones"])  # type: ignore[arg-type, assignment]
    optimizer = Placeholder(lr)
    scheduler = resolve_name(spec.target)(optimizer, **options)
    rates = []
    for _ in range(count):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()  # torch warns of a scheduler that steps first
        scheduler.step()
    return rates
