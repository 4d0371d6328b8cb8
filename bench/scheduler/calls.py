"""Ask worker processes: typed requests out, typed answers back, see :mod:`bench.workspace.requests`.

Called for everything that needs torch and trains no cell: counting FLOPs, preparing data, timing trials.
"""

import multiprocessing
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Generic

from bench.errors import BenchError
from bench.scheduler.launcher import end_workers, prepare, start_process, worker_environment
from bench.workspace.requests import AnswerT, Failure, Measure, Request, Trial, decode_answers, encode_all

if TYPE_CHECKING:
    from threading import Barrier


def call_worker(requests: Sequence[Request[AnswerT]], *, threads: int) -> list[AnswerT | Failure]:
    """Have one worker process answer requests of one class on the CPU, and wait for it.

    Raises:
        BenchError: The worker died without an answer; the text ends with the last line of its log.
    """
    if not requests:
        return []
    prepare([request.model for request in requests if isinstance(request, Measure)])
    with WorkerCall(requests, worker_environment(visible="", threads=threads)) as call:
        return call.answers()


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
        calls = [stack.enter_context(WorkerCall([request], environment, barrier)) for _ in range(concurrency)]
        waiting = {call.receiver: call for call in calls}
        while waiting:
            for receiver in _ready(list(waiting)):
                try:
                    answers += waiting.pop(receiver).answers()
                except BenchError as error:
                    answers.append(Failure(error=str(error)))
                    if barrier is not None:
                        barrier.abort()  # the others would wait for the dead one
    return answers


def _ready(receivers: list[Connection]) -> list[Connection]:
    """Wait for an answer or a death; interrupting the wait kills all workers of this process."""
    try:
        return [receiver for receiver in wait(receivers) if isinstance(receiver, Connection)]
    except BaseException:
        end_workers()
        raise


class WorkerCall(Generic[AnswerT]):
    """A one-shot worker that answers a list of requests. Interrupting the wait kills all workers of this process."""

    def __init__(
        self, requests: Sequence[Request[AnswerT]], environment: Mapping[str, str], barrier: "Barrier | None" = None
    ) -> None:
        """Start the worker; ``barrier`` is where processes that are asked together wait for each other."""
        self._command = requests[0].command
        self._log = tempfile.NamedTemporaryFile("r", errors="replace")  # noqa: SIM115 - closed by __exit__
        self.receiver, sender = multiprocessing.Pipe(duplex=False)
        content = encode_all(requests)
        self._process = start_process(
            "answer_process", self._log.name, environment, self._command, content, sender, barrier
        )
        sender.close()  # the worker's end is the only one left, so that its death is an end of file here

    def answers(self) -> list[AnswerT | Failure]:
        """Wait for the answers.

        Raises:
            BenchError: The worker died without one; the text ends with the last line of its log.
        """
        try:
            content = self.receiver.recv_bytes()
        except EOFError:
            self._process.join()
            lines = self._log.read().strip().splitlines() or ["no message"]
            raise BenchError(
                f"the worker for {self._command!r} ended with exit code {self._process.exitcode}: {lines[-1]}"
            ) from None
        except BaseException:
            end_workers()
            raise
        self._process.join()
        return decode_answers(self._command, content)

    def __enter__(self) -> "WorkerCall[AnswerT]":
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pipe and the log."""
        self.receiver.close()
        self._log.close()
