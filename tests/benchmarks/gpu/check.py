"""Check and time training on a GPU in one command of at most ten minutes, with a short table last.

    python tests/benchmarks/gpu/check.py [FOLDER] [--minutes 10] [--output DIR] [--only CHECK] [--suite] [--dry]

FOLDER is an ImageFolder tree of CIFAR-10 (train/CLASS/, test/CLASS/); without it the checks that need it are skipped.
Each check runs in its own process, the most important first, as long as there is time. Findings are written to
DIR/check.jsonl as they come, and no failure stops the other checks. The exit code is 1 if a check does not hold.

``--suite`` trains the nets of suites/cifar10-fast.yaml instead, as long as there is time; the same command with the
same DIR continues, and the table is written to DIR/table.md. ``--dry`` runs what a CPU can run of each check, on tiny
data, to show that this script works; its speeds mean nothing and no target is judged.

It needs what a worker needs: torch, torchvision, timm's safetensors, scikit-learn, filelock, fvcore and simplejpeg, but
neither MLflow nor a network; ``--suite`` needs pydantic, PyYAML and Jinja2 too. For a machine without a network, run
``pip wheel -w wheels fvcore simplejpeg pydantic`` where there is one, with the same Python, copy the folder, and run
``pip install --no-index --find-links wheels fvcore simplejpeg pydantic`` there.
"""

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # the checkout, and not a bench that is installed

from benchmarks.gpu.setup import Check, Finding, Setup, environment  # noqa: E402

NEEDED = ("torch", "torchvision", "numpy", "PIL", "sklearn", "filelock", "safetensors", "fvcore", "simplejpeg")
NEEDED_FOR_SUITE = ("pydantic", "yaml", "jinja2")
RESERVE_S = 10.0
"""Time that is kept for the table."""
CHECKS = {
    "captured": "correctness",
    "no_sync": "correctness",
    "resume": "correctness",
    "agreement": "correctness",
    "accuracy": "speed",
    "limit": "speed",
    "out_of_memory": "correctness",
    "concurrent": "speed",
    "loading": "speed",
    "step_forms": "speed",
}
"""The module of each check, the most important check first. Imported when it runs: they need torch."""


def main() -> int:
    """Run the checks, print the table and return the exit code."""
    began = time.monotonic()
    options = parse()
    if problem := cannot_run(options.folder, dry=options.dry, suite=options.suite):
        print(problem, file=sys.stderr)
        return 2
    output = options.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    setup = Setup(folder=options.folder, output=output, runs=output / f"runs-{time.time_ns()}", dry=options.dry)
    if options.only:
        return run_here(options.only, setup)
    deadline = began + 60 * options.minutes - RESERVE_S
    rows = [("device", Finding(name="device", value=device_line(setup)))]
    with (output / "check.jsonl").open("a") as log:
        for name, finding in suite_findings(setup, deadline) if options.suite else all_findings(setup, deadline):
            rows.append((name, finding))
            print(f"{time.monotonic() - began:5.0f} s  {name}: {finding.name}: {finding.value}", flush=True)
            log.write(json.dumps({"check": name, "time": time.time(), **asdict(finding)}) + "\n")
            log.flush()
    print(table(rows))
    failed = sum(finding.holds is False for _, finding in rows)
    print(f"{failed} of {sum(finding.holds is not None for _, finding in rows)} checks do not hold")
    return 1 if failed else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", default="", help="ImageFolder tree of CIFAR-10")
    parser.add_argument("--minutes", type=float, default=10.0, help="time for all checks together")
    parser.add_argument("--output", type=Path, default=Path("build/gpu"), help="where findings and cells are kept")
    parser.add_argument("--only", choices=list(CHECKS), help="one check, in this process")
    parser.add_argument("--suite", action="store_true", help="train suites/cifar10-fast.yaml instead")
    parser.add_argument("--dry", action="store_true", help="what a CPU can run, on tiny data")
    return parser.parse_args()


def run_here(name: str, setup: Setup) -> int:
    """Run one check in this process and print each finding as a line of JSON."""
    check: Check = getattr(importlib.import_module(f"benchmarks.gpu.{CHECKS[name]}"), name)
    held = []
    for finding in check(setup):
        held.append(finding.holds)
        print(json.dumps(asdict(finding)), flush=True)
    if False not in held:  # otherwise journals and logs stay, to find out why
        shutil.rmtree(setup.runs, ignore_errors=True)
    return 0


def all_findings(setup: Setup, deadline: float) -> Iterator[tuple[str, Finding]]:
    """The findings of all checks, with the name of the check."""
    for name in CHECKS:
        for finding in run_check(name, setup, deadline):
            yield name, finding


def suite_findings(setup: Setup, deadline: float) -> Iterator[tuple[str, Finding]]:
    """The finding about the suite."""
    from benchmarks.gpu.fast_suite import train_suite

    for finding in train_suite(setup, deadline - RESERVE_S):
        yield "suite", finding


def cannot_run(folder: str, *, dry: bool, suite: bool) -> str:
    """Why nothing can run, in a sentence; empty if everything can."""
    names = [*NEEDED, *(NEEDED_FOR_SUITE if suite else ())]
    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        return f"missing here: {', '.join(missing)}; the first lines of {Path(__file__).name} say how to install them"
    if folder and not (Path(folder) / "train").is_dir():
        return f"{folder} has no folder train/; name an ImageFolder tree with train/CLASS/ and test/CLASS/"
    if suite and not folder and not dry:
        return "--suite needs FOLDER, an ImageFolder tree of CIFAR-10"
    import torch

    if not dry and not torch.cuda.is_available():
        return "no GPU is visible to torch; --dry runs what a CPU can run"
    return ""


def device_line(setup: Setup) -> str:
    """The hardware and the versions behind the figures."""
    import torch

    name = "CPU, dry run: no figure means anything" if setup.dry else torch.cuda.get_device_name(0)
    return f"{name}; torch {torch.__version__}, CUDA {torch.version.cuda}, Python {sys.version.split()[0]}"


def run_check(name: str, setup: Setup, deadline: float) -> Iterator[Finding]:
    """Run a check in a process of its own and yield its findings as they come."""
    if (left := deadline - time.monotonic()) < 5:
        yield Finding(name=name, value="skipped: no time left")
        return
    command = [sys.executable, str(Path(__file__)), *filter(None, [setup.folder]), "--only", name]
    command += ["--output", str(setup.output), *(["--dry"] if setup.dry else [])]
    log = setup.output / f"{name}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(), start_new_session=True
        )
        assert process.stdout is not None
        stopped = []

        def stop(*_: object) -> None:
            stopped.append(1)
            os.killpg(process.pid, signal.SIGKILL)

        previous = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    yield Finding(**json.loads(line))
            code = process.wait()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
            if process.poll() is None:  # this process was interrupted
                stop()
    if stopped:
        yield Finding(name=name, value="cut off: no time left")
    elif code:
        last = (log.read_text(errors="replace").strip().splitlines() or ["no message"])[-1]
        yield Finding(name=name, value=f"failed: {last[:200]} ({log})", target="runs", holds=False)


def table(rows: list[tuple[str, Finding]]) -> str:
    """The findings as a Markdown table."""
    holds = {True: "yes", False: "NO", None: ""}
    lines = ["| Check | What | Found | Asked | Holds |", "| --- | --- | --- | --- | --- |"]
    for name, finding in rows:
        cells = (name, finding.name, finding.value, finding.target, holds[finding.holds])
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
