"""Fixtures that every test file may use: a project folder of its own, and hand-made cells and suites.

What tests import by name lies in :mod:`helpers`; this file holds fixtures only.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers.cells import MakeCell, make_small_cell
from helpers.nets import TINY_MODEL
from hypothesis import settings

from bench.values import Cell, Suite

if TYPE_CHECKING:
    from helpers.dataset_files import Small


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with BENCH_HOME and BENCH_DATA inside it and no tracking server named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / ".bench"))
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "BENCH_OFFLINE", "BENCH_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


settings.register_profile("bench", deadline=None, max_examples=50)
settings.load_profile("bench")


@pytest.fixture
def make_cell() -> MakeCell:
    """A function that makes a small cell on digits; keywords change the cell or its recipe."""

    return make_small_cell


@pytest.fixture
def make_suite() -> Callable[..., Suite]:
    """A function that makes a suite of cells."""

    def make(*cells: Cell, name: str = "test") -> Suite:
        return Suite(name=name, description="", path=f"{name}.yaml", source=f"suite: {name}\n", cells=cells)

    return make


@pytest.fixture
def tiny_models(project: Path) -> Path:
    """A file of nets in the project folder, some of which fail in a way of their own."""
    path = project / "nets.py"
    path.write_text(TINY_MODEL)
    return path


@pytest.fixture
def small_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the catalog say that ImageNet was published with the counts of the small trees."""
    from helpers.tiny_imagenet import TEST, TRAIN, shrink

    shrink(monkeypatch, "imagenet", train=3 * TRAIN, test=3 * TEST, classes=3)


@pytest.fixture
def imagenet_home(tmp_path: Path, small_imagenet: None) -> Path:
    """A data folder with a complete small ImageNet."""
    from helpers.tiny_imagenet import write_imagenet

    write_imagenet(tmp_path, "folders")
    return tmp_path


@pytest.fixture
def cifar(monkeypatch: pytest.MonkeyPatch) -> "Small":
    """A small CIFAR-10, whose counts are in the catalog."""
    from helpers.dataset_files import small

    return small("cifar10", monkeypatch)


@pytest.fixture
def fashion(monkeypatch: pytest.MonkeyPatch) -> "Small":
    """A small Fashion-MNIST, whose counts are in the catalog."""
    from helpers.dataset_files import small

    return small("fashion_mnist", monkeypatch)


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real file system of 64 kB, less than any small data set takes."""
    folder = tmp_path_factory.mktemp("disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
