"""Print how long a slot is idle between two cells, against a worker that is started as a fresh Python.

    python tests/benchmarks/overhead.py [FOLDER] [CELLS]

FOLDER has train/CLASS/ and test/CLASS/ of 32-pixel images; without it the embedded digits are used. One slot runs one
cell after the other: the time from a cell's last event to the first training batch of the next net. Also printed: the
memory in use, without caches, before and after the cells, to see that it is freed.
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

NET = '''
import os, time
from torchvision.models import shufflenet_v2_x0_5


class Net(shufflenet_v2_x0_5().__class__):
    """The net, which writes down when it sees its first training batch."""

    seen = False

    def forward(self, images):
        if self.training and not self.seen:
            self.seen = True
            with open(os.environ["FIRST_STEPS"], "a") as file:
                file.write(f"{time.time()}\\n")
        return super().forward(images)


def net(num_classes):
    return Net([4, 8, 4], [24, 48, 96, 192, 1024], num_classes=num_classes)
'''
SUITE = """suite: overhead
recipe: {{epochs: 1, batch_size: 128, stem: standard, input_size: {size}, optimizer: {{name: sgd, lr: 0.01}}}}
grid: {{model: "nets.py:net", dataset: "{dataset}", schedule: cosine, seed: {seeds}}}
"""


def used_mb() -> float:
    """Memory in use on this machine, caches not counted."""
    memory = psutil.virtual_memory()
    return float(memory.total - memory.available) / 1e6


def idle_s(project: Path, dataset: str, size: int, cells: int) -> list[float]:
    """Seconds between the end of each cell and the first step of the next one."""
    (project / "nets.py").write_text(NET)
    (project / "overhead.yaml").write_text(SUITE.format(size=size, dataset=dataset, seeds=list(range(cells))))
    steps = project / "steps"
    environment = {
        "BENCH_HOME": str(project / ".bench"),
        "BENCH_DATA": str(project / "data"),
        "FIRST_STEPS": str(steps),
        "XDG_CACHE_HOME": str(project / "cache"),
    }
    subprocess.run(
        [sys.executable, "-m", "bench", "run", "overhead.yaml", "--device", "cpu", "--slots-per-device", "1"],
        cwd=project, env={**os.environ, **environment}, check=True, capture_output=True,
    )  # fmt: skip
    # trials of speed, if there are any, go before the cells
    begun = sorted(float(line) for line in steps.read_text().splitlines())[-cells:]
    ended = sorted(
        json.loads(journal.read_text().splitlines()[-1])["time_ms"] / 1000
        for journal in project.glob(".bench/cells/*/attempt-1/journal.jsonl")
    )
    return [first - end for end, first in zip(ended, begun[1:], strict=False)]


def fresh_s() -> float:
    """Seconds that a fresh Python takes to import what a worker needs."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import bench.worker.preload"], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    named = len(sys.argv) > 1
    dataset, size = (f"folder:{Path(sys.argv[1]).absolute()}", 32) if named else ("digits", 32)
    cells = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as name:
        before = used_mb()
        idle = idle_s(Path(name), dataset, size, cells)
        after = used_mb()
    fresh = statistics.median(fresh_s() for _ in range(3))
    median = statistics.median(idle)
    print(f"{len(idle)} times from a free slot to the next cell's first step")
    print(f"idle s: median {median:.2f}, {min(idle):.2f} to {max(idle):.2f}")
    print(f"a fresh Python with torch: {fresh:.2f} s, {fresh / median:.1f} times as long, before it does anything")
    print(f"memory in use: {before:.0f} MB before, {after:.0f} MB after")


if __name__ == "__main__":
    main()
