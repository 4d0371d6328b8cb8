"""Choose how many cells run at a time and in which mode each, from short trials on this machine.

Called once per run, before cells start. :mod:`bench.scheduler.modes` decides, :mod:`bench.scheduler.speeds` measures.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.scheduler.calls import call_workers_together
from bench.scheduler.devices import GPU_USABLE, Slot, gpu_memory_mb
from bench.scheduler.estimates import duration
from bench.scheduler.modes import MIN_COMPILE_S, Allocation, Measurement, allocate, candidates, fits, levels
from bench.scheduler.speeds import Ask, SpeedCache, workload
from bench.text import counted
from bench.values import Cell, Execution, Mode
from bench.workspace.requests import Trial

LIMIT = duration(Trial.limit_s or 0)
"""How long one trial may take, in words."""

MAX_TRIALS_S = 600.0
"""Seconds after which no further trial begins: on a machine that is busy or slow, trials may take minutes each."""

MIN_IMAGES = 100_000
"""Images that a cell must train on, over all its epochs, before speeds are measured for it: measuring takes a few
thousand images, which must stay a small share. A property of the cell alone and not of what is left to do or of the
machine, so that a smaller cell always gets the default mode and, with it, the same digits."""


@dataclass(frozen=True, kw_only=True)
class TuningRequest:
    """What will run, and where."""

    cells: Sequence[Cell]
    images: Mapping[str, float]
    """Training images left, by cell id."""
    train_images: Mapping[str, int]
    """Training images of each cell's data set, by cell id."""
    classes: Mapping[str, int]
    """Outputs of the head, by cell id."""
    slot: Slot
    """A slot of the kind that the cells will get, with the whole device."""
    devices: int
    """Number of devices."""
    execution: Execution
    cache: Path
    """The file of measured speeds."""
    max_concurrency: int
    """Maximum number of cells per device."""
    concurrency: int | None = None
    """Cells per device, where the user has decided it."""

    @property
    def levels(self) -> list[int]:
        """The numbers of cells per device that are compared, the default first."""
        if self.concurrency:
            return [self.concurrency]
        return levels(self.slot.device, max_concurrency=1 if self.execution.timed else self.max_concurrency)


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """A mode to measure for a group of cells."""

    group: str
    """The workload of the group."""
    cell: Cell
    """One of them: they train equally fast."""
    classes: int
    mode: Mode
    concurrency: int


def tune(
    request: TuningRequest,
    *,
    note: Callable[[str], None] = lambda _: None,
    phase: Callable[[str], None] = lambda _: None,
    ask: Ask = call_workers_together,
) -> Allocation | None:
    """Choose the concurrency and the modes, from speeds that are measured now or were before.

    Args:
        request: What will run, and where.
        note: Called with a sentence before measuring.
        phase: Called before each trial with what is measured, how far that is and how long it may take.
        ask: What runs the trials; by default worker processes.

    Returns None if there is too little to train to make measuring worth its time.
    """
    groups = group_by_workload(request)
    if not groups:
        return None
    speeds = SpeedCache(request.cache, request.slot, deterministic=request.execution.deterministic, ask=ask)
    trials = trials_for(request, groups)
    if missing := sum(not speeds.has(trial.cell, trial.classes, trial.mode, trial.concurrency) for trial in trials):
        note(
            f"measuring how {counted(len(groups), 'net')} run fastest on this machine "
            f"({counted(missing, 'short trial')}, none begins after {duration(MAX_TRIALS_S)}; kept for next time)"
        )
    deadline = time.monotonic() + MAX_TRIALS_S
    measured = run_trials(request, trials, speeds, phase, deadline)
    work = {cell.id: (request.images[cell.id], measured[group]) for group, cells in groups.items() for cell in cells}
    allocation = allocate(work, choices=request.levels, devices=request.devices)
    if allocation is None or request.execution.compile != "auto":
        return allocation
    for group, cells in groups.items():
        if time.monotonic() < deadline and (speed := try_compile(request, allocation, cells, speeds, phase)):
            measured[group].append(speed)
    return allocate(work, choices=[allocation.concurrency], devices=request.devices)


def is_large(cell: Cell, train_images: int) -> bool:
    """Whether a cell on that many training images trains long enough for speeds to be measured for it."""
    return cell.recipe.epochs * train_images >= MIN_IMAGES


def _with_batch_of_the_set(cell: Cell, train_images: int) -> Cell:
    """The cell with the batch that it would train on, which is at most the whole set."""
    size = min(cell.recipe.batch_size, train_images)
    return replace(cell, recipe=replace(cell.recipe, batch_size=size))


def group_by_workload(request: TuningRequest) -> dict[str, list[Cell]]:
    """The large cells by what decides their speed."""
    groups: dict[str, list[Cell]] = {}
    for cell in request.cells:
        if is_large(cell, request.train_images[cell.id]):
            groups.setdefault(workload(cell, request.classes[cell.id]), []).append(cell)
    return groups


def trials_for(request: TuningRequest, groups: Mapping[str, Sequence[Cell]]) -> list[PlannedTrial]:
    """Every mode that is worth measuring of every group, at every concurrency, defaults first."""
    return [
        PlannedTrial(
            group=group,
            cell=_with_batch_of_the_set(cells[0], request.train_images[cells[0].id]),
            classes=request.classes[cells[0].id],
            mode=mode,
            concurrency=concurrency,
        )
        for group, cells in groups.items()
        for concurrency in request.levels
        for mode in candidates(cells[0], shared(request.slot, concurrency), request.execution)
    ]


def run_trials(
    request: TuningRequest,
    trials: Sequence[PlannedTrial],
    speeds: SpeedCache,
    phase: Callable[[str], None],
    deadline: float,
) -> dict[str, list[Measurement]]:
    """Measure, by group; on a GPU only what fits into its memory, as the same mode alone tells.

    After ``deadline``, on the monotonic clock, no trial begins; what was not compared keeps the default.
    """
    measured: dict[str, list[Measurement]] = {trial.group: [] for trial in trials}
    for number, trial in enumerate(trials, start=1):
        if request.slot.device == "cuda":
            alone = [
                speed
                for speed in measured[trial.group]
                if speed.concurrency == 1 and _needs_equal_memory(speed.mode, trial.mode)
            ]
            total_mb = gpu_memory_mb(request.slot.visible)
            if alone and not fits(trial.concurrency, alone[0].peak_mb, total_mb):
                continue
        if not speeds.has(trial.cell, trial.classes, trial.mode, trial.concurrency):
            if time.monotonic() > deadline:
                continue
            phase(
                f"trial {number} of {len(trials)}, at most {LIMIT}: {trial.cell.model}, {trial.concurrency} at a time, "
                f"{trial.mode}"
            )
        if speed := speeds.get_or_measure(trial.cell, trial.classes, trial.mode, trial.concurrency):
            measured[trial.group].append(speed)
    return measured


def try_compile(
    request: TuningRequest,
    allocation: Allocation,
    cells: Sequence[Cell],
    speeds: SpeedCache,
    phase: Callable[[str], None],
) -> Measurement | None:
    """The speed of the longest cell of a group when it is compiled; None where it is too short to try, or fails."""
    longest = max(cells, key=lambda cell: request.images[cell.id])
    if allocation.seconds[longest.id] < MIN_COMPILE_S:
        return None
    mode = replace(allocation.modes[longest.id], compiled=True)
    cell = _with_batch_of_the_set(longest, request.train_images[longest.id])
    phase(f"trying torch.compile on {longest.model}, at most {LIMIT}")
    return speeds.get_or_measure(cell, request.classes[longest.id], mode, allocation.concurrency)


def _needs_equal_memory(mode: Mode, other: Mode) -> bool:
    """Whether two modes differ at most in their share of the machine."""
    return replace(mode, threads=other.threads, memory_share=other.memory_share) == other


def shared(slot: Slot, concurrency: int) -> Slot:
    """A slot's share where several cells run on its device."""
    return replace(
        slot,
        threads=max(1, slot.threads // concurrency),
        memory_share=1.0 if concurrency == 1 or slot.device == "cpu" else round(GPU_USABLE / concurrency, 3),
    )
