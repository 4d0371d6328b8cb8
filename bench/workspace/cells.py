"""The cells and suites below a BENCH_HOME: their outcomes, their lost attempts, their archives.

Called by the commands and by the loop of ``bench run``. The journals in these folders are the truth until a tracking
store has them; nothing here talks to a store.
"""

import json
import platform
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bench.codec import read_object
from bench.values import Cell, Outcome, Suite, from_json, to_json
from bench.workspace.events import Ended, Event, Started
from bench.workspace.files import write_atomically
from bench.workspace.journal import Journal, fold, read_cell, read_from
from bench.workspace.locks import is_held, try_lock
from bench.workspace.paths import CellFolder, cell_files, cell_names, suite_file, suite_files

RECENT = 200
"""Number of cells that estimates are made from, the latest ones."""


GONE = "its process died; it will resume from the last checkpoint"
"""Reason of an attempt that is marked lost."""


def keep_suite(suite: Suite, home: Path) -> None:
    """Write a suite next to its cells, so that status and sync need no suite file."""
    path = suite_file(home, suite.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_json(suite))


def kept_suites(home: Path) -> list[Suite]:
    """The suites that were run below a BENCH_HOME, by name, as they were when they were last run."""
    suites = []
    for path in suite_files(home):
        with suppress(OSError, ValueError):  # another version's, or damaged: the cells' folders say as much
            suites.append(from_json(Suite, path.read_text()))
    return suites


def series_name(folder: CellFolder) -> str:
    """The name of a cell's series of attempts; empty where no request can be read."""
    for attempt in reversed(folder.attempts()):
        try:
            return str(json.loads(attempt.request.read_text())["series"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # its scheduler died before the file was whole
    return ""


def result_marks(suite: Suite, home: Path) -> dict[str, int]:
    """By cell id, which result file a cell has: another result has another mark, and none has 0."""
    return {cell.id: result_mark(CellFolder.of(home, cell.id)) for cell in suite.cells}


def result_mark(folder: CellFolder) -> int:
    """The time in nanoseconds at which the cell's result was written; 0 if it has none."""
    try:
        return folder.result.stat().st_mtime_ns
    except OSError:
        return 0


def started_cells(suite: Suite, home: Path) -> list[Cell]:
    """The cells of a suite that have a folder on this machine; lists one folder, however many cells."""
    names = cell_names(home)
    return [cell for cell in suite.cells if cell.id in names]


def local_outcomes(suite: Suite, home: Path, stored: Mapping[str, Outcome] | None = None) -> dict[str, Outcome]:
    """The outcomes in the cells' folders on this machine, by cell id, without those that a store has complete."""
    done = {cell_id for cell_id, outcome in (stored or {}).items() if outcome.state == "complete"}
    cells = [cell for cell in started_cells(suite, home) if cell.id not in done]
    return {cell.id: read_outcome(cell.id, CellFolder.of(home, cell.id)) for cell in cells}


def recent_cells(home: Path) -> list[Cell]:
    """The cells of any suite that ran last on this machine, the latest first."""
    times = []
    for file in cell_files(home):
        with suppress(OSError):  # deleted meanwhile
            times.append((file.stat().st_mtime, file))
    cells = []
    for _, file in sorted(times, reverse=True)[:RECENT]:
        with suppress(OSError, ValueError):  # damaged, or of a newer version
            cells.append(from_json(Cell, file.read_text()))
    return cells


def local_history(home: Path) -> list[tuple[Cell, Outcome]]:
    """The cells of any suite that ran last on this machine, with their outcomes."""
    return [(cell, fold(cell.id, read_cell(CellFolder.of(home, cell.id)))) for cell in recent_cells(home)]


def read_outcome(cell_id: str, folder: CellFolder) -> Outcome:
    """Fold a cell's journals; an attempt that has no end and no living process was interrupted."""
    outcome = fold(cell_id, read_cell(folder))
    if outcome.state == "running" and not is_held(folder):
        return replace(outcome, state="interrupted", kind="lost", reason=GONE)
    if outcome.state == "complete" and not folder.result.exists():
        return replace(outcome, state="interrupted", reason="its result was not written")
    if outcome.state == "complete" and folder.accepted.exists():
        with suppress(OSError, ValueError):
            return replace(outcome, accepted=read_object(folder.accepted.read_text()))
    return outcome


def mark_lost(suite: Suite, home: Path) -> list[Cell]:
    """Journal the end of attempts whose processes died. Returns their cells.

    Only attempts of this host: a copied folder may belong to a run that continues elsewhere.
    """
    lost = []
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
                    continue  # on a full or read-only disk, reading the journal still gives the same outcome
                lost.append(cell)
    return lost


def _is_open(folder: CellFolder) -> bool:
    """Whether the last attempt began on this host and has no end event."""
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
    """Move earlier attempts to ``before-TIMESTAMP/``, so that a new series can start. Deletes nothing."""
    archive = folder.new_archive(f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000:06d}")
    archive.mkdir()
    stays = {*folder.archives(), *folder.locks()}
    for path in list(folder.root.iterdir()):
        if path not in stays:
            path.rename(archive / path.name)


def series_of(folder: CellFolder) -> list[CellFolder]:
    """The folders of all series of a cell, oldest first, the current one last."""
    return [*(CellFolder(path) for path in folder.archives()), folder]


def unforwarded(
    suite: Suite, stored: Mapping[str, Outcome], home: Path, *, deleted: Collection[str] = ()
) -> list[Cell]:
    """Cells whose journals must be replayed, because they have an end that the store does not have.

    Those whose run was ``deleted`` in the store stay deleted.
    """
    local = local_outcomes(suite, home, stored)

    def is_known(cell_id: str) -> bool:
        there = stored.get(cell_id)
        return there is not None and there.state == local[cell_id].state != "running"

    return [
        cell
        for cell in suite.cells
        if cell.id in local
        and local[cell.id].state not in ("missing", "running")
        and cell.id not in deleted
        and not is_known(cell.id)
    ]
