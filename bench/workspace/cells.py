"""What ran on this machine: the folders of cells below BENCH_HOME, read, kept and settled.

Called by the commands and by the loop of ``bench run``. The journals in these folders are the truth until a tracking
store has them; nothing here talks to a store.
"""

import csv
import io
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bench.values import Cell, Outcome, Suite, from_json, to_json
from bench.workspace.events import Ended, EpochDone, Event, Started
from bench.workspace.files import write_atomically
from bench.workspace.journal import Journal, fold, read_cell, read_from
from bench.workspace.locks import is_held, try_lock
from bench.workspace.paths import CellFolder, cell_names, suite_file, suite_files

RECENT = 200
"""Cells that estimates are made from."""


GONE = "its process died; it will resume from the last checkpoint"
"""Reason of an attempt that is marked lost."""


def keep_suite(suite: Suite, home: Path) -> None:
    """Keep a suite beside its cells, so that status and sync need no suite file."""
    path = suite_file(home, suite.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_json(suite))


def kept_suites(home: Path) -> list[Suite]:
    """The suites that were run below a BENCH_HOME, by name, as they were when they were last run."""
    found = []
    for path in suite_files(home):
        with suppress(OSError, ValueError):  # another version's, or damaged: the cells' folders say as much
            found.append(from_json(Suite, path.read_text()))
    return found


def started_cells(suite: Suite, home: Path) -> list[Cell]:
    """The cells of a suite that have a folder on this machine: one look at the disk, however many cells there are."""
    there = cell_names(home)
    return [cell for cell in suite.cells if cell.id in there]


def local_outcomes(suite: Suite, home: Path, stored: Mapping[str, Outcome] | None = None) -> dict[str, Outcome]:
    """What the cells' folders on this machine say, but for cells of which a store has the complete result."""
    done = {cell_id for cell_id, outcome in (stored or {}).items() if outcome.state == "complete"}
    cells = [cell for cell in started_cells(suite, home) if cell.id not in done]
    return {cell.id: read_outcome(cell.id, CellFolder.of(home, cell.id)) for cell in cells}


def local_history(home: Path) -> list[tuple[Cell, Outcome]]:
    """The cells that ran most lately on this machine, of whatever suite, with what their journals say."""
    files = sorted((home / "cells").glob("*/cell.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    found = []
    for file in files[:RECENT]:
        with suppress(OSError, ValueError):  # damaged: one estimate fewer
            cell = from_json(Cell, file.read_text())
            found.append((cell, fold(cell.id, read_cell(CellFolder(file.parent)))))
    return found


def curves(suite: Suite, home: Path) -> str:
    """The metrics of every epoch of every cell that ran on this machine, as CSV."""
    stream = io.StringIO()
    names = ("train/loss", "train/lr", "test/loss", "test/top1", "test/top5")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("cell", "model", "dataset", "schedule", "seed", "epoch", *names))
    for cell in suite.cells:
        axes = (cell.id, cell.model, cell.dataset, cell.schedule_name, cell.seed)
        epochs = {
            event.epoch: event for event in read_cell(CellFolder.of(home, cell.id)) if isinstance(event, EpochDone)
        }
        for epoch, event in sorted(epochs.items()):
            writer.writerow((*axes, epoch, *(event.metrics[name] for name in names)))
    return stream.getvalue()


def read_outcome(cell_id: str, folder: CellFolder) -> Outcome:
    """Fold a cell's journals; an attempt that has no end and that nobody runs any more was interrupted."""
    outcome = fold(cell_id, read_cell(folder))
    if outcome.state == "running" and not is_held(folder):
        return replace(outcome, state="interrupted", kind="lost", reason=GONE)
    if outcome.state == "complete" and not folder.result.exists():
        return replace(outcome, state="interrupted", reason="its result was not written")
    return outcome


def mark_lost(suite: Suite, home: Path) -> list[Cell]:
    """Write the end of attempts whose processes are gone into their journals. Returns their cells.

    Only attempts of this host: a folder that was copied here may belong to a run that goes on elsewhere.
    """
    settled = []
    for cell in started_cells(suite, home):
        folder = CellFolder.of(home, cell.id)
        if folder.result.exists() or not _is_open(folder):
            continue
        with try_lock(folder.lock) as free, try_lock(folder.worker_lock) as idle:
            if free and idle and _is_open(folder):  # it may have ended since
                try:
                    outcome = fold(cell.id, read_cell(folder))
                    write_end(folder, replace(outcome, state="interrupted", kind="lost", reason=GONE))
                except OSError:
                    continue  # on a full or read-only disk reading still tells the same
                settled.append(cell)
    return settled


def _is_open(folder: CellFolder) -> bool:
    """Whether the last attempt began on this host and has no end."""
    attempts = folder.attempts()
    if not attempts:
        return False
    events, _ = read_from(attempts[-1].journal, skip_progress=True)
    started = [event for event in events if isinstance(event, Started)]
    here = bool(started) and started[-1].context.get("bench.host") == platform.node()
    return here and not has_end(events)


def has_end(events: list[Event]) -> bool:
    """Whether an attempt's journal says how it ended."""
    return any(isinstance(event, Ended) for event in events)


def write_end(folder: CellFolder, outcome: Outcome) -> None:
    """Journal the end of the last attempt for a worker that could not.

    Raises:
        OSError: The disk is full or read-only.
    """
    attempt = folder.attempts()[-1]
    with Journal(attempt.journal) as journal:
        journal.write(
            Ended(
                attempt=max(attempt.number, outcome.attempts),
                state=outcome.state,
                kind=outcome.kind,
                reason=outcome.reason,
            )
        )


def archive_attempts(folder: CellFolder) -> None:
    """Make room for another series of attempts: the old one is kept whole in a ``before-`` folder, with its results."""
    kept = folder.root / f"before-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000:06d}"
    kept.mkdir()
    for path in list(folder.root.iterdir()):
        if path != kept and path.suffix != ".lock" and path.name != "lock" and not path.name.startswith("before-"):
            path.rename(kept / path.name)


def series_of(folder: CellFolder) -> list[CellFolder]:
    """The folders of all series of a cell, oldest first, the current one last."""
    return [*(CellFolder(path) for path in sorted(folder.root.glob("before-*"))), folder]


def unforwarded(suite: Suite, stored: Mapping[str, Outcome], home: Path) -> list[Cell]:
    """Cells whose folder knows of an end that the store does not, so that their journals are replayed."""
    local = local_outcomes(suite, home, stored)

    def is_known(cell_id: str) -> bool:
        there = stored.get(cell_id)
        return there is not None and there.state == local[cell_id].state != "running"

    return [
        cell
        for cell in suite.cells
        if cell.id in local and local[cell.id].state not in ("missing", "running") and not is_known(cell.id)
    ]
