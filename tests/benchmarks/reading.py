"""Print how long bench takes to start and to read: help, a plan of 10,000 cells, a report over 10,000 runs in sqlite.

    python tests/benchmarks/reading.py [REPEATS]

Each figure is the median of interleaved repeats in their own processes, with their peak memory. The last lines compare
the report's fast path with MLflow's public API, in seconds, as a ratio and byte for byte. The store is filled in a
temporary folder with 10,000 runs of 30 metrics, 12 params and the tags that bench writes, which takes half a minute.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

if TYPE_CHECKING:
    from bench.values import Suite

MODELS = ["resnet18", "resnet34", "resnet50", "mobilenet_v2", "vgg11_bn", "densenet121", "googlenet"]
MODELS += ["resnext29_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"]
SUITE = """suite: large
description: ten thousand cells
recipe: {{epochs: 20}}
schedules:
  step: {{kind: step, step_size: 10}}
grid:
  model: [{models}]
  dataset: cifar10
  schedule: [step, cosine]
  seed: [{seeds}]
"""
METRICS = [f"{part}/{name}" for part in ("train", "test", "speed") for name in "abcdefghij"]
COMMANDS = {
    "bench --help": ["--help"],
    "bench plan, no store": ["plan", "large.yaml", "--tracking-uri", "sqlite:///none.db"],
    "bench plan, 10,000 runs": ["plan", "large.yaml"],
    "bench plan --json, 10,000 runs": ["plan", "large.yaml", "--json"],
    "bench report": ["report"],
    "bench report SUITE": ["report", "large.yaml"],
    "bench report --format json": ["report", "--format", "json"],
    "bench report --format csv": ["report", "--format", "csv"],
    "bench status": ["status", "large.yaml"],
}
PUBLIC = """
import sys
from bench.api.outcomes import stored_suites
from bench.api.reports import render_suites
from bench.tracking import Store
store = Store(sys.argv[1], direct=sys.argv[2] == "direct")
sys.stdout.write(render_suites(stored_suites(store), store, sys.argv[3], False)[0])
"""


def run(command: Sequence[str]) -> tuple[float, float, str]:
    """Wall seconds, peak MB and the output's hash of a process.

    A process counts the memory of the one that it was forked from as its own, so this one stays small.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)}: {errors.read().decode()}")
    return took, usage.ru_maxrss / 1024, sha256(output).hexdigest()


def make_store(suite: "Suite") -> None:
    """Fill ``mlflow.db`` in the current folder with a run a cell."""
    from helpers.mlflow_db import empty_store, fill, fill_suite_run, run_of

    from bench.values import Cost, Outcome

    database = Path("mlflow.db").absolute()
    empty_store(database)
    cost = Cost(params=11_173_962, flops=556_651_520, conv_linear_macs=555_000_000, torch_macs=555_000_000)
    metrics = {name: number / 7 for number, name in enumerate(METRICS)}
    runs = []
    for number, cell in enumerate(suite.cells):
        outcome = Outcome(
            cell_id=cell.id,
            state="complete",
            epochs_done=20,
            epochs=20,
            top1=90 + number / len(suite.cells),
            top5=99.5,
            test_loss=0.25,
            best_top1=91.5,
            cost=cost,
            images_per_s=1234.5 + number % 100,
            epoch_s=40.5 + number % 10,
            peak_mb=1024.0,
            total_s=812.0,
            attempts=1,
            device="a GPU",
            commit="0123456789abcdef0123456789abcdef01234567",
            fingerprint={"data": "d" * 64, "protocol": "1", "device": "cuda"},
        )
        runs.append(run_of(cell, outcome, suite.name, start_ms=1_700_000_000_000 + number, metrics=metrics))
        runs[-1] = replace(runs[-1], params=dict(list(runs[-1].params.items())[:12]))
    fill(database, suite.name, [*runs, fill_suite_run(database, suite)])


def keep_costs(suite: "Suite") -> None:
    """Keep a figure for every net where ``bench plan`` looks, as if each had been measured once."""
    from bench.scheduler.costs import costs_of
    from bench.values import Cost

    cost = Cost(params=11_173_962, flops=556_651_520, conv_linear_macs=555_000_000, torch_macs=555_000_000)
    costs_of(suite.cells, lambda _: 10, Path(".bench").absolute(), ask=lambda requests, **_: [cost for _ in requests])


def fill_folder() -> None:
    """Write the suite, its store and the costs of its nets into the current folder."""
    from bench.suite import load_suite

    text = SUITE.format(models=", ".join(MODELS), seeds=", ".join(str(seed) for seed in range(500)))
    Path("large.yaml").write_text(text)
    suite = load_suite("large.yaml")
    make_store(suite)
    keep_costs(suite)


def main() -> None:
    """Measure and print."""
    if sys.argv[1:] == ["--fill"]:
        fill_folder()
        return
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    script = Path(__file__).absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in ("BENCH_HOME", "MLFLOW_TRACKING_URI"):
            os.environ.pop(name, None)
        os.environ["BENCH_DATA"] = str(Path("data").absolute())
        subprocess.run([sys.executable, str(script), "--fill"], check=True)
        size_mb = Path("mlflow.db").stat().st_size / 1e6
        print(f"10000 cells, a store of {size_mb:.0f} MB, median of {repeats}")
        measured: dict[str, list[tuple[float, float, str]]] = {name: [] for name in COMMANDS}
        for _ in range(repeats):
            for name, arguments in COMMANDS.items():
                measured[name].append(run([sys.executable, "-m", "bench", *arguments]))
        print(f"{'command':<34}{'wall s':>8}{'peak MB':>9}")
        for name, found in measured.items():
            print(f"{name:<34}{statistics.median(f[0] for f in found):>8.2f}{max(f[1] for f in found):>9.0f}")
        print(f"{'report both ways':<34}{'direct s':>8}{'public s':>9}{'ratio':>8}  same bytes")
        uri = f"sqlite:///{Path('mlflow.db').absolute()}"
        for format_ in ("markdown", "json", "csv"):
            sides = {side: run([sys.executable, "-c", PUBLIC, uri, side, format_]) for side in ("direct", "public")}
            direct, public = sides["direct"], sides["public"]
            same = "yes" if direct[2] == public[2] else "NO"
            print(f"{format_:<34}{direct[0]:>8.2f}{public[0]:>9.2f}{public[0] / direct[0]:>8.1f}  {same}")


if __name__ == "__main__":
    main()
