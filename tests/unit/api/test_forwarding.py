"""``bench sync`` of a folder from somebody else, as far as it goes without a store."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.journals import write_complete

from bench.api.forwarding import journals_of
from bench.values import Cell, Suite, to_json
from bench.workspace.cells import keep_suite
from bench.workspace.paths import CellFolder


@pytest.fixture
def folder(project: Path, make_cell: Callable[..., Cell]) -> CellFolder:
    """A cell's folder, complete, run for the suite ``mine``."""
    cell = make_cell()
    folder = CellFolder.of(project / ".bench", cell.id)
    write_complete(folder)
    folder.cell.write_text(to_json(cell))
    folder.attempt(1).request.write_text(json.dumps({"suite": "mine", "series": "1", "created_ms": 1}))
    return folder


class TestJournalsOf:
    def test_a_cell_is_found_under_the_suite_that_it_was_run_for_else_under_those_that_name_it(
        self, folder: CellFolder, make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]
    ) -> None:
        keep_suite(make_suite(make_cell(), name="another"), folder.home)
        refused: list[str] = []
        assert list(journals_of(folder.home, refused)) == ["mine"]
        folder.attempt(1).request.unlink()
        assert list(journals_of(folder.home, refused)) == ["another"]
        assert refused == []

    @pytest.mark.parametrize("name", ["../../x", "/x", "", 7, ["a"], "a\u0007b"])
    def test_a_name_that_is_no_suites_is_named_with_its_file(self, folder: CellFolder, name: object) -> None:
        folder.attempt(1).request.write_text(json.dumps({"suite": name}))
        refused: list[str] = []
        assert journals_of(folder.home, refused) == {}
        assert refused == [
            f"{folder.attempt(1).request}: {name!r} is no name of a suite; what was run for it is left out"
        ]

    def test_a_suite_with_such_a_name_is_left_out(
        self, folder: CellFolder, make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]
    ) -> None:
        (folder.home / "suites").mkdir()
        (folder.home / "suites" / "x.json").write_text(to_json(make_suite(make_cell(), name="../x")))
        refused: list[str] = []
        assert list(journals_of(folder.home, refused)) == ["mine"]
        assert "'../x' is no name of a suite" in refused[0]

    def test_a_cell_whose_journal_is_a_link_out_of_its_folder_is_left_out(
        self, folder: CellFolder, project: Path
    ) -> None:
        journal = folder.attempt(1).journal
        journal.rename(project / "somebody-elses")
        journal.symlink_to(project / "somebody-elses")
        refused: list[str] = []
        assert journals_of(folder.home, refused) == {}
        assert refused == [f"{journal}: it is no file of this folder but a link or a device; the cell is left out"]
