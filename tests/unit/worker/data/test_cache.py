"""Prepared folders that are created once, under a lock, and read back."""

import threading
from pathlib import Path

import pytest

from bench.errors import DataError
from bench.worker.data.cache import get_or_create


def content_of(folder: Path) -> str | None:
    file = folder / "content"
    return file.read_text() if file.is_file() else None


def create(folder: Path, content: str = "whole") -> None:
    folder.mkdir()
    (folder / "content").write_text(content)


def test_get_or_create_reads_what_is_there_without_creating_it(tmp_path: Path) -> None:
    create(tmp_path / "a")

    def never() -> None:
        raise AssertionError

    assert get_or_create(tmp_path / "a", lambda: content_of(tmp_path / "a"), never) == "whole"


def test_get_or_create_makes_missing_folders_above(tmp_path: Path) -> None:
    folder = tmp_path / "packed" / "a"
    assert get_or_create(folder, lambda: content_of(folder), lambda: create(folder)) == "whole"


def test_get_or_create_creates_once_for_threads_that_ask_at_once(tmp_path: Path) -> None:
    folder, created, contents = tmp_path / "a", [], []
    start = threading.Barrier(4)

    def make() -> None:
        created.append(1)
        create(folder)

    def ask() -> None:
        start.wait()
        contents.append(get_or_create(folder, lambda: content_of(folder), make))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (len(created), contents) == (1, ["whole"] * 4)


def test_get_or_create_reports_a_folder_that_cannot_be_read_back(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a was written but cannot be read back"):
        get_or_create(tmp_path / "a", lambda: None, lambda: create(tmp_path / "a"))
