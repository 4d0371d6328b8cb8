"""The loop of ``bench run``: reap, place, follow, until the plan is empty.

Called by the command line with everything it needs: a launcher, slots, a forwarder, a watcher and a clock. It starts
attempts, judges how they ended and decides which are tried again; it never trains and never writes to the tracking
store itself.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from filelock import FileLock, Timeout

from bench.devices import Slot
from bench.errors import StorageError
from bench.fingerprint import changes, fingerprint
from bench.history import discard, has_end, holding, write_end
from bench.journal import Event, fold, read_cell, read_from
from bench.launch import Handle, Launcher
from bench.modes import default_mode
from bench.paths import CellFolder, write_atomically
from bench.values import Attempt, Cell, DataKey, Execution, Mode, Outcome, Plan, Task, to_json

GRACE_S = 10.0
"""How long workers get to save their state when they are asked to leave."""
TICK_S = 0.1
HANG_S = 900.0
"""A worker that shows no sign of life for this long is ended; a step, a batch of test images, or reading the data may
take that long on no machine that is fit for the cell."""
LOST_TRIES = 3
"""Attempts in a row that may be lost without getting any further before a cell is given up."""
EXIT_STORAGE = 3
"""What a worker leaves when its folder cannot be written."""


class Forwarding(Protocol):
    """What the loop needs of the forwarder: to be told of cells whose journals grow."""

    def watch(self, cell: Cell, folder: CellFolder) -> None:
        """A cell's journal begins to grow, or has an end now."""


class Watcher(Protocol):
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
class StopRequest:
    """Set by signal handlers, read by the loop: work in a handler is how state gets torn."""

    signal: int = 0
    count: int = 0

    def __call__(self, number: int, _frame: object = None) -> None:
        """Remember the signal."""
        self.signal = number
        self.count += 1


@dataclass
class Tries:
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
class Running:
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
class Setting:
    """Where and how cells run."""

    suite: str
    """Name of the suite that they are run for."""
    launcher: Launcher
    slots: list[Slot]
    forwarder: Forwarding
    watcher: Watcher
    home: Path
    data_home: Path
    digests: Mapping[DataKey, str] = field(default_factory=dict)
    """Digest of the data that will be trained on, by :attr:`bench.values.Cell.data_key`."""
    data_folders: Mapping[DataKey, Path] = field(default_factory=dict)
    """Where it lies ready."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Tags that say who runs the cells; see :class:`bench.values.Attempt`."""
    modes: Mapping[str, Mode] = field(default_factory=dict)
    """How cells are computed, by cell id; the others by :func:`bench.modes.default_mode`."""
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


def run_plan(plan: Plan, setting: Setting, stop: StopRequest) -> dict[str, Outcome]:
    """Run the plan's cells on the slots, longest first. Returns how each one that was tried ended, by cell id.

    A cell that another ``bench run`` holds is left to it and waited for. A failed cell does not stop the others. A cell
    whose attempt was lost goes on where it stopped; one that ran out of memory is tried once more, alone on its device.
    On a stop request every worker is asked to save its state and leave, and killed after ten seconds or a second
    request.

    Raises:
        StorageError: The folder of cells cannot be written any more; everything that could be saved is.
    """
    loop = Loop(plan, setting, stop)
    try:
        while loop.goes_on():
            loop.reap()
            loop.place()
            if loop.goes_on():
                setting.sleep(TICK_S)
    finally:
        loop.leave()
    if loop.problem:
        raise StorageError(loop.problem)
    return loop.ended


class Loop:
    """What waits, what runs and what has ended."""

    def __init__(self, plan: Plan, setting: Setting, stop: StopRequest) -> None:
        self.plan, self.setting, self.stop = plan, setting, stop
        self.waiting = list(plan.to_run)
        self.free = list(setting.slots)
        self.running: list[Running] = []
        self.ended: dict[str, Outcome] = {}
        self.tries: dict[str, Tries] = {}
        self.leaving = False
        self.problem = ""
        """Why nothing can be written any more."""

    def goes_on(self) -> bool:
        """Whether there is something to do and no reason to stop."""
        return bool(self.waiting or self.running) and not self._stops()

    def _stops(self) -> bool:
        failed = any(outcome.state == "failed" for outcome in self.ended.values())
        return bool(self.stop.signal or self.problem or (self.setting.fail_fast and failed))

    def place(self) -> None:
        """Put waiting cells on free slots; those that must run alone wait until the others have begun."""
        for task in sorted(self.waiting, key=self._runs_alone):
            slot = next((slot for slot in self.free if self._fits(task, slot)), None)
            if slot is None or self._stops():
                continue
            folder = CellFolder.of(self.setting.home, task.cell.id)
            try:
                lock = take(folder)
                if lock is not None:
                    self._begin(task, slot, folder, lock)
            except OSError as error:
                self.problem = unwritable(folder, error.strerror)

    def _begin(self, task: Task, slot: Slot, folder: CellFolder, lock: FileLock) -> None:
        """Start a cell that is ours, unless another run finished it meanwhile."""
        self.waiting.remove(task)
        outcome = fold(task.cell.id, read_cell(folder))
        if outcome.state == "complete" and folder.result.exists() and task.outcome.state != "complete":
            lock.release()
            self.setting.forwarder.watch(task.cell, folder)
            self.ended[task.cell.id] = outcome
            return
        try:
            self.running.append(start(task, slot, folder, lock, self.setting, alone=self._runs_alone(task)))
        except OSError:
            lock.release()
            raise
        self.free.remove(slot)

    def _runs_alone(self, task: Task) -> bool:
        tries = self.tries.get(task.cell.id)
        return tries is not None and tries.out_of_memory

    def _fits(self, task: Task, slot: Slot) -> bool:
        """Whether nothing else runs on the slot's device, or both can share it."""
        beside = [each for each in self.running if each.slot.visible == slot.visible]
        return not beside or not (self._runs_alone(task) or any(self._runs_alone(each.task) for each in beside))

    def reap(self) -> None:
        """Show what the running cells journaled, end those that hang, and take those that ended off their slots."""
        for each in list(self.running):
            code = each.handle.poll()
            self._follow(each)
            if code is None:
                self._end_if_hung(each)
                continue
            self.running.remove(each)
            self.free.append(each.slot)
            try:
                self._settle(each, code)
            except OSError as error:
                self.problem = unwritable(each.folder, error.strerror)
            finally:
                each.lock.release()

    def _settle(self, each: Running, code: int) -> None:
        """Judge an attempt that ended, and decide what becomes of its cell.

        Raises:
            OSError: The end could not be written.
        """
        if code == EXIT_STORAGE:
            self.problem = unwritable(each.folder, last_line(each.folder.attempt(each.attempt).log))
            return
        told = fold(each.cell.id, read_cell(each.folder))
        outcome = judge(each, code, told, leaving=self.leaving, hang_s=self.setting.hang_s)
        if outcome.state != told.state:
            write_end(each.folder, outcome, state=outcome.state, kind=outcome.kind, reason=outcome.reason)
        if not self.leaving and self._tries_again(each, outcome):
            self.waiting.insert(0, replace(each.task, outcome=outcome))
            self.setting.watcher.retried(each.cell, outcome)
        else:
            self.ended[each.cell.id] = outcome
            self.setting.watcher.finished(each.cell, outcome)

    def _tries_again(self, each: Running, outcome: Outcome) -> bool:
        """Only what is no fault of the cell: a lost worker, and memory that others may have taken."""
        tries = self.tries.setdefault(each.cell.id, Tries())
        if outcome.state == "failed" and outcome.kind == "oom":
            again, tries.out_of_memory = not tries.out_of_memory, True
            return again
        if outcome.state == "interrupted" or outcome.kind == "lost":
            newest = max((path.name for path in each.folder.checkpoints()), default="")
            further = newest > tries.checkpoint or outcome.epochs_done > tries.epochs_done
            tries.lost = 1 if further else tries.lost + 1
            tries.checkpoint = max(tries.checkpoint, newest)
            tries.epochs_done = max(tries.epochs_done, outcome.epochs_done)
            return tries.lost < LOST_TRIES
        return False

    def _follow(self, each: Running) -> None:
        events, each.read = read_from(each.journal, each.read)
        for event in events:
            self.setting.watcher.event(each.cell, event)

    def _end_if_hung(self, each: Running) -> None:
        """Ask a worker without a sign of life to leave, and kill it with all it started if it does not."""
        now = self.setting.clock()
        if each.hung_at is not None:
            if now - each.hung_at > GRACE_S:
                each.handle.kill()
            return
        sign = _sign(each.journal)
        if sign != each.sign:
            each.sign, each.alive_at = sign, now
        elif now - each.alive_at > self.setting.hang_s:
            each.hung_at = now
            each.handle.stop()

    def leave(self) -> None:
        """Have all workers save their state and end, and end those that do not."""
        self.leaving = True
        for each in self.running:
            each.handle.stop()
        deadline = self.setting.clock() + GRACE_S
        while self.running and self.setting.clock() < deadline and self.stop.count < 2:
            self.reap()
            self.setting.sleep(TICK_S)
        for each in self.running:
            each.handle.kill()
        while self.running:
            self.reap()
            self.setting.sleep(TICK_S)


def _sign(journal: Path) -> tuple[int, int]:
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


def take(folder: CellFolder) -> FileLock | None:
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
    with holding(folder.worker_lock) as idle:
        if idle:
            return lock
    lock.release()
    return None


def start(
    task: Task, slot: Slot, folder: CellFolder, lock: FileLock, setting: Setting, *, alone: bool = False
) -> Running:
    """Start the next attempt at a cell, in the series that it goes on from or in a new one.

    One that runs ``alone`` has all of its device's memory, whatever share belongs to its slot.

    Raises:
        OSError: The folder cannot be written.
    """
    begun = bool(folder.attempts())
    if begun and (task.outcome.state == "complete" or has_changed(folder, task.cell, slot, setting)):
        discard(folder)
    before = last_request(folder)
    # another mode would sum in another order, to other bits than the attempt that is gone on from
    mode = Mode(**before["mode"]) if folder.checkpoints() and "mode" in before else setting.mode(task.cell, slot)
    number = max((attempt.number for attempt in folder.attempts()), default=0) + 1
    attempt = Attempt(
        cell=task.cell,
        number=number,
        folder=str(folder.root),
        data_home=str(setting.data_home),
        data_folder=str(setting.data_folders.get(task.cell.data_key, "")),
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
    setting.watcher.started(task.cell, slot, number)
    return Running(
        task=task, slot=slot, handle=handle, folder=folder, attempt=number, lock=lock, alive_at=setting.clock()
    )


def has_changed(folder: CellFolder, cell: Cell, slot: Slot, setting: Setting) -> bool:
    """Whether the cell's attempts so far were made under another fingerprint, so that nothing can go on from them."""
    data = setting.digests.get(cell.data_key, "")
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


def judge(each: Running, code: int, told: Outcome, *, leaving: bool, hang_s: float) -> Outcome:
    """How an attempt ended: a result on disk is complete, and whatever else the worker left without saying is lost.

    Args:
        each: The attempt.
        code: Exit code of its worker, negative for a signal.
        told: What the cell's journals say.
        leaving: It was asked to leave.
        hang_s: How long it may show no sign of life.
    """
    if told.state == "complete" and each.folder.result.exists():
        return told
    if told.state in ("failed", "interrupted") and has_end(read_from(each.journal)[0]):
        return told
    log = each.folder.attempt(each.attempt).log
    ended = replace(told, state="failed", kind="lost", attempts=each.attempt)
    if each.hung_at is not None:
        reason = f"it showed no sign of life for {hang_s:g} s and was ended (log: {log})"
        return replace(ended, kind="timeout", reason=reason)
    if leaving:
        reason = f"interrupted; it was killed before it could save, and goes on from its last checkpoint (log: {log})"
        return replace(ended, state="interrupted", kind="", reason=reason)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code} and no result"
    return replace(ended, reason=f"its worker {how} (log: {log})")
