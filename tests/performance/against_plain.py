"""Print how much sooner ``bench run`` ends than the plain script that people write, as whole processes.

    python tests/performance/against_plain.py FOLDER [REPEATS]

FOLDER has train/CLASS/ and test/CLASS/ of 32-pixel images. Both train two epochs in fp32 and test each. bench's
time holds everything: start-up, a new MLflow store, and decoding; ``again`` is another cell of the same data,
whose images are decoded already. Sides take turns; the medians of the ratios are printed.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

NETS = ("resnet18", "shufflenet_v2_x0_5")
EPOCHS = 2
SUITE = """suite: {name}
recipe:
  {{epochs: 2, batch_size: 128, stem: standard, input_size: 32, augment: [random_crop, horizontal_flip],
   optimizer: {{name: sgd, lr: 0.1, momentum: 0.9, weight_decay: 5.0e-4, nesterov: true}}}}
cells:
  - {{model: {model}, dataset: "folder:{folder}", schedule: cosine, seed: {seed}}}
"""


def wall_s(command: list[str], folder: Path, environment: Mapping[str, str]) -> float:
    """Seconds that a command takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - began


def bench_s(model: str, images: str, project: Path) -> tuple[float, float]:
    """Seconds of the first ``bench run`` in an empty folder, and of one more cell."""
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    environment = {"BENCH_HOME": str(project / ".bench"), "BENCH_DATA": str(project / "data")}
    times = []
    for seed in range(2):
        name = f"plain{seed}"
        (project / f"{name}.yaml").write_text(SUITE.format(name=name, model=model, folder=images, seed=seed))
        command = [sys.executable, "-m", "bench", "run", f"{name}.yaml", "--device", "cpu"]
        times.append(wall_s(command, project, environment))
    return times[0], times[1]


def main() -> None:
    """Measure and print."""
    images, repeats = str(Path(sys.argv[1]).absolute()), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    plain = str(Path(__file__).with_name("plain_training.py").absolute())
    print(f"{'net':<22}{'plain s':>9}{'bench s':>9}{'again s':>9}{'ratio':>8}{'again':>8}")
    for model in NETS:
        sides = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as name:
                project = Path(name)
                theirs = wall_s([sys.executable, plain, images, model, str(EPOCHS)], project, {})
                first, again = bench_s(model, images, project / "bench")
                sides.append((theirs, first, again))
        theirs, first, again = (statistics.median(side) for side in zip(*sides, strict=True))
        ratio = statistics.median(each[0] / each[1] for each in sides)
        ratio_again = statistics.median(each[0] / each[2] for each in sides)
        print(f"{model:<22}{theirs:>9.1f}{first:>9.1f}{again:>9.1f}{ratio:>8.2f}{ratio_again:>8.2f}")


if __name__ == "__main__":
    main()
