"""scheduler.calls."""

import json
import multiprocessing
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.scheduler.launcher import _start, answer_as_worker, end_workers, prepare, worker_environment

if TYPE_CHECKING:
    from threading import Barrier


def call_worker(command: str, requests: list[dict[str, Any]], *, threads: int) -> list[dict[str, Any]]:
    """Have a worker process answer requests (``measure`` or ``pack``) on the CPU and wait for it.

    Raises:
        BenchError: The worker died without an answer; the text ends with its last line.
    """
    prepare([str(request.get("model", "")) for request in requests])
    with WorkerCall(command, requests, worker_environment(visible="", threads=threads)) as question:
        return question.answers()


def call_workers_together(
    command: str, request: dict[str, Any], *, concurrency: int, threads: int, visible: str
) -> list[dict[str, Any]]:
    """Have several worker processes answer the same request (``probe``) at the same time, and wait for them.

    A worker that dies answers with an ``error``, the last line that it wrote.
    """
    prepare([request["cell"]["model"]])
    environment = worker_environment(visible=visible, threads=threads)
    barrier = multiprocessing.get_context("forkserver").Barrier(concurrency) if concurrency > 1 else None
    answers = []
    with ExitStack() as stack:
        questions = [
            stack.enter_context(WorkerCall(command, [request], environment, barrier)) for _ in range(concurrency)
        ]
        for question in questions:
            try:
                answers += question.answers()
            except BenchError as error:
                answers.append({"error": str(error)})
                if barrier is not None:
                    barrier.abort()
    return answers


class WorkerCall:
    """Requests to a worker process of their own; an interrupt while it is waited for ends all workers."""

    def __init__(
        self,
        command: str,
        requests: list[dict[str, Any]],
        environment: Mapping[str, str],
        barrier: "Barrier | None" = None,
    ) -> None:
        self._command = command
        self._log = tempfile.NamedTemporaryFile("r", errors="replace")  # noqa: SIM115 - closed by leaving
        self._receiver, sender = multiprocessing.Pipe(duplex=False)
        self._process = _start(answer_as_worker, command, requests, sender, self._log.name, environment, barrier)
        sender.close()  # the worker's end is the only one now, so that its death is an end of file here

    def answers(self) -> list[dict[str, Any]]:
        """Wait for the answers.

        Raises:
            BenchError: The worker died without one; the text ends with its last line.
        """
        try:
            answers: list[dict[str, Any]] = json.loads(self._receiver.recv_bytes())
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
        return answers

    def __enter__(self) -> "WorkerCall":
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.close()
        self._log.close()
