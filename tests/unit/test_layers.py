"""The layers of the package: they hold, and every import that breaks them is noticed.

Forbidden imports are planted in a copy of the package, all at once: import-linter must name each of them.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = [layer.split(" | ") for contract in CONTRACTS for layer in contract.get("layers", [])]
ROOMS = [room for layer in LAYERS for room in layer]
WORKER_LIBRARIES = ("torch", "torchvision", "timm", "fvcore")

FORBIDDEN = [
    *((room, f"bench.{above}") for i, layer in enumerate(LAYERS) for room in layer for above in chain(*LAYERS[:i])),
    *((room, f"bench.{sibling}") for layer in LAYERS for room in layer for sibling in layer if sibling != room),
    *((room, library) for room in ROOMS if room != "worker" for library in WORKER_LIBRARIES),
    *((room, "mlflow") for room in ROOMS if room != "tracking"),
]
"""Every import that no room may contain: (room, what it imports)."""


@dataclass(frozen=True)
class Report:
    holds: bool
    text: str


def lint(root: Path) -> Report:
    """Run import-linter on the package below a folder."""
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--config",
        str(root / "pyproject.toml"),
        "--no-cache",
    ]
    environment = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "1000"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return Report(holds=done.returncode == 0, text=done.stdout + done.stderr)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package with its contracts, free to be broken."""
    shutil.copytree(ROOT / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(root: Path, room: str, imported: str) -> str:
    """Add an import to a room. Returns the name of the module that now contains it."""
    package = root / "bench" / room
    path = package / "planted.py" if package.is_dir() else package.with_suffix(".py")
    with path.open("a") as stream:
        stream.write(f"\nimport {imported}\n")
    return f"bench.{room}.planted" if package.is_dir() else f"bench.{room}"


def test_the_layers_hold() -> None:
    report = lint(ROOT)
    assert report.holds, report.text


def test_every_forbidden_import_is_noticed(copy: Path) -> None:
    planted = [f"{plant(copy, room, imported)} -> {imported} (" for room, imported in FORBIDDEN]
    report = lint(copy)
    assert not report.holds
    assert not [line for line in planted if line not in report.text]


@pytest.mark.parametrize(
    ("room", "imported"),
    [
        ("scheduler", "bench.worker.train"),
        ("worker", "bench.scheduler.loop"),
        ("values", "bench.catalog.models"),
        ("tracking", "bench.report.table"),
        ("datasets", "bench.suite"),
        ("values", "torch"),
        ("workspace", "torch"),
        ("cli", "mlflow"),
    ],
)
def test_one_forbidden_import_alone_breaks_a_contract(copy: Path, room: str, imported: str) -> None:
    module = plant(copy, room, imported)
    report = lint(copy)
    assert not report.holds
    assert f"{module} -> {imported} (" in report.text


def test_a_room_that_no_layer_names_breaks_the_contract(copy: Path) -> None:
    (copy / "bench" / "attic.py").write_text('"""Belongs nowhere."""\n')
    report = lint(copy)
    assert not report.holds
    assert "attic" in report.text
