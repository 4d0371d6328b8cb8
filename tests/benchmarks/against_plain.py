"""Print how much sooner ``bench run`` ends than the plain script that people write, as whole processes.

    python tests/benchmarks/against_plain.py FOLDER [REPEATS]

FOLDER has train/CLASS/ and test/CLASS/ of 32-pixel images. Both sides train two epochs in fp32 and test after each. A
time includes everything: start-up, a new MLflow store, and decoding. ``untracked`` is the plain script without MLflow;
``again`` is another cell of the same data, whose images are already decoded, and ``bf16`` one in that precision. Sides
take turns; the medians of the ratios to the tracked script are printed.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

NETS = ("resnet18", "shufflenet_v2_x0_5")
EPOCHS = 2
SIDES = ("plain, tracked", "untracked", "bench", "again", "bf16")
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


def bench_s(model: str, images: str, project: Path) -> list[float]:
    """Seconds of the first ``bench run`` in an empty folder, of one more cell, and of one more in bf16."""
    project.mkdir()
    environment = {
        "BENCH_HOME": str(project / ".bench"),
        "BENCH_DATA": str(project / "data"),
        # one cache for all turns, as a machine has that has run bench before
        "XDG_CACHE_HOME": str(project.parent.parent / "bench-cache"),
    }
    times = []
    for seed, options in enumerate(([], [], ["--set", "recipe.precision=bf16"])):
        (project / f"plain{seed}.yaml").write_text(
            SUITE.format(name=f"plain{seed}", model=model, folder=images, seed=seed)
        )
        command = [sys.executable, "-m", "bench", "run", f"plain{seed}.yaml", "--device", "cpu", *options]
        times.append(wall_s(command, project, environment))
    return times


def main() -> None:
    """Measure and print."""
    images, repeats = str(Path(sys.argv[1]).absolute()), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    plain = [sys.executable, str(Path(__file__).with_name("plain_training.py").absolute()), images]
    print("".join(f"{column:>18}" for column in ("", *SIDES)))
    with tempfile.TemporaryDirectory() as folder:
        measure(plain, images, repeats, folder)


def measure(plain: list[str], images: str, repeats: int, folder: str) -> None:
    """Take turns in a folder and print."""
    for model in NETS:
        turns = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(dir=folder) as name:
                project = Path(name)
                command = [*plain, model, str(EPOCHS)]
                untracked = wall_s(command, project, {})
                tracked = wall_s([*command, f"sqlite:///{name}/mlflow.db"], project, {})
                turns.append([tracked, untracked, *bench_s(model, images, project / "bench")])
        print(f"{model:>18}" + "".join(f"{statistics.median(side):>16.1f} s" for side in zip(*turns, strict=True)))
        ratios = [[turn[0] / side for side in turn] for turn in turns]
        print(f"{'':>18}" + "".join(f"{statistics.median(side):>16.2f} x" for side in zip(*ratios, strict=True)))


if __name__ == "__main__":
    main()
