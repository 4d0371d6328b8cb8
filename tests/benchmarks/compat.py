"""Print what each workaround of bench/worker/compat.py gains, against the same with BENCH_COMPAT=0.

    python tests/benchmarks/compat.py [TURNS]

Start-up: seconds until a fresh Python has imported what a worker needs. Updates: milliseconds of one optimizer step on
the CPU, weights in channels_last, gradients ready. Both sides take turns; medians, and the median of the ratios.
``matmul_conv.py`` prints what convolutions over few pixels gain.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from bench.catalog.training import OPTIMIZERS, with_defaults
from bench.worker import models
from bench.worker.compat import make_update
from bench.worker.optim import build_optimizer

UPDATES = (("resnet18", "sgd", 10), ("shufflenet_v2_x0_5", "sgd", 50), ("shufflenet_v2_x0_5", "adamw", 50))
"""Net, optimizer, and steps per turn."""


def start_up(switch: str) -> float:
    """Seconds of a fresh Python that imports what a worker needs."""
    began = time.perf_counter()
    command = [sys.executable, "-c", "import bench.worker.preload"]
    subprocess.run(command, check=True, env={**os.environ, "BENCH_COMPAT": switch})
    return time.perf_counter() - began


def updater(model: str, optimizer: str, steps: int) -> Callable[[str], float]:
    """A function that takes 1 or 0 for BENCH_COMPAT and returns milliseconds per optimizer step."""
    updates = {}
    for switch in "10":
        os.environ["BENCH_COMPAT"] = switch
        net = models.build(model, stem="small", num_classes=10, input_size=32).to(memory_format=torch.channels_last)
        choice = with_defaults(optimizer, {"lr": 1e-9}, OPTIMIZERS[optimizer].options)
        made = build_optimizer(net.parameters(), choice)
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        updates[switch] = make_update(made)
        updates[switch]()  # the first step makes the state

    def milliseconds(switch: str) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            updates[switch]()
        return 1e3 * (time.perf_counter() - began) / steps

    return milliseconds


def compare(name: str, measure: Callable[[str], float], turns: int) -> None:
    """Measure with and without the workarounds in turns, and print a line."""
    pairs = [(measure("1"), measure("0")) for _ in range(turns)]
    own, plain = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(without / active for active, without in pairs)
    print(f"{name:<34}{own:>10.3f}{plain:>16.3f}{ratio:>8.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    print(f"{'':<34}{'active':>10}{'BENCH_COMPAT=0':>16}{'ratio':>8}")
    compare("start-up of a worker, s", start_up, turns)
    for model, optimizer, steps in UPDATES:
        compare(f"{model} {optimizer} update, ms", updater(model, optimizer, steps), turns)


if __name__ == "__main__":
    main()
