"""What the cases of public reports share: an empty folder each, whole commands, and the list that they are in."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
from torch import nn
def net(num_classes): return nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, num_classes))
"""
HEAD = "from torch import nn\nimport torch\n"


class Done:
    """What a command left: exit code, both streams, and both together in ``all``."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err, self.all = code, out, err, out + err
        assert "Traceback (most recent call last)" not in self.all, self.all[-600:]

    def has_figure(self, model: str) -> bool:
        """Whether the table's row of a net has a number for top-1."""
        rows = [line for line in self.out.splitlines() if line.startswith("|") and model in line.split("|")[1]]
        return any(re.search(r"\|\s*\d+\.\d+", row.split("|", 3)[3]) for row in rows)


class Folder:
    """An empty project folder with the net ``good.py:net``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.write("good.py", GOOD)

    def write(self, name: str, text: str) -> None:
        """Write a file, and the folders above it."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def suite(
        self,
        *models: str,
        name: str = "x",
        dataset: str = "digits",
        recipe: str = "",
        rest: str = "",
        epochs: int = 1,
        batch: int = 64,
    ) -> str:
        """Write a suite of nets and return its file's name."""
        file = f"{name}.yaml" if name != "x" else "s.yaml"
        self.write(
            file,
            f"suite: {name}\n"
            f"recipe: {{epochs: {epochs}, batch_size: {batch}, optimizer: {{name: sgd, lr: 0.05}}{recipe}}}\n"
            f"grid: {{model: {list(models or ['good.py:net'])}, dataset: '{dataset}', schedule: cosine}}\n{rest}",
        )
        return file

    def bench(self, *arguments: str, env: Mapping[str, str] | None = None, shell: str = "") -> Done:
        """Run a command of bench here; ``shell`` is appended to the line as a shell reads it."""
        line = [sys.executable, "-m", "bench", *arguments]
        home = {"BENCH_DATA": str(self.path / "data"), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "BENCH_"))}
        done = subprocess.run(
            ["sh", "-c", f'"$@" {shell}', "sh", *line],
            cwd=self.path,
            env={**clean, **home, **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=600,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
        """``bench run`` on the CPU, of ``s.yaml`` if no other suite is named."""
        named = any(argument.endswith(".yaml") for argument in arguments)
        return self.bench("run", *([] if named else ["s.yaml"]), *arguments, "--device", "cpu", env=env)

    def measure(self, *models: str, env: Mapping[str, str] | None = None) -> Done:
        """``bench measure`` of nets on the digits, as JSON."""
        return self.bench("measure", *models, "--dataset", "digits", "--json", env=env)

    def images(self, name: str = "ds", classes: tuple[str, ...] = ("cat", "dog"), count: int = 12) -> None:
        """Write a folder of small images, ``train`` and ``val``."""
        from PIL import Image

        for split in ("train", "val"):
            for number, label in enumerate(classes):
                folder = self.path / name / split / label
                folder.mkdir(parents=True)
                for index in range(count):
                    colour = (40 + 150 * number, index, 5 * index)
                    Image.new("RGB", (32, 32), colour).save(folder / f"{index:04d}.png")

    def forget(self) -> None:
        """Remove BENCH_HOME: only the store knows what was run."""
        shutil.rmtree(self.path / ".bench")


Case = Callable[[Folder], None]
CASES: dict[str, Case] = {}
"""By the id of the public report; a case raises AssertionError where what happens is not what is right."""


def case(name: str) -> Callable[[Case], Case]:
    """Enter a function as the case of this id."""

    def enter(function: Case) -> Case:
        CASES[name] = function
        return function

    return enter
