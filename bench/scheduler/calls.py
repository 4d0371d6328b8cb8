"""Ask worker processes: typed requests out, typed answers back, see :mod:`bench.workspace.requests`.

Called for everything that needs torch and trains no cell: counting FLOPs, preparing data, timing trials. A worker may
run the code of users' nets, which may raise, crash, end their process or hang: that costs their own answer only.
"""

import multiprocessing
import re
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Generic

from bench.errors import BenchError
from bench.model_names import file_of
from bench.scheduler import launcher
from bench.scheduler.launcher import LocalHandle, end_workers, prepare, start_process, worker_environment
from bench.values import Failure
from bench.workspace.host import signs_of_life
from bench.workspace.requests import AnswerT, Measure, Request, TimeNet, Trial, decode_answers, encode_all

if TYPE_CHECKING:
    from threading import Barrier

GRACE_S = 5.0
"""How long a worker gets to end by itself, after its answers or after its time, in seconds."""
STILL_S = 600.0
"""How long a worker whose work has no limit may neither compute nor read or write before it is ended, in seconds. Its
work may take hours, but a pause of that length is a disk or a network that has gone away."""
LOOK_S = 5.0
"""Seconds between two looks at whether such a worker is alive."""
KEPT_LOG = 20_000
"""Characters of the end of a dead worker's log that are kept."""


OfNet = Measure | TimeNet
"""Requests that run the code of a net."""

Source = Connection | int
"""A pipe, or the number of a process's end."""


class WorkerDiedError(BenchError):
    """A worker ended, or was ended, before it had answered everything. The text ends with the last line of its log."""

    def __init__(self, command: str, how: str, log: str, *, timeout: bool) -> None:
        self.how, self.log, self.timeout = how, log, timeout
        lines = log.strip().splitlines() or ["no message"]
        super().__init__(f"the worker for {command!r} {how}: {lines[-1]}")


def call_worker(
    requests: Sequence[Request[AnswerT]], *, threads: int, limit_s: float | None = None, visible: str = ""
) -> list[AnswerT | Failure]:
    """Have worker processes answer requests of one class, one after the other, and wait for them.

    They share one process, except nets of files: each has its own, because their code may change anything in it. A
    process that dies or hangs while it measures a net is answered for by a :class:`Failure`, once that net has been
    tried first in a process; the others are measured.

    Args:
        requests: What to ask.
        threads: CPU threads of the worker.
        limit_s: How long one request may take, in seconds; None: what its class says.
        visible: Their CUDA_VISIBLE_DEVICES; empty: they compute on the CPU.

    Raises:
        BenchError: A worker died of something else than a net; the text ends with the last line of its log.
    """
    if not requests:
        return []
    prepare([request.model for request in requests if isinstance(request, OfNet)])
    environment, interrupted = worker_environment(visible=visible, threads=threads), launcher.interruptions()
    limit_s = requests[0].limit_s if limit_s is None else limit_s
    answers: list[AnswerT | Failure] = []
    while len(answers) < len(requests):
        first, done = requests[len(answers)], len(answers)
        try:
            with WorkerCall(_of_one_process(requests[done:]), environment, limit_s=limit_s) as call:
                for answer in call.answers():
                    answers.append(answer)  # one by one: those before a death are kept
        except WorkerDiedError as death:
            if not isinstance(first, OfNet) or launcher.interruptions() != interrupted:
                raise
            if len(answers) == done:
                answers.append(death_of_net(first.model, death))
    return answers


def _of_one_process(requests: Sequence[Request[AnswerT]]) -> list[Request[AnswerT]]:
    """The first requests that may share a process."""
    alone = [isinstance(request, OfNet) and bool(file_of(request.model)) for request in requests]
    if alone[0]:
        return [requests[0]]
    return list(requests[: alone.index(True) if True in alone else len(requests)])


def death_of_net(model: str, death: WorkerDiedError) -> Failure:
    """What to say of a net whose code ended its process or hung in it; with its line if the log shows one."""
    file = file_of(model)
    # innermost frame first: what faulthandler writes of a crash and of a process whose time is up
    lines = [line for path, line in re.findall(r'File "([^"]+)", line (\d+)', death.log) if path.endswith(file)]
    where = f" ({file}, line {lines[0]})" if file and lines else ""
    if death.timeout:
        error = f"{model} was not built and measured: it {death.how}, so it hangs{where}"
        return Failure(error=error, kind="timeout", traceback=death.log)
    error = f"{model} ended its process while it was built or measured: it {death.how}{where}"
    return Failure(error=error, kind="lost", traceback=death.log)


def call_workers_together(
    request: Request[AnswerT], *, concurrency: int, threads: int, visible: str
) -> list[AnswerT | Failure]:
    """Have several worker processes answer the same request at the same time, and wait for them.

    A worker that dies is answered for by a :class:`Failure` with the last line of its log.

    Args:
        request: What each of them is asked.
        concurrency: Number of processes.
        threads: CPU threads of each.
        visible: Their CUDA_VISIBLE_DEVICES.
    """
    prepare([request.cell.model] if isinstance(request, Trial) else [])
    environment = worker_environment(visible=visible, threads=threads)
    barrier = multiprocessing.get_context("forkserver").Barrier(concurrency) if concurrency > 1 else None
    answers: list[AnswerT | Failure] = []
    with ExitStack() as stack:
        calls = [
            stack.enter_context(WorkerCall([request], environment, barrier, limit_s=request.limit_s))
            for _ in range(concurrency)
        ]
        waiting = {source: call for call in calls for source in call.sources}
        while waiting:
            for source in _ready(list(waiting)):
                if (call := waiting.get(source)) is None:
                    continue  # both of its sources were ready
                waiting = {other: each for other, each in waiting.items() if each is not call}
                try:
                    answers += call.answers()
                except BenchError as error:
                    answers.append(Failure(error=str(error)))
                    if barrier is not None:
                        barrier.abort()  # the others would wait for the dead one
    return answers


def _ready(sources: Sequence[Source], timeout_s: float | None = None) -> list[Source]:
    """Wait for an answer or a death; interrupting the wait kills all workers of this process."""
    try:
        return [source for source in wait(sources, timeout_s) if isinstance(source, Connection | int)]
    except BaseException:
        end_workers()
        raise


class WorkerCall(Generic[AnswerT]):
    """A one-shot worker that answers a list of requests. Interrupting the wait kills all workers of this process."""

    def __init__(
        self,
        requests: Sequence[Request[AnswerT]],
        environment: Mapping[str, str],
        barrier: "Barrier | None" = None,
        *,
        limit_s: float | None = None,
    ) -> None:
        """Start the worker, which ends itself when one request takes longer than ``limit_s`` seconds.

        ``barrier`` is where processes that are asked together wait for each other.
        """
        self._command, self._count, self._limit_s = requests[0].command, len(requests), limit_s
        self._log = tempfile.NamedTemporaryFile("r", errors="replace")  # noqa: SIM115 - closed by __exit__
        self._receiver, sender = multiprocessing.Pipe(duplex=False)
        content = encode_all(requests)
        self._process = start_process(
            "answer_process", self._log.name, environment, self._command, content, sender, barrier, limit_s
        )
        sender.close()  # or a death would not be an end of file here
        self.sources: tuple[Source, ...] = (self._receiver, self._process.sentinel)
        """What becomes ready with an answer or a death: a process that the net started may hold the pipe open."""

    def answers(self) -> Iterator[AnswerT | Failure]:
        """Yield each answer as it comes.

        Raises:
            WorkerDiedError: The worker died before it had given all, or did not end itself when its time was up.
        """
        for _ in range(self._count):
            ready = self._wait()
            if not ready:
                LocalHandle(self._process).kill()
            if self._receiver not in ready and not self._receiver.poll():
                raise self._death(timeout=not ready)
            try:
                content = self._receiver.recv_bytes()
            except EOFError:
                raise self._death(timeout=False) from None
            yield from decode_answers(self._command, content)

    def _wait(self) -> list[Source]:
        """Wait for an answer or a death; nothing once the worker's time is up."""
        if self._limit_s is not None:
            # the worker's own limit comes first; this one is for a worker that has been stopped
            return _ready(self.sources, self._limit_s + GRACE_S)
        signs, alive_at = None, time.monotonic()
        while not (ready := _ready(self.sources, LOOK_S)):
            if (now := signs_of_life(self._process.pid)) != signs:
                signs, alive_at = now, time.monotonic()
            elif time.monotonic() - alive_at > STILL_S:
                break
        return ready

    def _death(self, *, timeout: bool) -> WorkerDiedError:
        self._process.join(GRACE_S)  # its pipe may have closed a moment before it ends
        LocalHandle(self._process).kill()
        self._process.join()
        log = self._log.read()
        code = self._process.exitcode or 0
        timeout = timeout or bool(re.search(r"^Timeout \(", log, re.MULTILINE))
        how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        if timeout:
            how = f"showed no sign of life for {STILL_S:g} s, as where a disk does not answer"
            if self._limit_s is not None:
                how = f"took longer than {self._limit_s:g} s"
        return WorkerDiedError(self._command, how, log[-KEPT_LOG:], timeout=timeout)

    def __enter__(self) -> "WorkerCall[AnswerT]":
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker with everything that it started, and close the pipe and the log."""
        self._process.join(GRACE_S)
        LocalHandle(self._process).kill()
        self._process.join()
        self._receiver.close()
        self._log.close()


def signal_name(number: int) -> str:
    """``signal 11 (SIGSEGV)``; of SIGKILL also what sends it most often."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"signal {number} ({name}{', perhaps because memory ran out' if number == signal.SIGKILL else ''})"
