"""One attempt at a cell: how it is started, what is remembered of it while it runs, and how its end is classified.

Called by :mod:`bench.scheduler.loop`. Never decides which cell runs next, and never trains. It is longer than other
files because it documents every field of a run's context and of a running attempt.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from filelock import FileLock

from bench.datasets.prepared import data_key
from bench.scheduler.devices import Slot
from bench.scheduler.launcher import Handle, Launcher
from bench.scheduler.modes import default_mode
from bench.values import Attempt, Cell, DataKey, Execution, Mode, Outcome, Task, from_json, to_json
from bench.workspace.cells import archive_attempts, has_end, series_of
from bench.workspace.events import Event
from bench.workspace.files import write_atomically
from bench.workspace.fingerprint import changes, fingerprint
from bench.workspace.journal import fold, read_cell, read_from
from bench.workspace.paths import CellFolder

HANG_S = 900.0
"""Kill a worker whose journal has not changed for this long (seconds). No step, test batch or data read should take
that long on adequate hardware."""


MAX_LOST_ATTEMPTS = 3
"""Attempts in a row that may be lost without getting any further before a cell is given up."""


EXIT_DISK = 3
"""Exit code of a worker whose folder cannot be written."""


class Forwarding(Protocol):
    """What the loop needs of the forwarder."""

    def watch(self, cell: Cell, folder: CellFolder) -> None:
        """Follow a cell's journals: they begin to grow, or have an end now."""


class RunObserver(Protocol):
    """What shows a run's progress to people."""

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None:
        """A cell was placed on a slot."""

    def event(self, cell: Cell, event: Event) -> None:
        """A cell's journal grew."""

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        """An attempt was lost, and the cell will be tried again."""

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """A cell ended, well or not."""


class SilentObserver:
    """Shows nothing: for runs from Python."""

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None:
        """A cell was placed."""

    def event(self, cell: Cell, event: Event) -> None:
        """A cell's journal grew."""

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        """An attempt was lost."""

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """A cell ended."""


@dataclass(kw_only=True)
class RunContext:
    """Where and how cells run."""

    suite: str
    """Name of the suite that they are run for."""
    launcher: Launcher
    slots: list[Slot]
    forwarder: Forwarding
    observer: RunObserver
    home: Path
    """The BENCH_HOME."""
    data_home: Path
    digests: Mapping[DataKey, str] = field(default_factory=dict)
    """Digest of the data that will be trained on, by :func:`bench.datasets.prepared.data_key`."""
    data_folders: Mapping[DataKey, Path] = field(default_factory=dict)
    """Folder of the prepared data, by the same key."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Tags that say who runs the cells; see :class:`bench.values.Attempt`."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What the runs in MLflow are called, by cell id."""
    modes: Mapping[str, Mode] = field(default_factory=dict)
    """Measured or kept modes, by cell id; the other cells get :func:`bench.scheduler.modes.default_mode`."""
    execution: Execution = field(default_factory=Execution)
    """The suite's execution settings."""
    results: Mapping[str, int] = field(default_factory=dict)
    """By cell id: which result file was there when the command began, see
    :func:`bench.workspace.cells.result_mark`."""
    keep_weights: Literal["last", "none"] = "last"
    fail_fast: bool = False
    """Stop at the first failed cell."""
    hang_s: float = HANG_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(kw_only=True)
class RunningAttempt:
    """An attempt on a slot."""

    task: Task
    slot: Slot
    handle: Handle
    folder: CellFolder
    attempt: int
    """Its number."""
    lock: FileLock
    alone: bool
    """It shares its device with no other cell."""
    alive_at: float
    """Clock at which the journal was last seen to change."""
    read: int = 0
    """Bytes of the attempt's journal that were passed to the observer."""
    heartbeat: tuple[int, int] = (0, 0)
    """Size and modification time of the journal when it was last looked at."""
    threads: int = 1
    """CPU threads that it computes with."""
    hung_at: float | None = None
    """Clock at which it was asked to exit because it seemed to hang."""

    @property
    def cell(self) -> Cell:
        """What runs."""
        return self.task.cell

    @property
    def journal(self) -> Path:
        """The attempt's journal."""
        return self.folder.attempt(self.attempt).journal

    @property
    def log(self) -> Path:
        """The worker's log."""
        return self.folder.attempt(self.attempt).log

    def hangs(self, now: float, hang_s: float) -> bool:
        """Look at the journal; whether it has not changed for ``hang_s`` seconds."""
        heartbeat = _heartbeat(self.journal)
        if heartbeat != self.heartbeat:
            self.heartbeat, self.alive_at = heartbeat, now
        return now - self.alive_at > hang_s


def _heartbeat(journal: Path) -> tuple[int, int]:
    try:
        stat = journal.stat()
    except OSError:
        return (0, 0)
    return (stat.st_size, stat.st_mtime_ns)


def start(
    task: Task, slot: Slot, folder: CellFolder, lock: FileLock, context: RunContext, *, alone: bool = False
) -> RunningAttempt:
    """Start the next attempt at a cell, in the series that it resumes or in a new one.

    Args:
        task: The cell.
        slot: Where it runs.
        folder: The cell's folder.
        lock: The cell's lock, held by this run.
        context: How cells run.
        alone: It shares its device with no other cell, and may use all of its memory.

    Raises:
        OSError: The folder cannot be written.
    """
    if folder.attempts() and (begins_anew(task.outcome) or has_changed(folder, task.cell, slot, context)):
        archive_attempts(folder)
    attempt = next_attempt(task, slot, folder, context, alone=alone)
    write_atomically(folder.cell, to_json(task.cell))
    handle = context.launcher.start(attempt, slot)
    context.forwarder.watch(task.cell, folder)
    context.observer.started(task.cell, slot, attempt.number)
    return RunningAttempt(
        task=task,
        slot=slot,
        handle=handle,
        folder=folder,
        attempt=attempt.number,
        lock=lock,
        alone=alone,
        alive_at=context.clock(),
        threads=attempt.mode.threads,
    )


def begins_anew(outcome: Outcome) -> bool:
    """Whether a cell that will run must not take the result that is here: it is replaced, or its run was deleted."""
    return outcome.state == "complete" or outcome.kind == "deleted"


def next_attempt(task: Task, slot: Slot, folder: CellFolder, context: RunContext, *, alone: bool) -> Attempt:
    """The request of the next attempt, in the series of the one before it if there is one."""
    before = last_request(folder)
    return Attempt(
        cell=task.cell,
        number=max((attempt.number for attempt in folder.attempts()), default=0) + 1,
        folder=str(folder.root),
        data_home=str(context.data_home),
        data_folder=str(context.data_folders.get(data_key(task.cell), "")),
        device=slot.device,
        mode=decide_mode(task.cell, slot, folder, before, context, alone=alone),
        suite=context.suite,
        series=before.series if before else uuid.uuid4().hex[:16],
        created_ms=before.created_ms if before else begin_of_series(folder),
        cost=task.cost,
        failure=task.failure,
        deterministic=before.deterministic if before else context.execution.deterministic,
        keep_weights=context.keep_weights,
        context=context.context,
        title=context.titles.get(task.cell.id, ""),
    )


def begin_of_series(folder: CellFolder) -> int:
    """Unix time in milliseconds for a series that begins now: after all earlier ones, whatever the clock said then."""
    earlier = [request.created_ms for archive in folder.archives() if (request := last_request(CellFolder(archive)))]
    return max([time.time_ns() // 1_000_000, *(created_ms + 1 for created_ms in earlier)])


def decide_mode(
    cell: Cell, slot: Slot, folder: CellFolder, before: Attempt | None, context: RunContext, *, alone: bool
) -> Mode:
    """The mode of an attempt: that of the checkpoint that it resumes, else the run's choice, else the default."""
    if before and folder.checkpoints():
        mode = before.mode  # another mode would sum in another order, to other bits than the attempt that is resumed
    else:
        mode = context.modes.get(cell.id) or default_mode(cell, slot, context.execution)
    return replace(mode, memory_share=1.0 if alone else slot.memory_share)


def earlier_mode(folder: CellFolder, outcome: Outcome, device: str) -> Mode | None:
    """The mode of the last attempt at a cell, of this series or of one before, on a kind of device.

    Read from the cell's folder, else from what the store has of it. None if the cell has not run on this kind of
    device, or if it is not known.
    """
    for series in reversed(series_of(folder)):
        if request := last_request(series):
            return request.mode if request.device == device else None
    return Mode.from_words(outcome.mode) if outcome.fingerprint.get("device") == device else None


def has_changed(folder: CellFolder, cell: Cell, slot: Slot, context: RunContext) -> bool:
    """Whether the cell's attempts so far were made under another fingerprint, so that none of them can be resumed."""
    data = context.digests.get(data_key(cell), "")
    recorded = fold(cell.id, read_cell(folder)).fingerprint
    return bool(changes(recorded, fingerprint(cell, data=data, device=slot.device)))


def last_request(folder: CellFolder) -> Attempt | None:
    """What the last attempt was asked to do; None before the first."""
    for attempt in reversed(folder.attempts()):
        try:
            return from_json(Attempt, attempt.request.read_text())
        except (OSError, ValueError):
            continue  # its scheduler died before the file was whole
    return None


def classify_exit(
    running: RunningAttempt, code: int, journaled: Outcome, *, shutting_down: bool, hang_s: float
) -> Outcome:
    """Classify a finished attempt: complete if its result file exists, else what its journal says, else lost.

    Args:
        running: The attempt.
        code: Exit code of its worker, negative for a signal.
        journaled: What the cell's journals say.
        shutting_down: It was asked to exit.
        hang_s: How long its journal may stay unchanged, in seconds.
    """
    if journaled.state == "complete" and running.folder.result.exists():
        return journaled
    if journaled.state in ("failed", "interrupted") and has_end(read_from(running.journal)[0]):
        return journaled
    log = running.log
    lost = replace(journaled, state="failed", kind="lost", attempts=running.attempt)
    if running.hung_at is not None:
        reason = f"it showed no sign of life for {hang_s:g} s and was killed (log: {log})"
        return replace(lost, kind="timeout", reason=reason)
    if shutting_down:
        reason = f"it was killed before it could save and will resume from its last checkpoint (log: {log})"
        return replace(lost, state="interrupted", kind="", reason=reason)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code} and no result"
    return replace(lost, reason=f"its worker {how} (log: {log})")


def last_line(log: Path) -> str:
    """The last line of a worker's log; empty if it cannot be read."""
    try:
        return (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
    except OSError:
        return ""
