"""Where everything is on disk, for users with and without a home."""

import getpass
import pwd
from pathlib import Path

import pytest

from bench.datasets.source import open_source
from bench.workspace.paths import data_home, empty_store_file, ensure_home, expand, speeds_file


@pytest.fixture
def no_home(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without HOME and without an entry in passwd, as in many containers."""

    def unknown(_: object) -> None:
        raise KeyError("no such user")

    for name in ("HOME", "LOGNAME", "XDG_CACHE_HOME", "BENCH_DATA"):
        monkeypatch.setenv(name, "")  # so that it is set again after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    return project


def test_a_user_without_a_home_has_the_caches_below_bench_home(no_home: Path) -> None:
    for path in (data_home(), speeds_file(), empty_store_file("1")):
        assert path.is_relative_to(no_home / ".bench" / ".cache")


def test_libraries_that_ask_for_a_home_and_a_user_get_one(no_home: Path) -> None:
    ensure_home()
    assert Path.home() == no_home / ".bench"
    assert getpass.getuser() == "unknown"


def test_a_tilde_stays_for_a_user_without_a_home(no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert expand("~/x") == Path("~/x")
    monkeypatch.setenv("BENCH_DATA", "~/data")
    assert data_home() == no_home / "~" / "data"
    assert open_source("folder:~/ds").status(no_home).state == "absent"


def test_named_folders_are_used_as_they_are_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(project / "me"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert speeds_file() == project / "me" / ".cache" / "bench" / "speeds.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert speeds_file() == project / "caches" / "bench" / "speeds.json"
    assert expand("~/x") == project / "me" / "x"
