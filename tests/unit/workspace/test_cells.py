"""Cells on disk: outcomes, lost attempts, archives, and what a store does not have yet."""

import platform
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.cells import MakeCell

from bench.values import Cell, Outcome, State, Suite, to_json
from bench.workspace.cells import (
    GONE,
    archive_attempts,
    keep_suite,
    kept_suites,
    local_history,
    local_outcomes,
    mark_lost,
    read_outcome,
    series_of,
    started_cells,
    unforwarded,
)
from bench.workspace.events import Ended, Started
from bench.workspace.files import write_atomically
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder, suite_file

MakeSuite = Callable[..., Suite]


def begin(home: Path, cell: Cell, *, host: str = "") -> CellFolder:
    folder = CellFolder.of(home, cell.id)
    with Journal(folder.attempt(1).journal) as journal:
        context = {"bench.host": host or platform.node()}
        journal.write(Started(attempt=1, epochs=2, device="cpu", context=context))
    return folder


def end(folder: CellFolder, state: State) -> None:
    with Journal(folder.attempt(1).journal) as journal:
        journal.write(Ended(state=state))
    if state == "complete":
        folder.result.write_text("{}")


class TestReadOutcome:
    def test_an_attempt_without_an_end_runs_only_while_its_lock_is_held(
        self, tmp_path: Path, make_cell: MakeCell
    ) -> None:
        folder = begin(tmp_path, make_cell())
        for lock in (folder.lock, folder.worker_lock):
            with FileLock(lock):
                assert read_outcome("c", folder).state == "running"
        outcome = read_outcome("c", folder)
        assert (outcome.state, outcome.kind, outcome.reason) == ("interrupted", "lost", GONE)

    def test_complete_without_a_result_file_is_interrupted(self, tmp_path: Path, make_cell: MakeCell) -> None:
        folder = begin(tmp_path, make_cell())
        end(folder, "complete")
        assert read_outcome("c", folder).state == "complete"
        folder.result.unlink()
        assert read_outcome("c", folder).state == "interrupted"


class TestMarkLost:
    def test_the_end_of_a_dead_attempt_is_journaled_once(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        folder = begin(tmp_path, cell)
        with FileLock(folder.worker_lock):
            assert mark_lost(make_suite(cell), tmp_path) == []
        assert mark_lost(make_suite(cell), tmp_path) == [cell]
        assert mark_lost(make_suite(cell), tmp_path) == []
        assert local_outcomes(make_suite(cell), tmp_path)[cell.id].kind == "lost"

    def test_an_attempt_of_another_host_is_left_alone(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        begin(tmp_path, make_cell(), host="elsewhere")
        assert mark_lost(make_suite(make_cell()), tmp_path) == []


class TestUnforwarded:
    @pytest.mark.parametrize(
        ("local", "stored", "expected"),
        [
            ("complete", None, True),
            ("complete", "running", True),
            ("complete", "complete", False),
            ("failed", "interrupted", True),
            ("failed", "failed", False),
            ("failed", "complete", False),
        ],
    )
    def test_a_cell_is_replayed_where_the_store_does_not_know_its_end(
        self,
        tmp_path: Path,
        make_cell: MakeCell,
        make_suite: MakeSuite,
        local: State,
        stored: State | None,
        expected: bool,
    ) -> None:
        cell = make_cell()
        end(begin(tmp_path, cell), local)
        known = {cell.id: Outcome(cell_id=cell.id, state=stored)} if stored else {}
        assert unforwarded(make_suite(cell), known, tmp_path) == ([cell] if expected else [])

    def test_a_cell_whose_run_was_deleted_in_the_store_is_not_replayed(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        end(begin(tmp_path, cell), "complete")
        assert unforwarded(make_suite(cell), {}, tmp_path, deleted={cell.id}) == []

    def test_a_running_cell_and_one_that_never_began_are_not_replayed(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        running = make_cell(seed=1)
        with FileLock(begin(tmp_path, running).lock):
            assert unforwarded(make_suite(running, make_cell(seed=2)), {}, tmp_path) == []


class TestArchiveAttempts:
    def test_everything_but_locks_moves_to_a_series_of_its_own(self, tmp_path: Path, make_cell: MakeCell) -> None:
        folder = begin(tmp_path, make_cell())
        folder.lock.touch()
        archive_attempts(folder)
        assert folder.attempts() == []
        assert folder.lock.exists()
        [old, current] = series_of(folder)
        assert current == folder
        assert [attempt.number for attempt in old.attempts()] == [1]


class TestKeepSuite:
    def test_a_suite_comes_back_and_a_damaged_one_is_left_out(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        suite = make_suite(make_cell())
        keep_suite(suite, tmp_path)
        suite_file(tmp_path, "damaged").write_text("{")
        assert kept_suites(tmp_path) == [suite]


class TestLocalHistory:
    def test_cells_come_back_with_their_outcomes(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        folder = begin(tmp_path, cell)
        end(folder, "failed")
        write_atomically(folder.cell, to_json(cell))
        CellFolder.of(tmp_path, "damaged").root.mkdir()
        CellFolder.of(tmp_path, "damaged").cell.write_text("{}")
        [(found, outcome)] = local_history(tmp_path)
        assert (found, outcome.state) == (cell, "failed")
        assert started_cells(make_suite(cell, make_cell(seed=9)), tmp_path) == [cell]
