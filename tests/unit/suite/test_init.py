"""Suite files on disk."""

from pathlib import Path

import pytest
from helpers.suites import GRID, HEAD

from bench.errors import SuiteError
from bench.suite import load_suite


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "cifar10.yaml").write_text("x")
    with pytest.raises(SuiteError, match=r"no such file \(did you mean .*cifar10.yaml\?\)"):
        load_suite(str(tmp_path / "cifar1.yaml"))


@pytest.mark.parametrize("name", ["ft", "ft.yml", "suites/ft", "ft2.yaml"])
def test_a_name_without_its_ending_or_folder_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "ft.yaml").write_text("x")
    with pytest.raises(SuiteError, match=r"did you mean suites/ft.yaml\?"):
        load_suite(name)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"suite: \xff\xfe\n")
    with pytest.raises(SuiteError, match="not UTF-8"):
        load_suite(str(tmp_path / "s.yaml"))


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xef\xbb\xbf" + (HEAD + GRID).encode())
    assert len(load_suite(str(tmp_path / "s.yaml")).cells) == 1


def test_a_folder_names_its_suites(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x")
    with pytest.raises(SuiteError, match=r"is a folder, not a suite file; it contains .*a\.yaml"):
        load_suite(str(tmp_path))
