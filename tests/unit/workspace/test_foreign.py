"""Folders from somebody else: which files of them are used."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.journals import write_complete

from bench.values import Cell
from bench.workspace.events import ArtifactWritten
from bench.workspace.foreign import is_own_file, line_of, stray_file
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder


@pytest.fixture
def folder(tmp_path: Path, make_cell: Callable[..., Cell]) -> CellFolder:
    folder = CellFolder.of(tmp_path / "home", make_cell().id)
    write_complete(folder)
    return folder


class TestStrayFile:
    def test_a_folder_of_plain_files_has_none_even_below_a_link(self, folder: CellFolder, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").symlink_to(folder.home)
        assert stray_file(folder) is None
        assert stray_file(CellFolder.of(tmp_path / "elsewhere", folder.root.name)) is None

    @pytest.mark.parametrize("name", ["tracking.json", "tracking.lock", "cell.json", "attempt-1/attempt.json", "lock"])
    def test_a_link_that_leads_out_is_one(self, folder: CellFolder, tmp_path: Path, name: str) -> None:
        (tmp_path / "outside").touch()
        (folder.root / name).symlink_to(tmp_path / "outside")
        assert stray_file(folder) == folder.root / name

    def test_a_link_to_nothing_and_a_pipe_are_strays_too(self, folder: CellFolder, tmp_path: Path) -> None:
        folder.tracking.symlink_to(tmp_path / "to-be-made")
        assert stray_file(folder) == folder.tracking
        folder.tracking.unlink()
        os.mkfifo(folder.lock)
        assert stray_file(folder) == folder.lock

    def test_a_folder_of_attempts_that_leads_out_is_one(self, folder: CellFolder, tmp_path: Path) -> None:
        (folder.root / "attempt-1").rename(tmp_path / "moved")
        (folder.root / "attempt-1").symlink_to(tmp_path / "moved")
        assert stray_file(folder) == folder.attempt(1).journal


def test_is_own_file_takes_links_inside_the_folder_and_no_loops(folder: CellFolder) -> None:
    (folder.root / "link").symlink_to("attempt-1/journal.jsonl")
    (folder.root / "loop").symlink_to("loop")
    assert is_own_file(folder.root / "link", folder)
    assert not is_own_file(folder.root / "loop", folder)
    assert not is_own_file(folder.root / "a\0b", folder)


def test_line_of_counts_from_one_and_skips_nothing(folder: CellFolder) -> None:
    with folder.attempt(1).journal.open("a") as stream:
        stream.write("not a line of a journal\n")
    with Journal(folder.attempt(1).journal) as journal:
        journal.write(ArtifactWritten(path="x"))
    lines = folder.attempt(1).journal.read_text().splitlines()
    from bench.workspace.journal import read_from

    event = read_from(folder.attempt(1).journal)[0][-1]
    assert line_of(event, folder) == f"{folder.attempt(1).journal}:{len(lines)}"
    assert line_of(ArtifactWritten(path="y"), folder) == str(folder.root)
