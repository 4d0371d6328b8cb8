"""The worker process: ``python -m bench.worker run REQUEST | measure | pack``.

``run`` trains one attempt and leaves 0 (complete), 1 (failed) or 130 (interrupted); everything else it has to say is
in the journal. ``measure`` and ``pack`` read a JSON list of requests from standard input and answer in kind. Started by
:mod:`bench.launch`, or by hand on a machine that has torch and nothing else of bench's.
"""

import ctypes
import json
import os
import platform
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from bench.errors import BenchError, DivergedError
from bench.journal import Journal
from bench.paths import AttemptFolder, CellFolder, write_atomically
from bench.values import Attempt, attempt_from_dict

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


def main() -> int:
    """Do what the command line says and return the exit code."""
    follow_the_scheduler()
    command, *arguments = sys.argv[1:]
    if command == "run":
        return run(Path(arguments[0]))
    requests = json.load(sys.stdin)
    answers = {"measure": answer_measure, "pack": answer_pack}[command](requests)
    json.dump(answers, sys.stdout)
    return 0


def follow_the_scheduler() -> None:
    """Be sent SIGTERM when the scheduler dies, however it dies (Linux; elsewhere its exit handlers must do)."""
    scheduler = int(os.environ.get("BENCH_SCHEDULER_PID", "0"))
    if scheduler and sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
        if os.getppid() != scheduler:  # it died before the line above
            os.kill(os.getpid(), signal.SIGTERM)


def run(request: Path) -> int:
    """Train the attempt that a request file describes."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    attempt = attempt_from_dict(json.loads(request.read_text()))
    folder = CellFolder(Path(attempt.folder))
    paths = folder.attempt(attempt.number)
    with Journal(paths.journal) as journal:
        try:
            return train(attempt, folder, journal, stopped)
        except BaseException as error:  # whatever it was, the journal is where people look for it
            kind, reason = classify(error)
            write_traceback(paths)
            journal.write("artifact", path=f"{paths.root.name}/{paths.traceback.name}")
            journal.write("end", state="failed", kind=kind, reason=f"{reason} (traceback: {paths.traceback})")
            return EXIT_FAILED


def train(attempt: Attempt, folder: CellFolder, journal: Journal, stopped: list[int]) -> int:
    """Import torch, write down where this runs, and train."""
    import torch

    from bench.worker import train as training

    environment = describe_environment(torch, attempt)
    write_atomically(folder.environment, json.dumps(environment, indent=1, sort_keys=True))
    journal.write(
        "start",
        attempt=attempt.number,
        pid=os.getpid(),
        host=platform.node(),
        device=attempt.device,
        device_name=environment["device_name"],
        threads=attempt.threads,
        epochs=attempt.cell.recipe.epochs,
        environment=environment,
    )
    try:
        training.run(attempt, journal, stop=lambda: bool(stopped))
    except training.InterruptedTrainingError:
        journal.write("end", state="interrupted", kind="", reason="interrupted; goes on where it stopped")
        return EXIT_INTERRUPTED
    return 0


def classify(error: BaseException) -> tuple[str, str]:
    """The kind of a failure and a sentence for it."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "oom", f"out of memory: {first_line(error)}"
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, BenchError):
        return "error", str(error)
    return "error", f"{type(error).__name__}: {first_line(error)}"


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
        name = f"{cpu_name()}, {attempt.threads} thread{'s' if attempt.threads > 1 else ''}"
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
        "threads": str(attempt.threads),
        **versions,
    }


def cpu_name() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def answer_measure(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Params and FLOPs of each request, or its error."""
    from bench.worker.measure import main as measure

    return measure(requests)


def answer_pack(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pack each ``{"dataset", "input_size", "data_home"}``; answers have counts and digest, or an error."""
    from bench.worker.data.pack import pack

    answers = []
    for request in requests:
        try:
            packed = pack(request["dataset"], request["input_size"], Path(request["data_home"]))
        except BenchError as error:
            answers.append({**request, "error": str(error)})
            continue
        answers.append(
            {
                **request,
                "classes": len(packed.classes),
                "train_images": len(packed.train_labels),
                "test_images": len(packed.test_labels),
                "digest": packed.digest,
            }
        )
    return answers


if __name__ == "__main__":
    sys.exit(main())
