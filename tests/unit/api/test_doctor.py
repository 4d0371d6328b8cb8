"""The checks of a machine."""

from pathlib import Path

import pytest

from bench.api import doctor
from bench.api.doctor import LOW_DISK_GB, devices, disk, examine, store, versions


def test_examine_covers_every_topic_and_creates_nothing(project: Path) -> None:
    topics = {finding.topic for finding in examine()}
    assert {"versions", "CPU", "GPU", "cells", "data", "data sets", "store"} <= topics
    assert list(project.iterdir()) == []


def test_store_says_what_is_wrong_with_a_file_that_is_no_database(project: Path) -> None:
    (project / "mlflow.db").write_text("no database")
    finding = store(None)
    assert finding.state == "problem"
    assert "is not a sqlite database" in finding.text


def test_disk_names_the_variable_that_moves_a_folder_from_a_full_disk(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK_GB", 10**9)
    assert LOW_DISK_GB < 10**9
    cells, data = disk()
    assert (cells.state, data.state) == ("warning", "warning")
    assert "set BENCH_HOME" in cells.text
    assert "set BENCH_DATA" in data.text


def test_devices_reports_a_gpu_that_a_cpu_build_of_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.scheduler.devices.gpus", lambda: ["0"])
    monkeypatch.setattr(doctor, "cuda_of_torch", lambda: None)
    assert [finding.state for finding in devices()] == ["ok", "problem"]
    assert "CPU build" in devices()[1].text


def test_versions_reports_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    real = metadata.version

    def version(name: str) -> str:
        if name == "timm":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert [(finding.state, "not installed: timm" in finding.text) for finding in versions()] == [
        ("ok", False),
        ("problem", True),
    ]
