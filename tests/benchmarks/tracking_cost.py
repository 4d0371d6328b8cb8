"""Print what tracking costs cells: the same training with a sqlite store and with --offline.

    python tests/benchmarks/tracking_cost.py [REPEATS [EPOCHS]]

Each repeat is two ``bench run`` of two concurrent cells, each on half of the CPU's cores, so that any work of the
scheduler is taken from them: once with a new store and once without one, in turns, each in its own folder. Compared are
the seconds of all epochs in the journals, and the processor seconds of the scheduler, whose forwarder shares the cores
with training, from the first journal's start to the last one's end. Printed are the medians of both sides, and the
median of the pairs' ratios with the smallest and the largest. The last line does not depend on how busy the machine is:
the processor time of the store per processor time of training.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SUITE = """suite: cost
recipe: {{epochs: {epochs}, batch_size: 64}}
grid: {{model: shufflenet_v2_x1_0, dataset: digits, schedule: cosine, seed: [0, 1]}}
"""
SIDES = {"offline": ["--offline"], "sqlite": []}
FIGURES = ("epochs s", "scheduler cpu s", "whole command s")


def train(folder: Path, arguments: list[str], epochs: int) -> tuple[float, ...]:
    """Run the cells and return :data:`FIGURES`."""
    folder.mkdir()
    (folder / "cost.yaml").write_text(SUITE.format(epochs=epochs))
    command = [sys.executable, "-m", "bench", "run", "cost.yaml", "--device", "cpu", "--slots-per-device", "2"]
    began_s = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen([*command, *arguments], cwd=folder, stdout=log, stderr=log)
    first_s = last_s = 0.0
    scheduler = psutil.Process(process.pid)
    while process.poll() is None:
        journals = list(folder.glob(".bench/cells/*/attempt-1/journal.jsonl"))
        ended = sum('"event": "end"' in journal.read_text()[-2000:] for journal in journals)
        if journals and ended < 2:
            times = scheduler.cpu_times()
            last_s = times.user + times.system
            first_s = first_s or last_s
        time.sleep(0.2)
    whole_s = time.perf_counter() - began_s
    if process.returncode:
        raise SystemExit((folder / "log.txt").read_text())
    lines = [line for path in folder.glob(".bench/cells/*/attempt-1/journal.jsonl") for line in path.open()]
    epoch_s = sum(event["epoch_s"] for event in map(json.loads, lines) if event["event"] == "epoch")
    return epoch_s, last_s - first_s, whole_s


def main() -> None:
    """Measure and print."""
    repeats, epochs = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 5), (2, 40)))
    for name in ("BENCH_HOME", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    found: dict[str, list[tuple[float, ...]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_DATA"] = str(Path(folder) / "data")
        for number in range(repeats):
            for side in sorted(SIDES, reverse=bool(number % 2)):
                found[side].append(train(Path(folder) / f"{side}-{number}", SIDES[side], epochs))
                print(number, side, *(f"{value:.2f}" for value in found[side][-1]), file=sys.stderr)
    print(f"two cells of shufflenet_v2_x1_0 on digits, {epochs} epochs, {repeats} pairs")
    print(f"{'':<18}{'offline':>9}{'sqlite':>9}{'ratio':>8}{'from':>8}{'to':>8}")
    for index, name in enumerate(FIGURES):
        without, with_store = ([figures[index] for figures in found[side]] for side in SIDES)
        ratios = [one / other for one, other in zip(with_store, without, strict=True)]
        medians = f"{statistics.median(without):>9.2f}{statistics.median(with_store):>9.2f}"
        print(f"{name:<18}{medians}{statistics.median(ratios):>8.3f}{min(ratios):>8.3f}{max(ratios):>8.3f}")
    pairs = zip(found["offline"], found["sqlite"], strict=True)
    shares = [(stored[1] - offline[1]) / offline[0] for offline, stored in pairs]
    print(f"processor time of tracking, of that of training: {100 * statistics.median(shares):.2f}%")


if __name__ == "__main__":
    main()
