"""Launchers: how an attempt becomes a running worker. The one seam of bench; see :mod:`bench.scheduler.fake` for the
fake that ships beside it.

A launcher starts the worker and reports whether it is alive; it never reads the journal and never judges a result.

Local workers are forked from the fork server of :mod:`multiprocessing`, which has imported torch once and has computed
nothing: a fresh process per cell, whose memory is really freed when it ends, without the seconds of imports.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from bench.errors import BenchError
from bench.scheduler.devices import Slot
from bench.values import Attempt, to_json
from bench.workspace.files import write_atomically
from bench.workspace.host import started
from bench.workspace.paths import CellFolder, ensure_home
from bench.workspace.spawn import enter, shorten_socket_paths

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from multiprocessing.process import BaseProcess


WORKER = "bench.worker.main"
"""Module of the functions that a worker process runs. Named, never imported on this side."""


PRELOAD = "bench.worker.preload"
"""What the fork server imports before the first worker is asked for."""


SERVER_DIED = 255
"""Exit code that multiprocessing reports for a process whose fork server is gone."""


SERVER_ENVIRONMENT = {
    # numpy's BLAS starts its threads on import, and forking a multi-threaded process is unsafe; torch has its own
    "OPENBLAS_NUM_THREADS": "1",
    # threads of a step wait for each other by spinning, for seconds by default: where anything else needs the core, a
    # cell falls to a tenth of its speed. Spinning for microseconds costs nothing measurable when nothing does
    "GOMP_SPINCOUNT": "10000",
    # glibc returns the memory of large tensors after every use, and the kernel zeroes each page again in the next
    # step. 32 MiB is the most that it accepts for the first of the two
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024**3),
}
"""Variables of the fork server, which its workers' libraries read on import."""

_environment_lock = threading.Lock()
"""Held while this process looks different for the fork server: threads start workers at the same time."""


class Handle(Protocol):
    """A started attempt."""

    def poll(self) -> int | None:
        """Exit code, negative for a signal, or None while it runs."""

    def stop(self) -> None:
        """Ask it to save its state and exit."""

    def kill(self) -> None:
        """Kill it and everything it started, now."""


class Launcher(Protocol):
    """Starts attempts."""

    def start(self, attempt: Attempt, slot: Slot) -> Handle:
        """Write the attempt's request file and start a worker on a slot."""


def prepare(models: Sequence[str] = ()) -> None:
    """Start the fork server unless it runs; it imports torch in the background.

    Args:
        models: Names of nets that workers will build; the libraries that they come from are imported too.
    """
    modules = [PRELOAD, *(["timm"] if any(model.startswith("timm/") for model in models) else [])]
    # a file called random.py in the current folder must not hide the library's; a checkout of bench is found there
    safe = {} if Path(__file__).parents[2] == Path.cwd() else {"PYTHONSAFEPATH": "1"}
    ensure_home()
    with _variables_set({**SERVER_ENVIRONMENT, **safe}):
        shorten_socket_paths()
        multiprocessing.set_forkserver_preload(modules)
        forkserver.ensure_running()


class LocalHandle:
    """A worker process that leads a session of its own."""

    def __init__(self, process: "BaseProcess") -> None:
        assert process.pid, "a started process has a number; 0 would be the scheduler's own group"
        self._process = process
        self._pid = process.pid
        self._started = started(self._pid)

    def poll(self) -> int | None:
        """Exit code or None."""
        code = self._process.exitcode
        if code == SERVER_DIED and self._lives():
            return None  # the fork server was killed; the worker continues, and its journal says how it ends
        if code is not None:
            self.kill()  # what the worker left behind in its group
        return code

    def stop(self) -> None:
        """SIGTERM to the worker alone, which ends what it started."""
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
    """One fresh process per cell on this machine."""

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
            environment["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it cuBLAS gives other bits in each run
        prepare([attempt.cell.model])
        return LocalHandle(start_process("run_process", str(paths.log), environment, str(paths.request)))


def worker_environment(*, visible: str, threads: int) -> dict[str, str]:
    """The environment of a worker: its GPUs, its threads, and nothing of MLflow's, which is not its business."""
    with _environment_lock:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    if "CUDA_VISIBLE_DEVICES" not in kept:  # the numbers are NVML's then, and CUDA's own order is another
        kept.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return {
        **kept,
        "CUDA_VISIBLE_DEVICES": visible,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }


_interrupted: list[bool] = []
"""One entry per call of :func:`end_workers`."""


def interruptions() -> int:
    """How often :func:`end_workers` was called: tells a worker that died by itself from one that was ended."""
    return len(_interrupted)


def end_workers() -> None:
    """Kill all workers of this process: for a command that is interrupted while it waits for answers."""
    _interrupted.append(True)
    for process in multiprocessing.active_children():
        LocalHandle(process).kill()


def start_process(function: str, log: str, environment: Mapping[str, str], *arguments: object) -> "ForkServerProcess":
    """Run a function of the worker's module in a process from the fork server.

    Raises:
        BenchError: The fork server is gone or could not import torch.
    """
    return start_call(f"{WORKER}:{function}", log, environment, *arguments)


def start_call(target: str, log: str, environment: Mapping[str, str], *arguments: object) -> "ForkServerProcess":
    """Run any ``module:function`` in a process from the fork server.

    Raises:
        BenchError: The fork server is gone or could not import torch.
    """
    process = multiprocessing.get_context("forkserver").Process(
        target=enter, args=(target, log, environment, *arguments)
    )
    try:
        with _main_hidden():
            process.start()
    except (EOFError, OSError) as error:
        raise BenchError(
            f"no worker can be started ({error or type(error).__name__}); "
            f"find out why with: python -c 'import {PRELOAD}'"
        ) from error
    return process


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Start processes that do not run the caller's script again, which multiprocessing would have each of them do.

    A worker needs nothing of it, and a script without ``if __name__ == "__main__":`` would start a run in every worker.
    """
    with _environment_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def _variables_set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for a moment: a fork server that starts takes its own from here."""
    with _environment_lock:
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
