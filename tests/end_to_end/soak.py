"""Soak: a suite of 20 small cells whose workers and schedulers are killed at random, compared with an undisturbed run.

    python tests/end_to_end/soak.py --minutes 10 --seed 0

Kills for that long, lets the suite end, and compares all weights, all metric points in MLflow and the table with a run
of the same suite that nobody disturbed. Exit code 1 if anything was lost, doubled or different. Not part of the tests:
it takes about 15 minutes on two cores.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.cli import bench, epochs_of, fork_servers, runs, table_of, weights_of, workers
from helpers.nets import TINY_MODEL

EPOCHS, SEEDS = 90, 10
SUITE = f"""suite: tiny
recipe: {{epochs: {EPOCHS}, batch_size: 64, optimizer: {{name: sgd, lr: 0.05}}}}
grid:
  model: ["nets.py:Napping", "nets.py:napping_too"]
  dataset: digits
  schedule: cosine
  seed: {list(range(SEEDS))}
"""


def disturb(project: Path, minutes: float, seed: int) -> Counter[str]:
    """Run the suite while killing, then to its end. Returns how often each thing was done."""
    generator, done = random.Random(seed), Counter[str]()
    deadline = time.monotonic() + 60 * minutes
    scheduler = again(done)
    while time.monotonic() < deadline:
        time.sleep(generator.uniform(2, 8))
        if scheduler.poll() is not None:
            if scheduler.returncode == 0:
                print("the suite ended before the time did; give it more epochs", file=sys.stderr)
                break
            scheduler = again(done)
            continue
        what = generator.choices(["worker", "fork server", "scheduler", "interrupt"], weights=[15, 2, 4, 1])[0]
        if what == "worker" and (living := workers(project / ".bench")):
            kill(generator.choice(living), "workers killed", done)
        elif what == "fork server" and (living := fork_servers(project / ".bench")):
            kill(generator.choice(living), "fork servers killed", done)
        elif what == "scheduler":
            scheduler.kill()
            scheduler.wait()
            done["schedulers killed"] += 1
        elif what == "interrupt":
            scheduler.send_signal(signal.SIGINT)
            scheduler.wait(timeout=60)
            done["interrupts"] += 1
    while scheduler.wait() != 0:
        scheduler = again(done)
        if done["starts"] > 1000:
            raise SystemExit("the suite does not end")
    return done


def again(done: Counter[str]) -> "subprocess.Popen[bytes]":
    """Start the suite (again) that is disturbed."""
    done["starts"] += 1
    return begin(".bench")


def begin(home: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start ``bench run`` with a BENCH_HOME and a log of that name."""
    command = [sys.executable, "-m", "bench", "run", "tiny.yaml", "--device", "cpu", *arguments]
    with Path(f"{home}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "BENCH_HOME": home})


def kill(process: psutil.Process, what: str, done: Counter[str]) -> None:
    """SIGKILL a process that still lives."""
    try:
        process.kill()
        done[what] += 1
    except psutil.NoSuchProcess:
        return


def compare(project: Path, peaceful: Path) -> Counter[str]:
    """Count what was checked, and what was lost, doubled or different from the run that nobody disturbed."""
    found: Counter[str] = Counter()
    ours, theirs = weights_of(project / ".bench"), weights_of(peaceful)
    for cell, tensors in theirs.items():
        for name, value in tensors.items():
            found["tensors checked"] += 1
            found["different"] += not np.array_equal(value, ours[cell][name])
    expected = epochs_of(peaceful)
    stored = {run["tags"]["bench.cell"]: run for run in runs(project)}
    found["doubled"] += len(runs(project)) - len(stored)
    for cell, epochs in expected.items():
        run = stored[cell]
        found["different"] += (run["status"], run["tags"]["bench.state"]) != ("FINISHED", "complete")
        for key in next(iter(epochs.values())):
            points: dict[int, list[str]] = {}
            for step, value in run["points"].get(key, []):
                points.setdefault(step, []).append(value)
            for epoch, metrics in epochs.items():
                values = points.pop(epoch, [])
                found["points checked"] += 1
                found["lost"] += not values
                found["doubled"] += len(values) > 1
                found["different"] += bool(values) and values[-1] != metrics[key]
            found["doubled"] += len(points)
    quiet = bench("report", "tiny.yaml", "--tracking-uri", "sqlite:///none.db", env={"BENCH_HOME": str(peaceful)})
    found["different"] += table_of(bench("report", "tiny.yaml").stdout) != table_of(quiet.stdout)
    found["attempts"] = sum(int(run["tags"]["bench.attempt"]) for run in stored.values())
    return found


def main() -> int:
    """Disturb, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        os.chdir(project)
        os.environ.update(BENCH_HOME=str(project / ".bench"), BENCH_DATA=str(project / "data"), OMP_NUM_THREADS="1")
        (project / "nets.py").write_text(TINY_MODEL)
        (project / "tiny.yaml").write_text(SUITE)
        # beside the disturbed run: the nets nap more than they compute, and the two share no file
        quiet = begin("quiet", "--offline")
        done = disturb(project, options.minutes, options.seed)
        if quiet.wait():
            raise SystemExit(f"the undisturbed run failed:\n{(project / 'quiet.log').read_text()}")
        found = compare(project, project / "quiet")
        os.chdir("/")
    for name in ("starts", "workers killed", "fork servers killed", "schedulers killed", "interrupts"):
        print(f"{name:20} {done[name]:6}")
    for name in ("attempts", "tensors checked", "points checked", "lost", "doubled", "different"):
        print(f"{name:20} {found[name]:6}")
    return int(bool(found["lost"] or found["doubled"] or found["different"]))


if __name__ == "__main__":
    sys.exit(main())
