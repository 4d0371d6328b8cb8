"""The loop of ``bench run``: reap, place, until the plan is empty.

Called with everything it needs: a plan, a launcher, slots, a forwarder, an observer and a clock. It starts attempts,
classifies how they ended and decides which cells are tried again; it never trains and never writes to the tracking
store itself. A tick costs as much as there are running cells, however many wait or have ended. It is longer than other
files because the retry policy, placing and stopping act on one state.
"""

from dataclasses import dataclass, replace

from bench.errors import DiskError
from bench.scheduler.attempts import (
    EXIT_DISK,
    MAX_LOST_ATTEMPTS,
    RunContext,
    RunningAttempt,
    begins_anew,
    classify_exit,
    last_line,
    start,
)
from bench.scheduler.devices import Slot
from bench.scheduler.modes import CPU_THREADS
from bench.values import Outcome, Plan, Task
from bench.workspace.cells import result_mark, write_end
from bench.workspace.files import disk_problem
from bench.workspace.journal import fold, read_cell, read_from
from bench.workspace.locks import lock_cell
from bench.workspace.paths import CellFolder

GRACE_S = 10.0
"""How long workers get to save their state when they are asked to exit, in seconds."""


TICK_S = 0.1
"""Pause between two looks at the workers, in seconds."""


@dataclass
class StopRequest:
    """Set by signal handlers, read by the loop: work inside a handler would tear the loop's state."""

    signal: int = 0
    count: int = 0

    def __call__(self, number: int, _frame: object = None) -> None:
        """Remember the signal."""
        self.signal = number
        self.count += 1


@dataclass
class RetryState:
    """Earlier attempts at a cell in this run."""

    checkpoint: str = ""
    """The newest checkpoint that a lost attempt has left."""
    epochs_done: int = -1
    """Maximum of the epochs that lost attempts have done."""
    lost: int = 0
    """Attempts in a row that were lost without getting further than that."""
    out_of_memory: bool = False
    """It ran out of memory once, and runs alone on its device from then on."""


def run_plan(plan: Plan, context: RunContext, stop: StopRequest) -> dict[str, Outcome]:
    """Run the plan's cells on the slots, longest first. Returns how each one that was tried ended, by cell id.

    A cell that another ``bench run`` holds is left to it and waited for. A failed cell does not stop the others. A cell
    whose attempt was lost resumes; one that ran out of memory is tried once more, alone on its device. On a stop
    request every worker is asked to save its state and exit, and is killed after ten seconds or a second request.

    Raises:
        DiskError: The folder of cells can no longer be written; everything that could be saved is.
    """
    loop = Loop(plan, context, stop)
    try:
        while loop.active():
            loop.reap()
            loop.place()
            if loop.active():
                context.sleep(TICK_S)
    finally:
        loop.shut_down()
    if loop.problem:
        raise DiskError(loop.problem)
    return loop.ended


class Loop:
    """What waits, what runs and what has ended."""

    def __init__(self, plan: Plan, context: RunContext, stop: StopRequest) -> None:
        self.context, self.stop = context, stop
        self.waiting = list(plan.to_run)
        self.waiting_alone: list[Task] = []
        """Cells that ran out of memory; they are placed after the others."""
        self.free = list(context.slots)
        self.running: list[RunningAttempt] = []
        self.ended: dict[str, Outcome] = {}
        self.retries: dict[str, RetryState] = {}
        self.failed = 0
        """Number of failed cells in ``ended``."""
        self.shutting_down = False
        self.problem = ""
        """Why nothing can be written any more."""

    def active(self) -> bool:
        """Whether there is something to do and no reason to stop."""
        return bool(self.waiting or self.waiting_alone or self.running) and not self._must_stop()

    def _must_stop(self) -> bool:
        return bool(self.stop.signal or self.problem or (self.context.fail_fast and self.failed))

    # --- Placing -----------------------------------------------------------------------------------------------------

    def place(self) -> None:
        """Put waiting cells on free slots; those that must run alone wait until the others have begun."""
        self._place_from(self.waiting, alone=False)
        self._place_from(self.waiting_alone, alone=True)

    def _place_from(self, queue: list[Task], *, alone: bool) -> None:
        index = 0
        while index < len(queue) and not self._must_stop():
            threads = self._threads_of(queue[index])
            slot = next((slot for slot in self.free if self._has_room(slot, threads, alone=alone)), None)
            if slot is None:
                return  # those behind it wait too: smaller cells that pass it could keep it waiting for ever
            if self._begin(queue[index], slot, alone=alone):
                del queue[index]
            else:
                index += 1

    def _has_room(self, slot: Slot, threads: int, *, alone: bool) -> bool:
        """Whether nothing else runs on the slot's device, or the cell and what runs there can share it.

        On the CPU the threads of all cells together must not be more than those of all slots.
        """
        sharing = [running for running in self.running if running.slot.visible == slot.visible]
        if not sharing:
            return True
        taken = sum(running.threads for running in sharing)
        fits = slot.device == "cuda" or taken + threads <= sum(each.threads for each in self.context.slots)
        return fits and not (alone or any(running.alone for running in sharing))

    def _threads_of(self, task: Task) -> int:
        """Threads that a waiting cell will compute with; one that resumes may have others, which is rare."""
        mode = self.context.modes.get(task.cell.id)
        return mode.threads if mode else CPU_THREADS

    def _begin(self, task: Task, slot: Slot, *, alone: bool) -> bool:
        """Start a cell unless another run holds it; False: it goes on waiting."""
        folder = CellFolder.of(self.context.home, task.cell.id)
        try:
            lock = lock_cell(folder)
            if lock is None:
                return False
            try:
                if outcome := self._finished_elsewhere(task, folder):
                    self.context.forwarder.watch(task.cell, folder)
                    self.ended[task.cell.id] = outcome
                    lock.release()
                    return True
                self.running.append(start(task, slot, folder, lock, self.context, alone=alone))
            except OSError:
                lock.release()
                raise
        except OSError as error:
            self.problem = disk_problem(folder.root, error.strerror)
            return False
        self.free.remove(slot)
        return True

    def _finished_elsewhere(self, task: Task, folder: CellFolder) -> Outcome | None:
        """The outcome of a cell that another run finished since this command began."""
        mark = result_mark(folder)
        before = self.context.results.get(task.cell.id, mark)
        if not mark or (begins_anew(task.outcome) and mark == before):
            return None
        outcome = fold(task.cell.id, read_cell(folder))
        return outcome if outcome.state == "complete" else None

    # --- Reaping -----------------------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Pass on what the running cells journaled, end those that hang, and free the slots of those that ended."""
        for running in list(self.running):
            code = running.handle.poll()
            self._follow(running)
            if code is None:
                self._end_if_hung(running)
                continue
            self.running.remove(running)
            self.free.append(running.slot)
            try:
                self._conclude(running, code)
            except OSError as error:
                self.problem = disk_problem(running.folder.root, error.strerror)
            finally:
                running.lock.release()

    def _follow(self, running: RunningAttempt) -> None:
        events, running.read = read_from(running.journal, running.read)
        for event in events:
            self.context.observer.event(running.cell, event)

    def _end_if_hung(self, running: RunningAttempt) -> None:
        """Ask a worker without a heartbeat to exit, and kill it with all it started if it does not."""
        now = self.context.clock()
        if running.hung_at is not None:
            if now - running.hung_at > GRACE_S:
                running.handle.kill()
        elif running.hangs(now, self.context.hang_s):
            running.hung_at = now
            running.handle.stop()

    def _conclude(self, running: RunningAttempt, code: int) -> None:
        """Classify an attempt that ended, and decide what becomes of its cell.

        Raises:
            OSError: The end could not be written.
        """
        if code == EXIT_DISK:
            self.problem = disk_problem(running.folder.root, last_line(running.log))
            return
        cell, task = running.cell, running.task
        journaled = fold(cell.id, read_cell(running.folder))
        outcome = classify_exit(running, code, journaled, shutting_down=self.shutting_down, hang_s=self.context.hang_s)
        if outcome.state != journaled.state:
            write_end(running.folder, outcome)
        if not self.shutting_down and self._tries_again(running, outcome):
            queue = self.waiting_alone if self.retries[cell.id].out_of_memory else self.waiting
            queue.insert(0, replace(task, outcome=outcome))
            self.context.observer.retried(cell, outcome)
        else:
            self.ended[cell.id] = outcome
            self.failed += outcome.state == "failed"
            self.context.observer.finished(cell, outcome)

    def _tries_again(self, running: RunningAttempt, outcome: Outcome) -> bool:
        """Only after what is not the cell's fault: a lost worker, and memory that others may have taken."""
        retries = self.retries.setdefault(running.cell.id, RetryState())
        if outcome.state == "failed" and outcome.kind == "oom":
            again, retries.out_of_memory = not retries.out_of_memory, True
            return again
        if outcome.state == "interrupted" or outcome.kind == "lost":
            newest = max((path.name for path in running.folder.checkpoints()), default="")
            further = newest > retries.checkpoint or outcome.epochs_done > retries.epochs_done
            retries.lost = 1 if further else retries.lost + 1
            retries.checkpoint = max(retries.checkpoint, newest)
            retries.epochs_done = max(retries.epochs_done, outcome.epochs_done)
            return retries.lost < MAX_LOST_ATTEMPTS
        return False

    # --- Stopping ----------------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """Have all workers save their state and exit, and kill those that do not."""
        self.shutting_down = True
        for running in self.running:
            running.handle.stop()
        deadline = self.context.clock() + GRACE_S
        while self.running and self.context.clock() < deadline and self.stop.count < 2:
            self.reap()
            self.context.sleep(TICK_S)
        for running in self.running:
            running.handle.kill()
        while self.running:
            self.reap()
            self.context.sleep(TICK_S)
