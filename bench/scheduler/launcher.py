"""Launchers: how an attempt becomes a running worker. The one seam of bench: local here, a fake for tests beside it.

A launcher starts the worker and answers whether it still lives; it never reads the journal and never judges a result.

Workers are forked from one process, the fork server of :mod:`multiprocessing`, which has imported torch once and has
computed nothing: a fresh process a cell, whose memory is really freed when it ends, without the seconds of imports.
"""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.errors import BenchError
from bench.scheduler.devices import Slot
from bench.values import Attempt, to_json
from bench.workspace.files import write_atomically
from bench.workspace.host import started
from bench.workspace.paths import CellFolder

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from multiprocessing.process import BaseProcess
    from threading import Barrier


WORKER = "bench.worker.main"
"""Named, never imported on this side: what a worker runs."""


PRELOAD = "bench.worker.preload"
"""What the fork server imports before the first worker is asked for."""


SERVER_DIED = 255
"""What multiprocessing reports of a process whose fork server is gone."""


SERVER_ENVIRONMENT = {
    # numpy's BLAS starts its threads on import, and a process with threads is no good to fork; torch has its own
    "OPENBLAS_NUM_THREADS": "1",
    # threads of a step wait for each other by spinning, for seconds by default: where anything else needs the core, a
    # cell falls to a tenth of its speed. Spinning for microseconds costs nothing measurable when nothing does
    "GOMP_SPINCOUNT": "10000",
    # glibc gives the memory of large tensors back after every use, and the kernel fills each page with zeros again in
    # the next step. 32 MiB is the most that it takes for the first of the two
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024**3),
}


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


def prepare(models: Sequence[str] = ()) -> None:
    """Start the fork server, which then imports torch while this process goes on; once is enough.

    Args:
        models: Names of nets that workers will build; what they come from is imported too.
    """
    modules = [PRELOAD, *(["timm"] if any(model.startswith("timm/") for model in models) else [])]
    multiprocessing.set_forkserver_preload(modules)
    with _environment(SERVER_ENVIRONMENT):
        forkserver.ensure_running()


class LocalHandle:
    """A worker process in a session of its own, so that signals reach all it started and no terminal's Ctrl-C does."""

    def __init__(self, process: "BaseProcess") -> None:
        assert process.pid, "a process that was started has a number; 0 would be the scheduler's own group"
        self._process = process
        self._pid = process.pid
        self._started = started(self._pid)

    def poll(self) -> int | None:
        """Exit code or None."""
        code = self._process.exitcode
        if code == SERVER_DIED and self._lives():
            return None  # the fork server was killed; the worker goes on, and its journal tells how it ended
        if code is not None:
            self.kill()  # what the worker left behind in its group
        return code

    def stop(self) -> None:
        """SIGTERM to the worker alone: what it started is its own to end."""
        if self._lives():
            os.kill(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            if self._lives():  # it has not made its group yet
                os.kill(self._pid, signal.SIGKILL)

    def _lives(self) -> bool:
        return bool(self._started) and started(self._pid) == self._started


class LocalLauncher:
    """One fresh process a cell, on this machine: memory is really freed when it ends."""

    def start(self, attempt: Attempt, slot: Slot) -> LocalHandle:
        """Start a worker on a request file; its standard output and error go to the attempt's log.

        Raises:
            BenchError: No process can be started.
        """
        paths = CellFolder(Path(attempt.folder)).attempt(attempt.number)
        paths.root.mkdir(parents=True, exist_ok=True)
        write_atomically(paths.request, to_json(attempt))
        environment = worker_environment(visible=slot.visible, threads=attempt.mode.threads)
        if attempt.deterministic:
            environment["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS gives other bits a run without it
        prepare([attempt.cell.model])
        return LocalHandle(_start(run_worker, str(paths.request), str(paths.log), environment))


def worker_environment(*, visible: str, threads: int) -> dict[str, str]:
    """The environment of a worker: its GPUs, its threads, and nothing of MLflow's, which is not its business."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    if "CUDA_VISIBLE_DEVICES" not in kept:  # the numbers are NVML's then, and CUDA's own order is another
        kept.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return {
        **kept,
        "CUDA_VISIBLE_DEVICES": visible,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }


def end_workers() -> None:
    """End all workers of this process now: for a command that is interrupted while it waits for answers."""
    for process in multiprocessing.active_children():
        LocalHandle(process).kill()


def _start(target: Any, *arguments: Any) -> "ForkServerProcess":
    """Start a process from the fork server.

    Raises:
        BenchError: The fork server is gone or could not import torch.
    """
    process = multiprocessing.get_context("forkserver").Process(target=target, args=arguments)
    try:
        process.start()
    except (EOFError, OSError) as error:
        raise BenchError(
            f"no worker can be started ({error or type(error).__name__}); python -c 'import {PRELOAD}' says why"
        ) from error
    return process


def run_worker(request: str, log: str, environment: Mapping[str, str]) -> None:
    """What a worker process of the fork server does: train the attempt of a request file."""
    init_worker(log, environment)
    sys.exit(importlib.import_module(WORKER).run(Path(request)))


def answer_as_worker(
    command: str,
    requests: list[dict[str, Any]],
    sender: Connection,
    log: str,
    environment: Mapping[str, str],
    barrier: "Barrier | None",
) -> None:
    """What a worker process of the fork server does: answer requests."""
    init_worker(log, environment)
    sender.send_bytes(json.dumps(importlib.import_module(WORKER).answer(command, requests, barrier)).encode())


def init_worker(log: str, environment: Mapping[str, str]) -> None:
    """Leave the scheduler's terminal and variables, and follow the scheduler when it dies."""
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    scheduler = multiprocessing.parent_process()
    follow = importlib.import_module(WORKER).exit_with_scheduler
    threading.Thread(target=follow, args=(scheduler,), name="watchdog", daemon=True).start()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for a moment: the fork server takes its own from here when it starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
