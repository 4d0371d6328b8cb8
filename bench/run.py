"""The loop of ``bench run``: reap, place, follow, until the plan is empty.

Called by the command line with everything it needs: a launcher, slots, a forwarder, a watcher and a clock. It starts
attempts and judges how they ended; it never trains and never writes to the tracking store itself.
"""

import csv
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from filelock import FileLock, Timeout

from bench.devices import Slot
from bench.journal import Event, fold, read_cell, read_from
from bench.launch import Handle, Launcher
from bench.paths import CellFolder, write_atomically
from bench.values import Attempt, Cell, Outcome, Plan, Suite, Task, cell_from_dict, to_json

GRACE_S = 10.0
"""How long workers get to save their state when the run is interrupted."""
TICK_S = 0.1
HISTORY = 200
"""Cells that estimates are made from."""


class Forwarding(Protocol):
    """What the loop needs of the forwarder: to be told of cells."""

    def watch(self, cell: Cell, folder: CellFolder) -> None:
        """A cell's journal begins to grow."""

    def settle(self, cell: Cell, folder: CellFolder, outcome: Outcome) -> None:
        """A cell's worker ended without saying how; this is what became of it."""


class Watcher(Protocol):
    """What shows a run's progress to people."""

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None:
        """A cell was placed."""

    def event(self, cell: Cell, event: Event) -> None:
        """A cell's journal grew."""

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
class Running:
    """A cell on a slot."""

    task: Task
    slot: Slot
    handle: Handle
    folder: CellFolder
    attempt: int
    lock: FileLock
    read: int = 0
    """Bytes of the attempt's journal that have been shown."""


@dataclass(kw_only=True)
class Setting:
    """Where and how cells run."""

    launcher: Launcher
    slots: list[Slot]
    forwarder: Forwarding
    watcher: Watcher
    home: Path
    data_home: Path
    keep_weights: Literal["last", "none"] = "last"
    fail_fast: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def local_outcomes(suite: Suite, home: Path) -> dict[str, Outcome]:
    """What the cells' folders on this machine say."""
    found = {}
    for cell in suite.cells:
        folder = CellFolder.of(home, cell.id)
        if folder.root.exists():
            found[cell.id] = read_outcome(cell.id, folder)
    return found


def local_history(home: Path) -> list[tuple[Cell, Outcome]]:
    """The cells that ran most lately on this machine, of whatever suite, with what their journals say."""
    files = sorted((home / "cells").glob("*/cell.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    found = []
    for file in files[:HISTORY]:
        cell = cell_from_dict(json.loads(file.read_text()))
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
        epochs = {e["epoch"]: e for e in read_cell(CellFolder.of(home, cell.id)) if e["event"] == "epoch"}
        for epoch, event in sorted(epochs.items()):
            writer.writerow((*axes, epoch, *(event["metrics"][name] for name in names)))
    return stream.getvalue()


def read_outcome(cell_id: str, folder: CellFolder) -> Outcome:
    """Fold a cell's journals; an attempt that has no end and that nobody runs any more was interrupted."""
    outcome = fold(cell_id, read_cell(folder))
    if outcome.state == "running" and not is_held(folder):
        return replace(outcome, state="interrupted", kind="lost", reason="its process is gone; it goes on from here")
    if outcome.state == "complete" and not folder.result.exists():
        return replace(outcome, state="interrupted", reason="its result was not written")
    return outcome


def is_held(folder: CellFolder) -> bool:
    """Whether a living scheduler has this cell; the kernel drops the lock of one that died."""
    lock = FileLock(folder.lock)
    try:
        with lock.acquire(blocking=False):
            return False
    except Timeout:
        return True


def run_plan(plan: Plan, setting: Setting, stop: StopRequest) -> dict[str, Outcome]:
    """Run the plan's cells on the slots, longest first. Returns how each one that was tried ended, by cell id.

    A cell that another ``bench run`` holds is left to it and waited for. A failed cell does not stop the others. On a
    stop request every worker is asked to save its state and leave, and killed after ten seconds or a second request.
    """
    waiting = list(plan.to_run)
    free = list(setting.slots)
    running: list[Running] = []
    ended: dict[str, Outcome] = {}
    while (waiting or running) and not stop.signal:
        reap(running, free, ended, setting)
        if setting.fail_fast and any(outcome.state == "failed" for outcome in ended.values()):
            break
        place(waiting, free, running, ended, setting)
        setting.sleep(TICK_S)
    if running:
        leave(running, free, ended, setting, stop)
    return ended


def place(
    waiting: list[Task], free: list[Slot], running: list[Running], ended: dict[str, Outcome], setting: Setting
) -> None:
    """Put waiting cells on free slots."""
    for task in list(waiting):
        if not free:
            return
        folder = CellFolder.of(setting.home, task.cell.id)
        folder.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.lock)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue  # another bench run has it; it is looked at again on the next round
        waiting.remove(task)
        outcome = read_outcome_held(task.cell.id, folder)
        if outcome.state == "complete" and task.outcome.state != "complete":
            lock.release()  # the other run finished it meanwhile
            setting.forwarder.watch(task.cell, folder)
            ended[task.cell.id] = outcome
            continue
        running.append(start(task, free.pop(0), folder, lock, setting))


def read_outcome_held(cell_id: str, folder: CellFolder) -> Outcome:
    """Like :func:`read_outcome`, for a cell whose lock is ours."""
    outcome = fold(cell_id, read_cell(folder))
    return outcome if folder.result.exists() else replace(outcome, state="interrupted")


def start(task: Task, slot: Slot, folder: CellFolder, lock: FileLock, setting: Setting) -> Running:
    """Start the next attempt at a cell."""
    if task.outcome.state == "complete":
        discard(folder)
    number = max((attempt.number for attempt in folder.attempts()), default=0) + 1
    attempt = Attempt(
        cell=task.cell,
        number=number,
        folder=str(folder.root),
        data_home=str(setting.data_home),
        device=slot.device,
        threads=threads_before(folder) or slot.threads,
        keep_weights=setting.keep_weights,
    )
    write_atomically(folder.cell, to_json(task.cell))
    handle = setting.launcher.start(attempt, slot)
    setting.forwarder.watch(task.cell, folder)
    setting.watcher.started(task.cell, slot, number)
    return Running(task=task, slot=slot, handle=handle, folder=folder, attempt=number, lock=lock)


def threads_before(folder: CellFolder) -> int | None:
    """Threads of the attempt that a checkpoint is from: another number would sum in another order, to other bits."""
    attempts = folder.attempts()
    if not attempts or not folder.checkpoints() or not attempts[-1].request.exists():
        return None
    threads: int = json.loads(attempts[-1].request.read_text())["threads"]
    return threads


def discard(folder: CellFolder) -> None:
    """Make room for a rerun: the complete attempts are kept under another name, for whoever wants the old result."""
    kept = folder.root / f"before-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000}"
    kept.mkdir()
    for path in list(folder.root.iterdir()):
        if path not in (kept, folder.lock) and not path.name.startswith("before-"):
            path.rename(kept / path.name)


def reap(running: list[Running], free: list[Slot], ended: dict[str, Outcome], setting: Setting) -> None:
    """Show what the running cells journaled, and take those whose worker has ended off their slots."""
    for each in list(running):
        code = each.handle.poll()
        follow(each, setting)
        if code is None:
            continue
        outcome = judge(each, code)
        running.remove(each)
        free.append(each.slot)
        each.lock.release()
        ended[each.task.cell.id] = outcome
        setting.watcher.finished(each.task.cell, outcome)
        if not has_end(each):
            setting.forwarder.settle(each.task.cell, each.folder, outcome)


def follow(each: Running, setting: Setting) -> None:
    """Pass new journal events on to the watcher."""
    events, each.read = read_from(each.folder.attempt(each.attempt).journal, each.read)
    for event in events:
        setting.watcher.event(each.task.cell, event)


def has_end(each: Running) -> bool:
    """Whether the attempt's journal says how it ended."""
    events, _ = read_from(each.folder.attempt(each.attempt).journal)
    return any(event["event"] == "end" for event in events)


def judge(each: Running, code: int) -> Outcome:
    """How an attempt ended: the exit code overrules a report of success, and no report is an outcome too."""
    outcome = fold(each.task.cell.id, read_cell(each.folder))
    attempt = each.folder.attempt(each.attempt)
    if outcome.state in ("failed", "interrupted") and has_end(each):
        return outcome
    if outcome.state == "complete" and code == 0 and each.folder.result.exists():
        return outcome
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code} and no result"
    return replace(
        outcome, state="failed", kind="lost", attempts=each.attempt, reason=f"its worker {how} (log: {attempt.log})"
    )


def leave(
    running: list[Running], free: list[Slot], ended: dict[str, Outcome], setting: Setting, stop: StopRequest
) -> None:
    """Have all workers save their state and end, and end those that do not."""
    for each in running:
        each.handle.stop()
    deadline = setting.clock() + GRACE_S
    while running and setting.clock() < deadline and stop.count < 2:
        reap(running, free, ended, setting)
        setting.sleep(TICK_S)
    for each in running:
        each.handle.kill()
    while running:
        reap(running, free, ended, setting)
        setting.sleep(TICK_S)


def unforwarded(suite: Suite, stored: Mapping[str, Outcome], home: Path) -> list[Cell]:
    """Cells that are complete in their folder but not in the store, so that their journals are replayed."""
    local = local_outcomes(suite, home)
    return [
        cell
        for cell in suite.cells
        if cell.id in local
        and local[cell.id].state == "complete"
        and (cell.id not in stored or stored[cell.id].state != "complete")
    ]
