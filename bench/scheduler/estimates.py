"""Estimate how long cells take, from cells that ran before on this machine. Starts nothing, measures nothing."""

import heapq
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.datasets.prepared import data_key
from bench.datasets.source import dataset_problem, open_source
from bench.values import Cell, Cost, Outcome, Plan, Task

SIMILAR = 1.5
"""Largest ratio of the FLOPs per image of two data sets from one of which the time on the other is estimated."""


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
    if task.cost is None or task.cost.flops is None or images is None:
        return None
    return float(task.cost.flops) * images * max(1, task.cell.recipe.epochs - task.outcome.epochs_done)


@dataclass(frozen=True)
class Pace:
    """How fast a cell ran."""

    epoch_s: float
    start_s: float
    """Seconds besides its epochs: data, kernels that are chosen, files that are written."""
    flops: int
    """Of its net, per image; 0: not measured."""
    images: int | None
    """Training images per epoch; None for a folder, which has not been counted."""


@dataclass(frozen=True)
class SpeedHistory:
    """How fast cells ran before."""

    equal: Mapping[tuple[object, ...], Pace]
    """By everything that decides the speed."""
    alike: Mapping[tuple[object, ...], Sequence[Pace]]
    """By the same without the data set: the net, its stem, the batch and the precision."""

    @classmethod
    def of(cls, ran: Iterable[tuple[Cell, Outcome]]) -> "SpeedHistory":
        """Collect the speeds of cells that ran; of equal ones the last counts."""
        equal: dict[tuple[object, ...], Pace] = {}
        alike: dict[tuple[object, ...], list[Pace]] = {}
        for cell, outcome in ran:
            if outcome.epoch_s:
                flops = (outcome.cost.flops or 0) if outcome.cost else 0
                pace = Pace(outcome.epoch_s, _start_s(outcome), flops, _train_images(cell))
                equal[_workload(cell)] = pace
                alike.setdefault(_net(cell), []).append(pace)
        return cls(equal, alike)

    def estimate(self, cell: Cell, cost: Cost | None, epochs_done: int) -> float | None:
        """Seconds for the epochs that are left; None if nothing comparable ran before.

        The same workload is scaled by its epochs. The same net on another data set is scaled by its images where both
        take about as much work per image. Another net tells nothing: of two nets with equal FLOPs, one may take ten
        times as long.
        """
        left = max(0, cell.recipe.epochs - epochs_done)
        if left == 0:
            return 0.0
        if (pace := self.equal.get(_workload(cell))) is not None:
            return round(pace.start_s + left * pace.epoch_s, 1)
        images = _train_images(cell)
        if cost is None or cost.flops is None or not images:
            return None
        similar = [
            pace.start_s + left * pace.epoch_s * images / pace.images
            for pace in self.alike.get(_net(cell), ())
            if pace.images and pace.flops and 1 / SIMILAR <= cost.flops / pace.flops <= SIMILAR
        ]
        return round(statistics.median(similar), 1) if similar else None


def _start_s(outcome: Outcome) -> float:
    """Seconds that a cell took besides its epochs; 0 where attempts that were cut off hide it."""
    if outcome.total_s is None or not outcome.epoch_s or outcome.attempts > 1:
        return 0.0
    return max(0.0, outcome.total_s - outcome.epochs_done * outcome.epoch_s)


def _train_images(cell: Cell) -> int | None:
    """Training images per epoch, as published; None for a folder, which has not been counted."""
    if dataset_problem(cell.dataset) or (images := (source := open_source(cell.dataset)).train_images) is None:
        return None
    limit = cell.recipe.max_images_per_class
    return images if limit is None else min(images, limit * source.num_classes)


def _workload(cell: Cell) -> tuple[object, ...]:
    return (*_net(cell), *data_key(cell))


def _net(cell: Cell) -> tuple[object, ...]:
    recipe = cell.recipe
    return (cell.model, recipe.stem, recipe.batch_size, recipe.precision)


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
