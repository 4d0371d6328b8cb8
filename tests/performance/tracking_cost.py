"""Print what tracking costs a cell: the same training with a sqlite store and with --offline.

Run ``python tests/performance/tracking_cost.py [REPEATS [EPOCHS]]``. Each repeat is two whole ``bench run`` of one
cell, in turn with a store and without one, each in a folder of its own, first one and then the other. Compared are the
seconds of all epochs as the journal tells them, the seconds from the journal's start to its end, and the processor
seconds of the scheduler's own process, whose forwarder shares the cores with training. Shown are the medians of both
sides, and the median of the pairs' ratios with the smallest and the largest.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = """suite: cost
recipe: {{epochs: {epochs}, batch_size: 64}}
cells: [{{model: resnet18, dataset: digits, schedule: cosine}}]
"""
SIDES = {"offline": ["--offline"], "sqlite": []}
FIGURES = ("epochs s", "cell s", "scheduler cpu s")


def train(folder: Path, arguments: list[str], epochs: int) -> tuple[float, ...]:
    """Run the cell and return :data:`FIGURES`."""
    folder.mkdir()
    (folder / "cost.yaml").write_text(SUITE.format(epochs=epochs))
    command = [sys.executable, "-m", "bench", "run", "cost.yaml", "--device", "cpu", *arguments]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((folder / "log.txt").read_text())
    (journal,) = folder.glob(".bench/cells/*/attempt-1/journal.jsonl")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    epoch_s = sum(event["epoch_s"] for event in events if event["event"] == "epoch")
    return epoch_s, (events[-1]["time_ms"] - events[0]["time_ms"]) / 1000, usage.ru_utime + usage.ru_stime


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
    print(f"resnet18 on digits, {epochs} epochs, {repeats} pairs")
    print(f"{'':<18}{'offline':>9}{'sqlite':>9}{'ratio':>8}{'from':>8}{'to':>8}")
    for index, name in enumerate(FIGURES):
        without, with_store = ([figures[index] for figures in found[side]] for side in SIDES)
        ratios = [one / other for one, other in zip(with_store, without, strict=True)]
        medians = f"{statistics.median(without):>9.2f}{statistics.median(with_store):>9.2f}"
        print(f"{name:<18}{medians}{statistics.median(ratios):>8.3f}{min(ratios):>8.3f}{max(ratios):>8.3f}")


if __name__ == "__main__":
    main()
