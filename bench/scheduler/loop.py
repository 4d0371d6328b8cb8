"""The loop of ``bench run``: reap, place, follow, until the plan is empty.

Called by the command line with everything it needs: a launcher, slots, a forwarder, a watcher and a clock. It starts
attempts, judges how they ended and decides which are tried again; it never trains and never writes to the tracking
store itself.
"""

from dataclasses import dataclass, replace

from filelock import FileLock

from bench.errors import DiskError
from bench.scheduler.attempts import (
    EXIT_DISK,
    MAX_LOST_ATTEMPTS,
    RetryState,
    RunContext,
    RunningAttempt,
    _heartbeat,
    classify_exit,
    last_line,
    lock_cell,
    start,
    unwritable,
)
from bench.scheduler.devices import Slot
from bench.values import Outcome, Plan, Task
from bench.workspace.cells import write_end
from bench.workspace.journal import fold, read_cell, read_from
from bench.workspace.paths import CellFolder

GRACE_S = 10.0
"""How long workers get to save their state when they are asked to leave."""


TICK_S = 0.1


@dataclass
class StopRequest:
    """Set by signal handlers, read by the loop: work in a handler is how state gets torn."""

    signal: int = 0
    count: int = 0

    def __call__(self, number: int, _frame: object = None) -> None:
        """Remember the signal."""
        self.signal = number
        self.count += 1


def run_plan(plan: Plan, setting: RunContext, stop: StopRequest) -> dict[str, Outcome]:
    """Run the plan's cells on the slots, longest first. Returns how each one that was tried ended, by cell id.

    A cell that another ``bench run`` holds is left to it and waited for. A failed cell does not stop the others. A cell
    whose attempt was lost goes on where it stopped; one that ran out of memory is tried once more, alone on its device.
    On a stop request every worker is asked to save its state and leave, and killed after ten seconds or a second
    request.

    Raises:
        DiskError: The folder of cells cannot be written any more; everything that could be saved is.
    """
    loop = Loop(plan, setting, stop)
    try:
        while loop.active():
            loop.reap()
            loop.place()
            if loop.active():
                setting.sleep(TICK_S)
    finally:
        loop.shut_down()
    if loop.problem:
        raise DiskError(loop.problem)
    return loop.ended


class Loop:
    """What waits, what runs and what has ended."""

    def __init__(self, plan: Plan, setting: RunContext, stop: StopRequest) -> None:
        self.plan, self.setting, self.stop = plan, setting, stop
        self.waiting = list(plan.to_run)
        self.free = list(setting.slots)
        self.running: list[RunningAttempt] = []
        self.ended: dict[str, Outcome] = {}
        self.tries: dict[str, RetryState] = {}
        self.shutting_down = False
        self.problem = ""
        """Why nothing can be written any more."""

    def active(self) -> bool:
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
                lock = lock_cell(folder)
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
        concurrency = [each for each in self.running if each.slot.visible == slot.visible]
        return not concurrency or not (
            self._runs_alone(task) or any(self._runs_alone(each.task) for each in concurrency)
        )

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
                self._conclude(each, code)
            except OSError as error:
                self.problem = unwritable(each.folder, error.strerror)
            finally:
                each.lock.release()

    def _conclude(self, each: RunningAttempt, code: int) -> None:
        """Judge an attempt that ended, and decide what becomes of its cell.

        Raises:
            OSError: The end could not be written.
        """
        if code == EXIT_DISK:
            self.problem = unwritable(each.folder, last_line(each.folder.attempt(each.attempt).log))
            return
        journaled = fold(each.cell.id, read_cell(each.folder))
        outcome = classify_exit(each, code, journaled, shutting_down=self.shutting_down, hang_s=self.setting.hang_s)
        if outcome.state != journaled.state:
            write_end(each.folder, outcome)
        if not self.shutting_down and self._tries_again(each, outcome):
            self.waiting.insert(0, replace(each.task, outcome=outcome))
            self.setting.observer.retried(each.cell, outcome)
        else:
            self.ended[each.cell.id] = outcome
            self.setting.observer.finished(each.cell, outcome)

    def _tries_again(self, each: RunningAttempt, outcome: Outcome) -> bool:
        """Only what is no fault of the cell: a lost worker, and memory that others may have taken."""
        tries = self.tries.setdefault(each.cell.id, RetryState())
        if outcome.state == "failed" and outcome.kind == "oom":
            again, tries.out_of_memory = not tries.out_of_memory, True
            return again
        if outcome.state == "interrupted" or outcome.kind == "lost":
            newest = max((path.name for path in each.folder.checkpoints()), default="")
            further = newest > tries.checkpoint or outcome.epochs_done > tries.epochs_done
            tries.lost = 1 if further else tries.lost + 1
            tries.checkpoint = max(tries.checkpoint, newest)
            tries.epochs_done = max(tries.epochs_done, outcome.epochs_done)
            return tries.lost < MAX_LOST_ATTEMPTS
        return False

    def _follow(self, each: RunningAttempt) -> None:
        events, each.read = read_from(each.journal, each.read)
        for event in events:
            self.setting.observer.event(each.cell, event)

    def _end_if_hung(self, each: RunningAttempt) -> None:
        """Ask a worker without a sign of life to leave, and kill it with all it started if it does not."""
        now = self.setting.clock()
        if each.hung_at is not None:
            if now - each.hung_at > GRACE_S:
                each.handle.kill()
            return
        sign = _heartbeat(each.journal)
        if sign != each.sign:
            each.sign, each.alive_at = sign, now
        elif now - each.alive_at > self.setting.hang_s:
            each.hung_at = now
            each.handle.stop()

    def shut_down(self) -> None:
        """Have all workers save their state and end, and end those that do not."""
        self.shutting_down = True
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
