"""The worker process: ``python -m bench.worker run REQUEST | measure | pack``.

``run`` trains one attempt and leaves 0 (complete), 1 (failed), 3 (its folder cannot be written) or 130 (interrupted);
everything else it has to say is in the journal. ``measure`` and ``pack`` read a JSON list of requests from standard
input and answer in kind. Called by :mod:`bench.scheduler.launcher` in a fork of a process that has imported torch, or
by hand on a
machine that has torch and nothing else of bench's.
"""

import json
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from bench.errors import DISK_ERRORS, BenchError, DivergedError, InterruptedTrainingError
from bench.values import Attempt, FailureKind, from_json
from bench.workspace.events import ArtifactWritten, Ended, Started
from bench.workspace.files import write_atomically
from bench.workspace.host import cpu_name
from bench.workspace.journal import Journal
from bench.workspace.paths import AttemptFolder, CellFolder

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess as ParentProcess
    from threading import Barrier

EXIT_FAILED, EXIT_DISK, EXIT_INTERRUPTED = 1, 3, 130
ORPHAN_GRACE_S = 4.0
"""How long a worker whose scheduler died gets to save its state."""


def main() -> int:
    """Do what the command line says and return the exit code."""
    command, *arguments = sys.argv[1:]
    if command == "run":
        return run(Path(arguments[0]))
    json.dump(answer(command, json.load(sys.stdin)), sys.stdout)
    return 0


def answer(command: str, requests: list[dict[str, Any]], barrier: "Barrier | None" = None) -> list[dict[str, Any]]:
    """Answer requests of a command that trains nothing; ``meet`` is where processes that are asked together wait."""
    if command == "probe":
        from bench.worker.speed import measure

        return [measure(request, barrier) for request in requests]
    known = {"measure": answer_measure, "pack": answer_pack, "adopt": answer_adopt, "inspect": answer_inspect}
    return known[command](requests)


def exit_with_scheduler(scheduler: "ParentProcess") -> None:
    """Wait for the scheduler's death, save what can be saved, and be gone seconds later with all that was started.

    A handler waits for a long step of the net; the thread that runs this does not.
    """
    scheduler.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE_S)
    os.killpg(0, signal.SIGKILL)


def run(request: Path) -> int:
    """Train the attempt that a request file describes."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    attempt = from_json(Attempt, request.read_text())
    folder = CellFolder(Path(attempt.folder))
    try:
        with FileLock(folder.worker_lock), Journal(folder.attempt(attempt.number).journal) as journal:
            return attempt_once(attempt, folder, journal, stopped)
    except OSError as error:
        print(f"{error.filename or folder.root}: {error.strerror or error}", file=sys.stderr)
        return EXIT_DISK


def attempt_once(attempt: Attempt, folder: CellFolder, journal: Journal, stopped: list[int]) -> int:
    """Train, and journal how it ended.

    Raises:
        OSError: The cell's folder cannot be written, so that not even its end can be told.
    """
    try:
        return train(attempt, folder, journal, stopped)
    except BaseException as error:  # whatever it was, the journal is where people look for it
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        paths = folder.attempt(attempt.number)
        kind, reason = classify(error)
        write_traceback(paths)
        journal.write(ArtifactWritten(path=f"{paths.root.name}/{paths.traceback.name}"))
        journal.write(Ended(state="failed", kind=kind, reason=f"{reason} (traceback: {paths.traceback})"))
        return EXIT_FAILED


def train(attempt: Attempt, folder: CellFolder, journal: Journal, stopped: list[int]) -> int:
    """Import torch, write down where this runs, and train."""
    import torch

    from bench.worker.train import run as run_training

    environment = describe_environment(torch, attempt)
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
    try:
        run_training(attempt, journal, stop=lambda: bool(stopped))
    except InterruptedTrainingError:
        journal.write(Ended(state="interrupted", kind="", reason="interrupted; it resumes from its checkpoint"))
        return EXIT_INTERRUPTED
    return 0


OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What CUDA and its libraries say where they, and not torch's allocator, find no memory."""


def classify(error: BaseException) -> tuple[FailureKind, str]:
    """The kind of a failure and a sentence for it."""
    import torch

    for each in causes(error):
        journaled = isinstance(each, RuntimeError) and any(words in str(each) for words in OUT_OF_MEMORY)
        if journaled or isinstance(each, torch.OutOfMemoryError | MemoryError):
            return "oom", f"out of memory: {first_line(each)}"
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, BenchError):
        return "error", str(error)
    return "error", f"{type(error).__name__}: {first_line(error)}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised from or on top of: what ends a capture hides what went wrong in it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def first_line(error: BaseException) -> str:
    """The first line of an error's text, cut to what fits a table's footnote."""
    return (str(error).strip().splitlines() or ["no message"])[0][:300]


def write_traceback(paths: AttemptFolder) -> None:
    """Keep the traceback for whoever has to mend the cell."""
    text = traceback.format_exc()
    sys.stderr.write(text)
    write_atomically(paths.traceback, text)


def describe_environment(torch: Any, attempt: Attempt) -> dict[str, str]:
    """Versions, host and device of this attempt."""
    from importlib import metadata

    import bench

    if attempt.device == "cuda":
        name = torch.cuda.get_device_name(0)
    else:
        name = f"{cpu_name()}, {attempt.mode.threads} thread{'s' if attempt.mode.threads > 1 else ''}"
    versions = {}
    for package in ("torchvision", "timm", "fvcore", "numpy"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "bench": bench.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cuda": str(torch.version.cuda),
        "platform": platform.platform(),
        "host": platform.node(),
        "device": attempt.device,
        "device_name": name,
        "threads": str(attempt.mode.threads),
        **versions,
    }


def answer_measure(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Params and FLOPs of each request, or its error."""
    from bench.worker.measure import main as measure

    return measure(requests)


def answer_pack(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pack or index each ``{"dataset", "input_size", "max_images_per_class", "data_home"}``; answers have counts and
    digest, or an error."""
    import torch

    from bench.worker.data.dataset import load

    answers = []
    for request in requests:
        try:
            key = request["dataset"], request["input_size"], request.get("max_images_per_class")
            packed = load(key, Path(request["data_home"]), workers=torch.get_num_threads())
        except BenchError as error:
            answers.append({**request, "error": str(error)})
            continue
        answers.append(
            {
                **request,
                "classes": packed.num_classes,
                "train_images": len(packed.train_labels),
                "test_images": len(packed.test_labels),
                "digest": packed.digest,
            }
        )
    return answers


def answer_adopt(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adopt each ``{"dataset", "path", "data_home"}``; answers have the card, or an error."""
    from bench.worker.data.imported import import_dataset

    def one(request: dict[str, Any]) -> dict[str, Any]:
        return {"card": import_dataset(request["dataset"], Path(request["path"]), Path(request["data_home"]))}

    return [_or_error(request, one) for request in requests]


def answer_inspect(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each ``{"dataset", "data_home"}`` holds, see :mod:`bench.worker.data.contents`; or an error."""
    from bench.worker.data.contents import inspect

    return [_or_error(request, lambda each: inspect(each["dataset"], Path(each["data_home"]))) for request in requests]


def _or_error(request: dict[str, Any], answer: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {**request, **answer(request)}
    except BenchError as error:
        return {**request, "error": str(error)}
