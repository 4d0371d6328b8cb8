"""Progress on standard error: on a terminal one live line per running cell, elsewhere one plain line per event.

The displays observe a run (:class:`bench.scheduler.attempts.RunObserver`); they decide nothing.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from bench.scheduler.devices import Slot
from bench.scheduler.estimates import duration
from bench.values import Cell, Outcome, Plan
from bench.workspace.events import EpochDone, Event, Progress, Resumed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


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

    def left_s(self, now: float) -> float | None:
        """Seconds until the cell is done, at the speed so far; None before any of it is done."""
        done = self.epochs_done + self.share - self.epochs_before
        return (now - self.started) * (self.cell.recipe.epochs - self.epochs_done - self.share) / done if done else None


@dataclass
class RunProgress:
    """Counts of a whole run, shared by both displays."""

    plan: Plan
    clock: Callable[[], float] = time.monotonic
    cells: dict[str, CellProgress] = field(default_factory=dict)
    done: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        self.total = len(self.plan.to_run)
        self.began = self.clock()

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None:  # noqa: ARG002 - the plain display shows it
        """A cell was placed."""
        self.cells[cell.id] = CellProgress(cell=cell, slot=slot, started=self.clock())

    def event(self, cell: Cell, event: Event) -> None:
        """A cell's journal grew."""
        self.cells[cell.id].update(event)

    def retried(self, cell: Cell, outcome: Outcome) -> None:  # noqa: ARG002 - the displays show it
        """An attempt was lost."""
        self.cells.pop(cell.id, None)

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """A cell ended."""
        self.cells.pop(cell.id, None)
        self.done += outcome.state == "complete"
        self.failed += outcome.state == "failed"

    def shares_done(self) -> float:
        """Cells done, with the running ones in part."""
        partly = sum((cell.epochs_done + cell.share) / cell.cell.recipe.epochs for cell in self.cells.values())
        return self.done + self.failed + partly

    def left_s(self) -> float | None:
        """Seconds until the run is done, at the speed so far."""
        done = self.shares_done()
        return (self.clock() - self.began) * (self.total - done) / done if done else None


class PlainProgress(RunProgress):
    """For logs: one line per event, without colours and carriage returns."""

    stream: TextIO = sys.stderr

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None:
        """Print where a cell was placed."""
        super().started(cell, slot, attempt)
        again = f", attempt {attempt}" if attempt > 1 else ""
        self._print(f"started {cell.title} on {slot.name}{again}")

    def event(self, cell: Cell, event: Event) -> None:
        """Print the results of an epoch."""
        super().event(cell, event)
        if isinstance(event, EpochDone):
            metrics = event.metrics
            self._print(
                f"{cell.title}: epoch {event.epoch}/{cell.recipe.epochs}, loss {metrics['train/loss']:.3f}, "
                f"top-1 {metrics['test/top1']:.2f}%, {event.images_per_s:.0f} images/s"
            )

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        """Print that a cell is tried again, and why."""
        super().retried(cell, outcome)
        self._print(retrying(cell, outcome))

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """Print how a cell ended."""
        super().finished(cell, outcome)
        self._print(f"{ending(cell, outcome)} ({self.done + self.failed} of {self.total})")

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to restore."""


def ending(cell: Cell, outcome: Outcome) -> str:
    """One line on how a cell ended."""
    if outcome.state == "complete":
        return f"done {cell.title}: top-1 {outcome.top1:.2f}% in {duration(outcome.total_s or 0)}"
    kind = f" ({outcome.kind})" if outcome.kind else ""
    return f"{outcome.state}{kind} {cell.title}: {outcome.reason}"


def retrying(cell: Cell, outcome: Outcome) -> str:
    """One line on an attempt that was lost."""
    how = "alone on its device" if outcome.kind == "oom" else "from its last checkpoint"
    return f"again {cell.title}, {how}: {outcome.reason}"


class LiveProgress(RunProgress):
    """For terminals: a table, redrawn four times per second; cells that end scroll by above it."""

    def __init__(self, plan: Plan, console: "Console") -> None:
        super().__init__(plan)
        from rich.live import Live

        self._console = console
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        """Let the line of an attempt that was lost scroll by."""
        super().retried(cell, outcome)
        self._console.print(retrying(cell, outcome), style="yellow", markup=False, highlight=False)

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """Let the line of a cell that ended scroll by."""
        super().finished(cell, outcome)
        style = {"complete": "green", "failed": "red"}.get(outcome.state, "yellow")
        self._console.print(ending(cell, outcome), style=style, markup=False, highlight=False)

    def _table(self) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        now = self.clock()
        table = Table(box=None, pad_edge=False)
        for name in ("cell", "epoch", "", "loss", "top-1", "images/s", "left"):
            table.add_column(name, justify="left" if name in ("cell", "") else "right", no_wrap=True)
        for each in self.cells.values():
            epochs = each.cell.recipe.epochs
            left = each.left_s(now)
            table.add_row(
                Text(each.cell.title),
                f"{min(each.epochs_done + 1, epochs)}/{epochs}",
                ProgressBar(total=epochs, completed=each.epochs_done + each.share, width=20),
                "" if each.loss is None else f"{each.loss:.3f}",
                "" if each.top1 is None else f"{each.top1:.2f}%",
                "" if each.images_per_s is None else f"{each.images_per_s:,.0f}",
                "starting" if left is None else duration(left),
            )
        left = self.left_s()
        failed = f", {self.failed} failed" if self.failed else ""
        table.add_row(
            Text(f"{self.done} of {self.total} done{failed}, {duration(now - self.began)} so far"),
            "",
            ProgressBar(total=self.total, completed=self.shares_done(), width=20),
            "",
            "",
            "",
            "" if left is None else duration(left),
        )
        return table

    def __enter__(self) -> "LiveProgress":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the table off the screen."""
        self._live.stop()


def make_progress(plan: Plan) -> PlainProgress | LiveProgress:
    """The live display if standard error is a terminal that can redraw, else plain lines."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(plan, console)
    return PlainProgress(plan)
