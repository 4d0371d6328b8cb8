"""Estimate how long cells take, from cells that ran before on this machine. Starts nothing, measures nothing."""

import heapq
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.datasets.prepared import data_key
from bench.datasets.source import dataset_problem, open_source
from bench.values import Cell, Cost, Outcome, Plan, Task


def with_estimates(plan: Plan, seconds: Mapping[str, float]) -> Plan:
    """The plan, with estimates (by cell id) for the tasks that have none."""
    tasks = [
        replace(task, estimate_s=seconds.get(task.cell.id)) if task.estimate_s is None else task for task in plan.tasks
    ]
    return replace(plan, tasks=tuple(tasks))


def predicted(plan: Plan, slots: int) -> float | None:
    """Seconds until the plan's cells are done on a number of slots; None if one has no estimate."""
    estimates = [task.estimate_s for task in plan.to_run]
    known = [seconds for seconds in estimates if seconds is not None]
    return makespan(known, slots) if len(known) == len(estimates) else None


def makespan(seconds: Iterable[float], slots: int, *, busy_s: Sequence[float] = ()) -> float:
    """Seconds until the last of some cells ends, given how long each takes.

    Cells are placed as the loop of ``bench run`` places them: the longest first, each on the slot that is free first.
    ``busy_s`` says after how many seconds slots are free that are in use now.
    """
    free_at = [*busy_s, *[0.0] * (slots - len(busy_s))]
    heapq.heapify(free_at)
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def relative_work(plan: Plan) -> dict[str, float]:
    """How much work each cell of a plan that will run is, by cell id, in one unit.

    Seconds where every cell has an estimate. Otherwise the multiply-adds of the images left to train on; a cell whose
    net was not measured counts as the mean of the others.
    """
    if all(task.estimate_s is not None for task in plan.to_run):
        return {task.cell.id: max(task.estimate_s or 0.0, 0.1) for task in plan.to_run}
    known = {task.cell.id: _multiply_adds(task) for task in plan.to_run}
    counts = [count for count in known.values() if count is not None]
    mean = statistics.mean(counts) if counts else 1.0
    return {cell_id: mean if count is None else count for cell_id, count in known.items()}


def _multiply_adds(task: Task) -> float | None:
    """Forward multiply-adds of what is left of a cell; None if its net or its data set was not measured."""
    images = _train_images(task.cell)
    if task.cost is None or images is None:
        return None
    return float(task.cost.flops) * images * max(1, task.cell.recipe.epochs - task.outcome.epochs_done)


@dataclass(frozen=True)
class SpeedHistory:
    """How fast cells ran before."""

    epoch_s: Mapping[tuple[object, ...], float]
    """Seconds per epoch, by everything that decides it."""
    rates: Mapping[tuple[str, int], Sequence[float]]
    """Forward multiply-adds per second of training of every cell that ran, by model and FLOPs per image."""
    nearest: dict[tuple[str, int], float] = field(default_factory=dict)
    """Cache of :meth:`_rate`."""

    @classmethod
    def of(cls, ran: Iterable[tuple[Cell, Outcome]]) -> "SpeedHistory":
        """Collect the speeds of cells that ran."""
        epochs: dict[tuple[object, ...], float] = {}
        rates: dict[tuple[str, int], list[float]] = {}
        for cell, outcome in ran:
            if outcome.epoch_s:
                epochs[_workload(cell)] = outcome.epoch_s
            if outcome.images_per_s and outcome.cost:
                flops = outcome.cost.flops
                rates.setdefault((cell.model, flops), []).append(outcome.images_per_s * flops)
        return cls(epochs, rates)

    def estimate(self, cell: Cell, cost: Cost | None, epochs_done: int) -> float | None:
        """Seconds for the epochs that are left; None if nothing comparable ran before.

        The same workload is scaled by its epochs. Otherwise the most similar net that ran, the same one or the one with
        the nearest FLOPs, is scaled by FLOPs, which is rough: small layers reach a smaller share of a machine's speed.
        """
        left = max(0, cell.recipe.epochs - epochs_done)
        if (known := self.epoch_s.get(_workload(cell))) is not None:
            return round(left * known, 1)
        images = _train_images(cell)
        if not self.rates or cost is None or images is None:
            return None
        return round(left * images * cost.flops / self._rate(cell.model, cost.flops), 1)

    def _rate(self, model: str, flops: int) -> float:
        """Multiply-adds per second of the most similar net, the median of its runs."""

        def distance(ran: tuple[str, int]) -> tuple[bool, float]:
            return ran[0] != model, abs(math.log(ran[1] / flops))

        if (model, flops) not in self.nearest:
            smallest = min(distance(ran) for ran in self.rates)
            similar = [rate for ran, rates in self.rates.items() if distance(ran) == smallest for rate in rates]
            self.nearest[model, flops] = statistics.median(similar)
        return self.nearest[model, flops]


def _train_images(cell: Cell) -> int | None:
    """Training images per epoch, as published; None for a folder, which has not been counted."""
    if dataset_problem(cell.dataset) or (images := (source := open_source(cell.dataset)).train_images) is None:
        return None
    limit = cell.recipe.max_images_per_class
    return images if limit is None else min(images, limit * source.num_classes)


def _workload(cell: Cell) -> tuple[object, ...]:
    recipe = cell.recipe
    return (cell.model, *data_key(cell), recipe.stem, recipe.batch_size, recipe.precision)


def duration(seconds: float) -> str:
    """A duration as people say it: ``45s``, ``3m20s``, ``2h05m``, ``3d04h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"
