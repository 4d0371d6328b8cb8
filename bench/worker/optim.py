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


def learning_rates(schedule: Component, *, lr: float, epochs: int) -> list[float]:
    """Learning rate of each epoch, from ``torch.optim.lr_scheduler`` run over a placeholder.

    The training loop looks the rate up by epoch, so that resuming from a checkpoint needs no scheduler state.

    With warm-up the rate rises linearly from ``warmup_start * lr`` to ``lr`` over ``warmup_epochs`` epochs. Then step
    and multistep decay at their absolute epochs (Goyal et al. 2017, section 2.2); exponential and cosine start to decay
    when warm-up ends.

    Returns ``epochs`` floats.
    """
    optimizer = Placeholder(lr)
    scheduler = _scheduler(optimizer, schedule, epochs)
    rates = []
    for _ in range(epochs):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()  # torch warns of a scheduler that steps first
        scheduler.step()
    return rates


def _scheduler(
    optimizer: torch.optim.Optimizer, schedule: Component, epochs: int
) -> torch.optim.lr_scheduler.LRScheduler:
    options = schedule.as_dict()
    warmup, start = int(options.pop("warmup_epochs", 0)), options.pop("warmup_start", None)  # type: ignore[arg-type]
    spec = SCHEDULES[schedule.name]
    if spec.epochs_option:  # what is left to decay over
        options[spec.epochs_option] = max(1, epochs - warmup)
    if "milestones" in options:  # a tuple in a recipe, which is frozen; torch asks for a list
        options["milestones"] = list(options["milestones"])  # type: ignore[arg-type, assignment]
    if not warmup:
        return resolve_name(spec.target)(optimizer, **options)  # type: ignore[no-any-return]
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=start, total_iters=warmup)  # type: ignore[arg-type]
    decay = resolve_name(spec.target)(optimizer, **options)
    # chained: both see every epoch, and their factors multiply. Sequential: the second starts when the first ends
    if spec.absolute:
        return torch.optim.lr_scheduler.ChainedScheduler([rise, decay], optimizer)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, decay], milestones=[warmup])
