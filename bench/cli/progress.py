"""Progress on standard error: counts of a run, and the plain display, one line per event, for files and pipes.

The displays observe a run (:class:`bench.scheduler.attempts.RunObserver`); they decide nothing. Terminals have
:mod:`bench.cli.live`.
"""

import sys
import time
from collections.abc import Callable
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
        self.estimated = all(task.estimate_s is not None for task in self.plan.to_run)
        """Whether the work is in seconds."""
        self.waiting = dict(self.work)
        """Work of the cells that have not begun, by cell id."""
        self.slots: set[str] = set()
        """Names of the slots that were seen."""
        self.done_work = self.spent_s = 0.0
        """Work of the cells that ended, and the seconds that they took."""

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
        self.waiting[cell.id] = self.work[cell.id]

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """A cell ended."""
        ran = self.cells.pop(cell.id, None)
        self.done += outcome.state == "complete"
        self.failed += outcome.state == "failed"
        self.done_work += self.work[cell.id]
        if ran and outcome.state == "complete":
            self.spent_s += self.clock() - ran.started

    def share_done(self) -> float:
        """Share of the run's work that is done, with the running cells in part, 0 to 1."""
        partly = sum(self.work[each.cell.id] * each.done for each in self.cells.values())
        return min(1.0, (self.done_work + partly) / (sum(self.work.values()) or 1.0))

    def left_s(self) -> float | None:
        """Seconds until the run is done: each cell by its work, at the speed so far, on the slots in use.

        None while nothing is done and the plan has no estimates.
        """
        now = self.clock()
        pace = self._pace(now)
        if pace is None:
            return None
        running = [each.left_s(now) for each in self.cells.values()]
        begun = [
            self.work[each.cell.id] * pace if left is None else left
            for each, left in zip(self.cells.values(), running, strict=True)
        ]
        return makespan((work * pace for work in self.waiting.values()), max(1, len(self.slots)), busy_s=begun)

    def _pace(self, now: float) -> float | None:
        """Seconds per unit of work, of all that this run has done; None before it has done any."""
        partly = [
            (self.work[each.cell.id] * each.done, now - each.started) for each in self.cells.values() if each.done
        ]
        work = sum(done for done, _ in partly) + (self.done_work if self.spent_s else 0.0)
        if not work:
            return 1.0 if self.estimated else None
        return (sum(seconds for _, seconds in partly) + self.spent_s) / work


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
