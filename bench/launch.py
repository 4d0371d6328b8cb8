"""Launchers: how an attempt becomes a running worker. The one seam of bench: local here, a fake for tests beside it.

A launcher starts the worker and answers whether it still lives; it never reads the journal and never judges a result.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from bench.devices import Slot
from bench.errors import BenchError
from bench.paths import CellFolder, write_atomically
from bench.values import Attempt, to_json

PARENT_VARIABLE = "BENCH_SCHEDULER_PID"
"""Tells a worker whose death it follows."""


class Handle(Protocol):
    """A started attempt."""

    def poll(self) -> int | None:
        """Exit code, negative for a signal, or None while it runs."""

    def stop(self) -> None:
        """Ask it to save its state and leave."""

    def kill(self) -> None:
        """End it and everything it started, now."""


class Launcher(Protocol):
    """Starts attempts."""

    def start(self, attempt: Attempt, slot: Slot) -> Handle:
        """Start a worker on a slot; its journal is the attempt's."""


class LocalHandle:
    """A worker process in a session of its own, so that signals reach all it started and no terminal's Ctrl-C does."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        """Exit code or None."""
        code = self._process.poll()
        if code is not None:
            self.kill()  # what the worker left behind in its group
        return code

    def stop(self) -> None:
        """SIGTERM to the worker alone: what it started is its own to end."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class LocalLauncher:
    """One fresh process a cell, on this machine: memory is really freed when it ends."""

    def start(self, attempt: Attempt, slot: Slot) -> LocalHandle:
        """Start ``python -m bench.worker run REQUEST``; standard output and error go to the attempt's log."""
        paths = CellFolder(Path(attempt.folder)).attempt(attempt.number)
        paths.root.mkdir(parents=True, exist_ok=True)
        write_atomically(paths.request, to_json(attempt))
        environment = worker_environment(visible=slot.visible, threads=attempt.threads)
        if attempt.deterministic:
            environment["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS gives other bits a run without it
        with paths.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.worker", "run", str(paths.request)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        return LocalHandle(process)


def worker_environment(*, visible: str, threads: int) -> dict[str, str]:
    """The environment of a worker: its GPUs, its threads, and nothing of MLflow's, which is not its business."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    return {
        **kept,
        "CUDA_VISIBLE_DEVICES": visible,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        PARENT_VARIABLE: str(os.getpid()),
    }


def ask_worker(command: str, requests: list[dict[str, Any]], *, threads: int) -> list[dict[str, Any]]:
    """Have a worker process answer requests (``measure`` or ``pack``) on the CPU and wait for it.

    Raises:
        BenchError: The worker died without an answer; the text ends with its last line.
    """
    process = subprocess.run(
        [sys.executable, "-m", "bench.worker", command],
        input=json.dumps(requests).encode(),
        capture_output=True,
        env=worker_environment(visible="", threads=threads),
        check=False,
    )
    if process.returncode != 0:
        lines = process.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise BenchError(f"the worker for {command!r} ended with exit code {process.returncode}: {lines[-1]}")
    answers: list[dict[str, Any]] = json.loads(process.stdout)
    return answers
