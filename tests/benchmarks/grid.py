"""Print how much sooner a grid of small cells ends than the same cells as separate commands, one after the other.

    python tests/benchmarks/grid.py FOLDER [CELLS]

FOLDER has train/CLASS/ and test/CLASS/ of 32-pixel images. Each side starts with an empty folder; the images are
decoded before. Also printed: the predicted time of the grid, which needs one cell that ran before.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = """suite: {name}
recipe:
  {{epochs: {epochs}, batch_size: 128, stem: standard, input_size: 32, augment: [random_crop, horizontal_flip],
   optimizer: {{name: sgd, lr: 0.01}}}}
grid: {{model: {models}, dataset: "folder:{folder}", schedule: cosine, seed: {seeds}}}
"""
MODELS = ("shufflenet_v2_x0_5", "mnasnet0_5", "squeezenet1_1")
EPOCHS = 1


def run(project: Path, name: str, folder: str, models: list[str], seeds: list[int]) -> tuple[float, str]:
    """Seconds of a ``bench run``, and what it said."""
    (project / f"{name}.yaml").write_text(
        SUITE.format(name=name, epochs=EPOCHS, models=list(models), folder=folder, seeds=seeds)
    )
    environment = {**os.environ, "BENCH_HOME": str(project / ".bench"), "BENCH_DATA": str(project.parent / "data")}
    environment["XDG_CACHE_HOME"] = str(project / "cache")  # what was measured before must not help one side
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", f"{name}.yaml", "--device", "cpu"],
        cwd=project, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return time.perf_counter() - began, done.stderr


def main() -> None:
    """Measure and print."""
    folder = str(Path(sys.argv[1]).absolute())
    cells = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    seeds = list(range(cells // len(MODELS)))
    with tempfile.TemporaryDirectory() as name:
        projects = [Path(name) / side for side in ("warm-up", "separate", "grid")]
        for project in projects:
            project.mkdir()
        run(projects[0], "warm", folder, [MODELS[0]], [0])  # decodes the images
        separate = [
            run(projects[1], f"cell{index}-{seed}", folder, [model], [seed])[0]
            for index, model in enumerate(MODELS)
            for seed in seeds
        ]
        run(projects[2], "before", folder, list(MODELS), [99])  # what a prediction is made from
        together, said = run(projects[2], "grid", folder, list(MODELS), seeds)
    print(f"{len(separate)} cells as separate commands: {sum(separate):.1f} s")
    print(f"as one grid: {together:.1f} s, {together / sum(separate):.2f} of it")
    found = re.search(r"ran for (.*), predicted (.*)", said)
    print(f"its cells ran for {found[1]}, predicted {found[2]}" if found else "nothing was predicted")


if __name__ == "__main__":
    main()
