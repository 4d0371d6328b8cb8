"""Progress on standard error: counts of a run, and the plain display, one line per event, for files and pipes.

The displays observe a run (:class:`bench.scheduler.attempts.RunObserver`); they decide nothing. Terminals have
:mod:`bench.cli.live`.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from bench.catalog.labels import titles
from bench.cli.output import silence
from bench.scheduler.devices import Slot
from bench.scheduler.estimates import duration, makespan, relative_work
from bench.text import percent, printable
from bench.values import Cell, Outcome, Plan
from bench.workspace.events import EpochDone, Event, Progress, Resumed

if TYPE_CHECKING:
    from bench.cli.live import LiveProgress


@dataclass
class CellProgress:
    """What is shown of a running cell."""

    cell: Cell
    slot: Slot
    started: float
    epochs_done: int = 0
    epochs_before: int = 0
    """Epochs done by earlier attempts: this one spent no time on them."""
    share: float = 0.0
    """Share of the current epoch's steps that are done."""
    loss: float | None = None
    top1: float | None = None
    images_per_s: float | None = None

    def update(self, event: Event) -> None:
        """Take over what a journal event reports."""
        match event:
            case Resumed():
                self.epochs_done = self.epochs_before = event.epochs_done
            case Progress():
                self.share = event.share
                self.images_per_s = event.images_per_s
            case EpochDone():
                self.epochs_done, self.share = event.epoch, 0.0
                self.loss = event.metrics["train/loss"]
                self.top1 = event.metrics["test/top1"]
                self.images_per_s = event.images_per_s

    @property
    def done(self) -> float:
        """Share of the epochs to do in this run that are done, 0 to 1."""
        to_do = self.cell.recipe.epochs - self.epochs_before
        return min(1.0, (self.epochs_done + self.share - self.epochs_before) / to_do) if to_do > 0 else 1.0

    def left_s(self, now: float) -> float | None:
        """Seconds until the cell is done, at the speed so far; None before any of it is done."""
        return (now - self.started) * (1 - self.done) / self.done if self.done > 0 else None


@dataclass
class RunProgress:
    """Counts of a whole run, shared by both displays."""

    plan: Plan
    clock: Callable[[], float] = time.monotonic
    cells: dict[str, CellProgress] = field(default_factory=dict)
    done: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        self.titles = titles(self.plan.suite.cells)
        self.total = len(self.plan.to_run)
        self.began = self.clock()
        self.work = relative_work(self.plan)
        self.estimates = {task.cell.id: task.estimate_s for task in self.plan.to_run}
        self.waiting = {task.cell.id: task.cell for task in self.plan.to_run}
        """Cells that have not begun, by id."""
        self.done_work = 0.0
        """Work of the cells that ended."""
        self.measured: dict[str, tuple[float, float]] = {}
        """By model, the work of the cells that are complete, and the seconds that they took."""
        self.slots: set[str] = set()
        """Names of the slots that were seen."""

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None:  # noqa: ARG002 - the plain display shows it
        """A cell was placed."""
        self.cells[cell.id] = CellProgress(cell=cell, slot=slot, started=self.clock())
        self.waiting.pop(cell.id, None)
        self.slots.add(slot.name)

    def event(self, cell: Cell, event: Event) -> None:
        """A cell's journal grew."""
        self.cells[cell.id].update(event)

    def retried(self, cell: Cell, outcome: Outcome) -> None:  # noqa: ARG002 - the displays show it
        """An attempt was lost."""
        self.cells.pop(cell.id, None)
        self.waiting[cell.id] = cell

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """A cell ended."""
        ran = self.cells.pop(cell.id, None)
        self.done += outcome.state == "complete"
        self.failed += outcome.state == "failed"
        self.done_work += self.work[cell.id]
        if ran and outcome.state == "complete":
            work, seconds = self.measured.get(cell.model, (0.0, 0.0))
            self.measured[cell.model] = work + self.work[cell.id], seconds + self.clock() - ran.started

    def share_done(self) -> float:
        """Share of the run's work that is done, with the running cells in part, 0 to 1."""
        partly = sum(self.work[each.cell.id] * each.done for each in self.cells.values())
        return min(1.0, (self.done_work + partly) / (sum(self.work.values()) or 1.0))

    def left(self) -> tuple[float, int]:
        """Seconds until the run is done, on the slots in use, and how many cells are not in it.

        A cell counts with its own pace, else with that of its net in this run, else with the plan's estimate. One that
        has none of these is left out: other nets tell nothing of its speed.
        """
        now = self.clock()
        paces = self._paces(now)
        running = [each.left_s(now) or self._expected_s(each.cell, paces) for each in self.cells.values()]
        waiting = [self._expected_s(cell, paces) for cell in self.waiting.values()]
        unknown = sum(seconds is None for seconds in (*running, *waiting))
        begun, later = ([seconds for seconds in each if seconds is not None] for each in (running, waiting))
        return makespan(later, max(1, len(self.slots), len(begun)), busy_s=begun), unknown

    def _expected_s(self, cell: Cell, paces: Mapping[str, float]) -> float | None:
        """How long a cell takes from its start."""
        if cell.model in paces:
            return self.work[cell.id] * paces[cell.model]
        return self.estimates.get(cell.id)

    def _paces(self, now: float) -> dict[str, float]:
        """Seconds per unit of work in this run, by model; the cells that are complete count, else those that run."""
        measured = dict(self.measured)
        for each in self.cells.values():
            if each.done and each.cell.model not in self.measured:
                work, seconds = measured.get(each.cell.model, (0.0, 0.0))
                this = self.work[each.cell.id] * each.done, now - each.started
                measured[each.cell.model] = work + this[0], seconds + this[1]
        return {model: seconds / work for model, (work, seconds) in measured.items() if work}


def wall_time() -> str:
    """Date and time of day, as the lines of a log begin with them."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


class PlainProgress(RunProgress):
    """For logs: one line per event, with its time, without colours and carriage returns."""

    stream: TextIO = sys.stderr
    stamp: Callable[[], str] = staticmethod(wall_time)

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None:
        """Print where a cell was placed."""
        super().started(cell, slot, attempt)
        again = f", attempt {attempt}" if attempt > 1 else ""
        self._print(f"started {self.titles[cell.id]} on {slot.name}{again}")

    def event(self, cell: Cell, event: Event) -> None:
        """Print the results of an epoch."""
        super().event(cell, event)
        if isinstance(event, EpochDone):
            metrics = event.metrics
            self._print(
                f"{self.titles[cell.id]}: epoch {event.epoch}/{cell.recipe.epochs}, loss {metrics['train/loss']:.3f}, "
                f"top-1 {percent(metrics['test/top1'])}%, {event.images_per_s:.0f} images/s"
            )

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        """Print that a cell is tried again, and why."""
        super().retried(cell, outcome)
        self._print(retrying(self.titles[cell.id], outcome))

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """Print how a cell ended."""
        super().finished(cell, outcome)
        self._print(f"{ending(self.titles[cell.id], outcome)} ({self.done + self.failed} of {self.total})")

    def _print(self, text: str) -> None:
        try:
            print(printable(f"{self.stamp()} {text}"), file=self.stream, flush=True)
        except BrokenPipeError:  # nobody reads on, and the cells train on
            silence(self.stream)

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to restore."""


def ending(title: str, outcome: Outcome) -> str:
    """One line on how a cell ended."""
    if outcome.state == "complete":
        accuracy = "unknown" if outcome.top1 is None else f"{percent(outcome.top1)}%"
        return f"done {title}: top-1 {accuracy} in {duration(outcome.total_s or 0)}"
    kind = f" ({outcome.kind})" if outcome.kind else ""
    return printable(f"{outcome.state}{kind} {title}: {outcome.reason}")


def retrying(title: str, outcome: Outcome) -> str:
    """One line on an attempt that was lost."""
    how = "alone on its device" if outcome.kind == "oom" else "from its last checkpoint"
    return printable(f"again {title}, {how}: {outcome.reason}")


def make_progress(plan: Plan) -> "PlainProgress | LiveProgress":
    """The live display if standard error is a terminal that can redraw, else plain lines."""
    from rich.console import Console

    from bench.cli.live import LiveProgress

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(plan, console)
    return PlainProgress(plan)
