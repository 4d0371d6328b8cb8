"""Cells by the beginning of their ids, and what can be removed: on folders as a run leaves them, without a store."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.api.cells import attempt_of, find_cell, outcome_of
from bench.api.removal import delete, find_removal, find_waste, remove, size_of
from bench.api.starter import write_suite
from bench.cli import cli
from bench.errors import DiskError, UsageError
from bench.suite import load_suite
from bench.values import Cell, State, Suite, to_json
from bench.workspace.cells import keep_suite
from bench.workspace.events import Ended, Started
from bench.workspace.journal import Journal
from bench.workspace.locks import lock_cell
from bench.workspace.paths import CellFolder, bench_home, data_home


@pytest.fixture
def suite(make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], project: Path) -> Suite:
    """A suite of two cells: one is complete, one failed."""
    suite = make_suite(make_cell(seed=0), make_cell(seed=1))
    keep_suite(suite, bench_home())
    states: tuple[State, State] = ("complete", "failed")
    for cell, state in zip(suite.cells, states, strict=True):
        folder = CellFolder.of(bench_home(), cell.id)
        with Journal(folder.attempt(1).journal) as journal:
            journal.write(Started(attempt=1, epochs=2, device="cpu"))
            journal.write(Ended(state=state, kind="error" if state == "failed" else "", reason="it broke"))
        folder.cell.write_text(to_json(cell))
        folder.attempt(1).log.write_text(f"log of {state}\n")
        folder.checkpoint(1, 0).write_bytes(b"x" * 1000)
        folder.weights.write_bytes(b"x" * 3000)
        folder.new_archive("20250101").mkdir()
    complete = CellFolder.of(bench_home(), suite.cells[0].id)
    complete.result.write_text("{}")
    complete.tracking.write_text("{}")
    return suite


def test_find_cell_takes_the_beginning_of_an_id(suite: Suite) -> None:
    for cell in suite.cells:
        others = [other.id for other in suite.cells if other != cell]
        short = next(cell.id[:n] for n in range(1, 13) if not any(other.startswith(cell.id[:n]) for other in others))
        found = find_cell(short, None)
        assert found.cell == cell
        assert [each.name for each in found.suites] == [suite.name]
    with pytest.raises(UsageError, match="no cell's id begins with 'zz'; bench plan"):
        find_cell("zz", None)
    with pytest.raises(UsageError, match="no cell's id begins with ''"):
        find_cell("", None)


def test_find_cell_lists_those_that_an_ambiguous_id_could_mean(
    make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], project: Path
) -> None:
    suite = make_suite(*(make_cell(seed=seed) for seed in range(40)))
    keep_suite(suite, bench_home())
    first = next(cell.id[0] for cell in suite.cells if sum(o.id[0] == cell.id[0] for o in suite.cells) > 1)
    with pytest.raises(UsageError, match=f"ids begin with '{first}'; type one more character:\n  {first}"):
        find_cell(first, None)


def test_outcome_of_a_cell_comes_from_its_folder(suite: Suite) -> None:
    states = [outcome_of(find_cell(cell.id, None), None).state for cell in suite.cells]
    assert states == ["complete", "failed"]


def test_attempt_of_a_cell_is_the_last_or_the_one_that_was_asked_for(suite: Suite) -> None:
    found = find_cell(suite.cells[0].id, None)
    assert attempt_of(found, None).number == attempt_of(found, 1).number == 1
    with pytest.raises(UsageError, match="has no attempt 7; there are: 1"):
        attempt_of(found, 7)


class TestRemoval:
    def test_of_a_suite_removes_its_folders_and_leaves_the_suite_file(self, suite: Suite) -> None:
        removal = find_removal(suite.name, None)
        assert removal.size > 6000
        remove(removal, None)
        assert not list((bench_home() / "cells").iterdir())
        with pytest.raises(UsageError, match="no cell's id begins with"):
            find_removal(suite.name, None)

    def test_of_a_cell_leaves_the_others(self, suite: Suite) -> None:
        remove(find_removal(suite.cells[0].id[:6], None), None)
        assert [path.name for path in (bench_home() / "cells").iterdir()] == [suite.cells[1].id]

    def test_cells_that_another_suite_has_too_stay(self, suite: Suite, make_suite: Callable[..., Suite]) -> None:
        keep_suite(make_suite(suite.cells[1], name="other"), bench_home())
        removal = find_removal(suite.name, None)
        assert removal.kept == [suite.cells[1].id]
        remove(removal, None)
        assert [path.name for path in (bench_home() / "cells").iterdir()] == [suite.cells[1].id]

    def test_a_running_cell_is_refused(self, suite: Suite) -> None:
        lock = lock_cell(CellFolder.of(bench_home(), suite.cells[0].id))
        assert lock
        try:
            with pytest.raises(UsageError, match=f"{suite.cells[0].id} is running now"):
                find_removal(suite.name, None)
            assert len(find_waste()["attempts"].paths) == 1, "of the other one"
        finally:
            lock.release()


def test_find_waste_names_what_no_table_needs(suite: Suite) -> None:
    pack = data_home() / "packed" / "digits-32-abc"
    pack.mkdir(parents=True)
    (pack / "images.npy").write_bytes(b"x" * 5000)
    waste = find_waste()
    assert {kind: len(each.paths) for kind, each in waste.items()} == {
        "packs": 1,
        "attempts": 2,
        "checkpoints": 1,
        "weights": 1,
    }
    assert waste["packs"].size == 5000
    for each in waste.values():
        delete(each.paths)
    assert all(not each.paths for each in find_waste().values())
    failed = CellFolder.of(bench_home(), suite.cells[1].id)
    assert failed.checkpoints(), "the failed cell may resume from it"
    assert failed.weights.exists(), "nobody else has them"
    assert size_of(pack) == 0


def test_delete_leaves_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    delete([tmp_path / "link", tmp_path / "missing"])
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="file/below cannot be removed: Not a directory"):
        delete([tmp_path / "file" / "below"])


class TestCommands:
    def invoke(self, *arguments: str, answer: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(cli, arguments, input=answer)
        return done.exit_code, done.output

    def test_show_says_what_is_known(self, suite: Suite) -> None:
        code, output = self.invoke("show", suite.cells[1].id)
        assert code == 0
        for text in (suite.cells[1].id, "failed (error)", "it broke", "log.txt", "shufflenet_v2_x0_5"):
            assert text in output
        assert '"state": "failed"' in self.invoke("show", suite.cells[1].id, "--json")[1]

    def test_logs_prints_the_log(self, suite: Suite) -> None:
        assert "log of failed" in self.invoke("logs", suite.cells[1].id)[1]

    def test_rm_asks_first(self, suite: Suite) -> None:
        code, output = self.invoke("rm", suite.name, answer="n\n")
        assert code == 1
        assert "nothing was removed" in output
        assert self.invoke("rm", suite.name)[0] == 1, "nobody answers"
        assert "2 folders of cells" in output
        assert len(list((bench_home() / "cells").iterdir())) == 2
        assert self.invoke("rm", suite.name, "--yes")[0] == 0
        assert not list((bench_home() / "cells").iterdir())

    def test_clean_shows_sizes_and_removes_only_what_is_named(self, suite: Suite) -> None:
        code, output = self.invoke("clean")
        assert code == 0
        assert "3.0 kB" in output
        assert find_waste()["weights"].paths
        self.invoke("clean", "weights", answer="y\n")
        assert not find_waste()["weights"].paths
        assert find_waste()["attempts"].paths

    def test_init_writes_a_suite_that_can_be_planned_and_never_replaces_a_file(self, project: Path) -> None:
        assert self.invoke("init")[0] == 0
        assert len(load_suite("first.yaml").cells) == 2
        code, output = self.invoke("init")
        assert code == 2
        assert "first.yaml exists already" in output


@pytest.mark.parametrize("name", ["a b.yaml", "-x.yaml", "ü.yaml", "first"])
def test_write_suite_finds_a_name_for_any_file(project: Path, name: str) -> None:
    write_suite(project / name)
    assert load_suite(name).cells
