"""What bench/README.md says under "Add something" is done to a copy of the package, and works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = """
suite: extended
recipe: {epochs: 2, batch_size: 64, zero_head: true, optimizer: {name: sgd, lr: 0.05}}
schedules: {falling: {kind: polynomial, power: 2.0}}
grid: {model: my_net, dataset: my_set, schedule: falling}
"""


def insert(text: str, place: str, code: str) -> str:
    """The text of a file with code added: at the end of a registry or class, or before a line."""
    if place.startswith("before "):
        line = place.removeprefix("before ").strip("`")
        indent = re.match(" *", line)[0]  # type: ignore[index]
        assert text.count(line) == 1, line
        return text.replace(line, "".join(f"{indent}{row}\n" for row in code.splitlines()) + line)
    kind, name = re.fullmatch(r"in (class )?(\w+)", place).groups()  # type: ignore[union-attr]
    opening = re.search(rf"^class {name}\b.*:$" if kind else rf"^{name}\b.*= \{{$", text, re.MULTILINE)
    assert opening, place
    closing = re.compile(r"\n\n\n" if kind else r"^\}", re.MULTILINE).search(text, opening.end())
    assert closing, place
    rows = "".join(f"    {row}\n" if row else "\n" for row in code.splitlines())
    return text[: closing.start()] + ("\n" + rows.rstrip("\n") if kind else rows) + text[closing.start() :]


@pytest.fixture
def extended(project: Path) -> Path:
    """A folder with a copy of the package that has everything that the page shows."""
    shutil.copytree(ROOT / "bench", project / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    page = (ROOT / "bench" / "README.md").read_text()
    blocks = re.findall(r"```python\n# ([^\n]+): (bench/\S+)\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 9
    for place, file, code in blocks:
        path = project / file
        path.write_text(code if place == "new file" else insert(path.read_text(), place, code))
    (project / "extended.yaml").write_text(SUITE)
    return project


def bench(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_page_shows_can_be_added_and_used(extended: Path) -> None:
    table = bench(extended, "run", "extended.yaml", "--device", "cpu")
    assert "| my\\_net" in table or "| my_net" in table
    assert "100.00" in table, "a linear net tells left from right"
    assert "zero head" in table, "the recipe under the table"
    assert bench(extended, "report", "extended.yaml", "--format", "names") == "my_net\n"
    assert "| Stem" in bench(extended, "report", "extended.yaml", "--columns", "+stem")
    assert "zero_head" in bench(extended, "schema")
    assert "polynomial" in bench(extended, "schedules")
