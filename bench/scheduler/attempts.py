"""scheduler.attempts."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from filelock import FileLock, Timeout

from bench.datasets.prepared import data_key
from bench.scheduler.devices import Slot
from bench.scheduler.launcher import Handle, Launcher
from bench.scheduler.modes import default_mode
from bench.values import Attempt, Cell, DataKey, Execution, Mode, Outcome, Task, to_json
from bench.workspace.cells import archive_attempts, has_end
from bench.workspace.events import Event
from bench.workspace.files import write_atomically
from bench.workspace.fingerprint import changes, fingerprint
from bench.workspace.journal import fold, read_cell, read_from
from bench.workspace.locks import try_lock
from bench.workspace.paths import CellFolder

HANG_S = 900.0
"""A worker that shows no sign of life for this long is ended; a step, a batch of test images, or reading the data may
take that long on no machine that is fit for the cell."""


MAX_LOST_ATTEMPTS = 3
"""Attempts in a row that may be lost without getting any further before a cell is given up."""


EXIT_DISK = 3
"""What a worker leaves when its folder cannot be written."""


class Forwarding(Protocol):
    """What the loop needs of the forwarder: to be told of cells whose journals grow."""

    def watch(self, cell: Cell, folder: CellFolder) -> None:
        """A cell's journal begins to grow, or has an end now."""


class RunObserver(Protocol):
    """What shows a run's progress to people."""

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None:
        """A cell was placed."""

    def event(self, cell: Cell, event: Event) -> None:
        """A cell's journal grew."""

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        """An attempt was lost, and the cell will be tried again."""

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """A cell ended, well or not."""


@dataclass
class RetryState:
    """What was tried of a cell in this run."""

    checkpoint: str = ""
    """The newest checkpoint that a lost attempt has left."""
    epochs_done: int = -1
    """Most epochs that a lost attempt has done."""
    lost: int = 0
    """Attempts in a row that were lost without getting further than that."""
    out_of_memory: bool = False
    """It ran out of memory once, and runs alone on its device from then on."""


@dataclass(kw_only=True)
class RunningAttempt:
    """A cell on a slot."""

    task: Task
    slot: Slot
    handle: Handle
    folder: CellFolder
    attempt: int
    lock: FileLock
    alive_at: float
    """Clock at which the journal was last seen to change."""
    read: int = 0
    """Bytes of the attempt's journal that have been shown."""
    sign: tuple[int, int] = (0, 0)
    """Size and time of the journal when it was last looked at."""
    hung_at: float | None = None
    """Clock at which it was told to leave for showing no sign of life."""

    @property
    def cell(self) -> Cell:
        """What runs."""
        return self.task.cell

    @property
    def journal(self) -> Path:
        """The attempt's journal."""
        return self.folder.attempt(self.attempt).journal


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
    data_home: Path
    digests: Mapping[DataKey, str] = field(default_factory=dict)
    """Digest of the data that will be trained on, by :func:`bench.datasets.prepared.data_key`."""
    data_folders: Mapping[DataKey, Path] = field(default_factory=dict)
    """Where it lies ready."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Tags that say who runs the cells; see :class:`bench.values.Attempt`."""
    modes: Mapping[str, Mode] = field(default_factory=dict)
    """How cells are computed, by cell id; the others by :func:`bench.scheduler.modes.default_mode`."""
    execution: Execution = field(default_factory=Execution)
    """What the suite says of how cells are run."""
    keep_weights: Literal["last", "none"] = "last"
    fail_fast: bool = False
    hang_s: float = HANG_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def mode(self, cell: Cell, slot: Slot) -> Mode:
        """How a cell is computed on a slot."""
        return self.modes.get(cell.id) or default_mode(cell, slot, self.execution)


def _heartbeat(journal: Path) -> tuple[int, int]:
    try:
        stat = journal.stat()
    except OSError:
        return (0, 0)
    return (stat.st_size, stat.st_mtime_ns)


def last_line(log: Path) -> str:
    """The last line of a worker's log."""
    try:
        return (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
    except OSError:
        return ""


def unwritable(folder: CellFolder, why: str | None) -> str:
    """What to say when the folder of a cell cannot be written."""
    return (
        f"{folder.root} cannot be written: {why or 'the disk is full or read-only'}; what was saved is whole, so make "
        "room, and the same command goes on where it stopped"
    )


def lock_cell(folder: CellFolder) -> FileLock | None:
    """Take a cell for this run; None while another run has it or its last worker still saves.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.lock)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    with try_lock(folder.worker_lock) as idle:
        if idle:
            return lock
    lock.release()
    return None


def start(
    task: Task, slot: Slot, folder: CellFolder, lock: FileLock, setting: RunContext, *, alone: bool = False
) -> RunningAttempt:
    """Start the next attempt at a cell, in the series that it goes on from or in a new one.

    One that runs ``alone`` has all of its device's memory, whatever share belongs to its slot.

    Raises:
        OSError: The folder cannot be written.
    """
    started_cells = bool(folder.attempts())
    if started_cells and (task.outcome.state == "complete" or has_changed(folder, task.cell, slot, setting)):
        archive_attempts(folder)
    before = last_request(folder)
    # another mode would sum in another order, to other bits than the attempt that is gone on from
    mode = Mode(**before["mode"]) if folder.checkpoints() and "mode" in before else setting.mode(task.cell, slot)
    number = max((attempt.number for attempt in folder.attempts()), default=0) + 1
    attempt = Attempt(
        cell=task.cell,
        number=number,
        folder=str(folder.root),
        data_home=str(setting.data_home),
        data_folder=str(setting.data_folders.get(data_key(task.cell), "")),
        device=slot.device,
        mode=replace(mode, memory_share=1.0 if alone else slot.memory_share),
        suite=setting.suite,
        series=before.get("series") or uuid.uuid4().hex[:16],
        created_ms=before.get("created_ms") or time.time_ns() // 1_000_000,
        cost=task.cost,
        deterministic=before.get("deterministic", setting.execution.deterministic),
        keep_weights=setting.keep_weights,
        context=setting.context,
    )
    write_atomically(folder.cell, to_json(task.cell))
    handle = setting.launcher.start(attempt, slot)
    setting.forwarder.watch(task.cell, folder)
    setting.observer.started(task.cell, slot, number)
    return RunningAttempt(
        task=task, slot=slot, handle=handle, folder=folder, attempt=number, lock=lock, alive_at=setting.clock()
    )


def has_changed(folder: CellFolder, cell: Cell, slot: Slot, setting: RunContext) -> bool:
    """Whether the cell's attempts so far were made under another fingerprint, so that nothing can go on from them."""
    data = setting.digests.get(data_key(cell), "")
    recorded = fold(cell.id, read_cell(folder)).fingerprint
    return bool(changes(recorded, fingerprint(cell, data=data, device=slot.device)))


def last_request(folder: CellFolder) -> dict[str, Any]:
    """What the last attempt was told; empty before the first."""
    for attempt in reversed(folder.attempts()):
        try:
            request: dict[str, Any] = json.loads(attempt.request.read_text())
        except (OSError, ValueError):
            continue  # its scheduler died before it was whole
        return request
    return {}


def classify_exit(
    each: RunningAttempt, code: int, journaled: Outcome, *, shutting_down: bool, hang_s: float
) -> Outcome:
    """How an attempt ended: a result on disk is complete, and whatever else the worker left without saying is lost.

    Args:
        each: The attempt.
        code: Exit code of its worker, negative for a signal.
        told: What the cell's journals say.
        leaving: It was asked to leave.
        hang_s: How long it may show no sign of life.
    """
    if journaled.state == "complete" and each.folder.result.exists():
        return journaled
    if journaled.state in ("failed", "interrupted") and has_end(read_from(each.journal)[0]):
        return journaled
    log = each.folder.attempt(each.attempt).log
    ended = replace(journaled, state="failed", kind="lost", attempts=each.attempt)
    if each.hung_at is not None:
        reason = f"it showed no sign of life for {hang_s:g} s and was ended (log: {log})"
        return replace(ended, kind="timeout", reason=reason)
    if shutting_down:
        reason = f"interrupted; it was killed before it could save, and goes on from its last checkpoint (log: {log})"
        return replace(ended, state="interrupted", kind="", reason=reason)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code} and no result"
    return replace(ended, reason=f"its worker {how} (log: {log})")
