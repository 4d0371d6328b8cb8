"""Importing a data set from elsewhere."""

import shutil
from pathlib import Path

import pytest
from helpers.dataset_files import (
    FORMS,
    Small,
    binary,
    lay,
)

from bench.datasets.source import open_source
from bench.errors import DataError
from bench.worker.data.imported import import_dataset
from bench.worker.data.pack import pack


@pytest.mark.parametrize("format_", FORMS["cifar10"])
def test_imported_data_stays_when_its_origin_is_gone(cifar: Small, tmp_path: Path, format_: str) -> None:
    origin = lay(FORMS["cifar10"][format_](cifar), tmp_path / "elsewhere")
    card = import_dataset("cifar10", origin, tmp_path / "home")
    shutil.rmtree(origin)
    assert open_source("cifar10").status(tmp_path / "home", deep=True).state == "ready"
    assert pack("cifar10", 32, tmp_path / "home").digest == card["digest"]


def test_a_full_disk_keeps_nothing_half_imported(cifar: Small, tmp_path: Path, small_disk: Path) -> None:
    origin = lay(binary(cifar), tmp_path / "elsewhere")
    with pytest.raises(DataError, match="MB are free"):
        import_dataset("cifar10", origin, small_disk)
    assert open_source("cifar10").status(small_disk).state == "absent"


def test_a_disk_that_fills_while_arrays_are_written_keeps_nothing(
    cifar: Small, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = lay(binary(cifar), tmp_path / "elsewhere")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)  # the room was there when it was asked for
    with pytest.raises(DataError, match=r"cannot be written to .*No space left on device; set BENCH_DATA"):
        import_dataset("cifar10", origin, small_disk)
    assert [path.name for path in (small_disk / "cifar10").iterdir()] == []
    assert open_source("cifar10").status(small_disk).state == "absent"
