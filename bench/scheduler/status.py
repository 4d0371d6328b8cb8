"""What is running and its progress, read from the journals on this machine, so that any shell can ask."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.values import Cell, Outcome, Suite
from bench.workspace.events import EpochDone, Event, Progress, Resumed, Started
from bench.workspace.journal import read_cell
from bench.workspace.paths import CellFolder


@dataclass(frozen=True, kw_only=True)
class CellStatus:
    """A cell as ``bench status`` shows it."""

    cell: Cell
    outcome: Outcome
    share: float
    """Share of its epochs that is done, 0 to 1."""
    loss: float | None
    """Training loss of the last epoch."""
    images_per_s: float | None
    left_s: float | None
    """Seconds until it is done, at the pace of its epochs so far."""
    silent_s: float | None
    """Seconds since its journal last grew."""


def suite_status(suite: Suite, outcomes: Mapping[str, Outcome], home: Path, *, now_s: float) -> list[CellStatus]:
    """The status of every cell of a suite, in its order.

    Args:
        suite: The suite.
        outcomes: By cell id.
        home: The BENCH_HOME with the journals of the running cells.
        now_s: Unix time.
    """
    statuses = []
    for cell in suite.cells:
        outcome = outcomes.get(cell.id) or Outcome(cell_id=cell.id, state="missing")
        running = outcome.state == "running"
        events = read_cell(CellFolder.of(home, cell.id), skip_progress=False) if running else ()
        statuses.append(_status(cell, outcome, events, now_s=now_s))
    return statuses


def _status(cell: Cell, outcome: Outcome, events: Iterable[Event], *, now_s: float) -> CellStatus:
    loss, speed, partly, last_ms = None, outcome.images_per_s, 0.0, None
    for event in events:
        last_ms = event.time_ms
        match event:
            case Started() | Resumed():
                partly = 0.0
            case Progress():
                speed, partly = event.images_per_s, event.share
            case EpochDone():
                loss, partly = event.metrics["train/loss"], 0.0
    epochs = cell.recipe.epochs
    done = min(outcome.epochs_done + partly, float(epochs))
    return CellStatus(
        cell=cell,
        outcome=outcome,
        share=1.0 if outcome.state == "complete" else done / epochs,
        loss=loss,
        images_per_s=speed,
        left_s=(epochs - done) * outcome.epoch_s if outcome.epoch_s and outcome.state == "running" else None,
        silent_s=max(0.0, now_s - last_ms / 1000) if last_ms is not None else None,
    )
