"""The worker process: trains one attempt, or answers requests.

Started by :mod:`bench.scheduler.launcher` and :mod:`bench.scheduler.calls` through :mod:`bench.workspace.spawn`, in a
fork of a process that has imported torch; or by hand: ``python -m bench.worker run REQUEST`` trains the attempt of a
request file, ``python -m bench.worker COMMAND`` reads a JSON list of requests (:mod:`bench.workspace.requests`) from
standard input and writes the answers. Never imports the scheduler.

A training worker exits with 0 (complete), 1 (failed), 3 (its folder cannot be written) or 130 (interrupted); everything
else is in the journal. The file is longer than others, because whatever a worker can be asked ends here.
"""

import faulthandler
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bench.errors import DISK_ERRORS, BenchError, InterruptedTrainingError
from bench.values import Attempt, Cost, DataKey, Failure, NetSpeed, from_json
from bench.worker.failures import KnownFailureError, classify, describe, write_traceback
from bench.workspace.events import ArtifactWritten, Ended, Started
from bench.workspace.files import write_atomically
from bench.workspace.journal import Journal
from bench.workspace.locks import wait_for_lock
from bench.workspace.paths import CellFolder
from bench.workspace.requests import (
    Export,
    Exported,
    Import,
    Imported,
    Inspect,
    Inspected,
    Measure,
    Prepare,
    Prepared,
    Rates,
    Request,
    Schedule,
    TimeNet,
    Trial,
    TrialSpeed,
    decode_requests,
    encode_all,
)

if TYPE_CHECKING:
    from threading import Barrier

EXIT_FAILED, EXIT_DISK, EXIT_INTERRUPTED = 1, 3, 130
ORPHAN_GRACE_S = 4.0
"""How long a worker whose scheduler died gets to save its state, in seconds."""


def main() -> int:
    """Do what the command line says and return the exit code."""
    command, *arguments = sys.argv[1:]
    if command == "run":
        return run(Path(arguments[0]))
    sys.stdout.write(encode_all(answer(decode_requests(command, sys.stdin.buffer.read()))).decode())
    return 0


def run_process(request: str) -> None:
    """A worker process of the launcher: train the attempt of a request file and exit."""
    _follow_scheduler()
    faulthandler.enable(all_threads=False)
    _leave(run(Path(request)))


def answer_process(
    command: str, content: bytes, sender: Connection, barrier: "Barrier | None", limit_s: float | None
) -> None:
    """A worker process of the scheduler's calls: answer requests through a pipe, each as soon as it is known.

    A crash, or a request that takes longer than ``limit_s`` seconds, ends the process with the lines of its code in
    the log.
    """
    _follow_scheduler()
    faulthandler.enable(all_threads=False)
    for request in decode_requests(command, content):
        if limit_s is not None:
            # a thread of its own that needs no interpreter lock, so that no code of a net can hold it up
            faulthandler.dump_traceback_later(limit_s, exit=True)
        [answered] = answer([request], barrier)
        faulthandler.cancel_dump_traceback_later()
        sender.send_bytes(encode_all([answered]))
    _leave(0)


def _leave(code: int) -> NoReturn:
    """Exit, and wait for no thread that a net has started."""
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _follow_scheduler() -> None:
    scheduler = multiprocessing.parent_process()
    threading.Thread(target=_exit_with, args=(scheduler,), name="watchdog", daemon=True).start()


def _exit_with(scheduler: "multiprocessing.process.BaseProcess") -> None:
    """When the scheduler dies, send SIGTERM to checkpoint, then kill the process group after ORPHAN_GRACE_S.

    A signal handler would wait for a long step of the net; a thread does not.
    """
    scheduler.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE_S)
    os.killpg(0, signal.SIGKILL)


# --- Training --------------------------------------------------------------------------------------------------------


def run(request: Path) -> int:
    """Train the attempt of a request file and return the exit code."""
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    signal.signal(signal.SIGINT, lambda number, _: signals.append(number))
    attempt = from_json(Attempt, request.read_text())
    folder = CellFolder(Path(attempt.folder))
    try:
        with wait_for_lock(folder.worker_lock), Journal(folder.attempt(attempt.number).journal) as journal:
            return attempt_once(attempt, folder, journal, lambda: bool(signals))
    except OSError as error:
        print(f"{error.filename or folder.root}: {error.strerror or error}", file=sys.stderr)
        return EXIT_DISK


def attempt_once(attempt: Attempt, folder: CellFolder, journal: Journal, stop: Callable[[], bool]) -> int:
    """Train, and journal how it ended.

    Raises:
        OSError: The cell's folder cannot be written, so that not even the end can be journaled.
    """
    try:
        return train(attempt, folder, journal, stop)
    except BaseException as error:  # whatever it was, the journal is where people look for it
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        paths = folder.attempt(attempt.number)
        kind, reason = classify(error)
        write_traceback(paths, attempt.failure.traceback if attempt.failure else "")
        journal.write(ArtifactWritten(path=f"{paths.root.name}/{paths.traceback.name}"))
        journal.write(Ended(state="failed", kind=kind, reason=f"{reason} (traceback: {paths.traceback})"))
        return EXIT_FAILED


def train(attempt: Attempt, folder: CellFolder, journal: Journal, stop: Callable[[], bool]) -> int:
    """Import torch, record where this runs, and train."""
    from bench.worker.environment import describe_environment
    from bench.worker.train import run as run_training

    environment = describe_environment(attempt)
    write_atomically(folder.environment, json.dumps(environment, indent=1, sort_keys=True))
    journal.write(
        Started(
            attempt=attempt.number,
            pid=os.getpid(),
            context=dict(attempt.context),
            device=attempt.device,
            device_name=environment["device_name"],
            mode=str(attempt.mode),
            epochs=attempt.cell.recipe.epochs,
            environment=environment,
        )
    )
    if attempt.failure:  # its net was tried already, and may have taken its process with it
        raise KnownFailureError(attempt.failure)
    try:
        run_training(attempt, journal, stop=stop)
    except InterruptedTrainingError:
        journal.write(Ended(state="interrupted", reason="it will resume from the last checkpoint"))
        return EXIT_INTERRUPTED
    return 0


# --- Answering -------------------------------------------------------------------------------------------------------


def answer(requests: Sequence[Request[Any]], barrier: "Barrier | None" = None) -> list[Any]:
    """Answer requests; one that fails gets a :class:`Failure`.

    Args:
        requests: Of one class or of several.
        barrier: Where processes that are asked together wait for each other.
    """
    handlers: dict[type[Request[Any]], Callable[[Any], Any]] = {
        Measure: _measure,
        Prepare: _prepare,
        Import: _import,
        Inspect: _inspect,
        Trial: partial(_try, barrier=barrier),
        Schedule: _rates,
        TimeNet: _time,
        Export: _export,
    }
    answers = []
    for request in requests:
        try:
            answers.append(handlers[type(request)](request))
        except BenchError as error:
            answers.append(describe(error))
    return answers


def _measure(request: Measure) -> Cost:
    from bench.worker.measure import measure

    return measure(request.model, stem=request.stem, input_size=request.input_size, num_classes=request.num_classes)


def _prepare(request: Prepare) -> Prepared:
    import torch

    from bench.worker.data.dataset import load

    key = DataKey(
        request.dataset, request.input_size, request.max_images_per_class, request.streamed, request.test_resize
    )
    return Prepared(digest=load(key, Path(request.data_home), workers=torch.get_num_threads()).digest)


def _import(request: Import) -> Imported:
    from bench.worker.data.imported import import_dataset

    return Imported(card=import_dataset(request.dataset, Path(request.path), Path(request.data_home)))


def _inspect(request: Inspect) -> Inspected:
    from bench.worker.data.contents import inspect

    return Inspected(contents=inspect(request.dataset, Path(request.data_home)))


def _try(request: Trial, barrier: "Barrier | None") -> TrialSpeed | Failure:
    from bench.worker.speed import measure

    return measure(request, barrier)


def _rates(request: Schedule) -> Rates:
    from bench.worker.optim import learning_rates

    rates = learning_rates(request.schedule, lr=request.lr, epochs=request.epochs, steps=request.steps)
    return Rates(epochs=tuple(map(tuple, rates)))


def _time(request: TimeNet) -> NetSpeed:
    from bench.worker.inference import measure

    return measure(request)


def _export(request: Export) -> Exported:
    from bench.worker.export import export

    return export(request)
