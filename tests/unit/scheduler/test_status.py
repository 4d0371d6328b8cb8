"""The status of a suite's cells, from real journals."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cells import MakeCell

from bench.scheduler.status import suite_status
from bench.values import Cell, Outcome, Suite
from bench.workspace.events import EpochDone, Event, Progress, Resumed, Started
from bench.workspace.journal import Journal, fold, read_cell
from bench.workspace.paths import CellFolder

MakeSuite = Callable[..., Suite]
METRICS = {"train/loss": 0.4, "train/lr": 0.1, "test/loss": 0.5, "test/top1": 90.0, "test/top5": 99.0}
EPOCH = EpochDone(epoch=1, metrics=METRICS, epoch_s=10.0, images_per_s=100.0)


def outcome_of(home: Path, cell: Cell, *events: Event) -> Outcome:
    """Journal an attempt that still runs."""
    folder = CellFolder.of(home, cell.id)
    with Journal(folder.attempt(1).journal) as journal:
        journal.write(Started(attempt=1, epochs=cell.recipe.epochs, device="cpu"))
        for event in events:
            journal.write(event)
    return fold(cell.id, read_cell(folder))


class TestSuiteStatus:
    def test_a_running_cell_shows_its_share_speed_loss_and_time_left(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell(epochs=4)
        outcome = outcome_of(tmp_path, cell, EPOCH, Progress(epoch=2, step=3, steps=6, images_per_s=120.0))
        last = list(read_cell(CellFolder.of(tmp_path, cell.id), skip_progress=False))[-1]
        [status] = suite_status(make_suite(cell), {cell.id: outcome}, tmp_path, now_s=last.time_ms / 1000 + 7)
        assert (status.share, status.loss, status.images_per_s) == (1.5 / 4, 0.4, 120.0)
        assert status.left_s == 2.5 * 10.0
        assert status.silent_s == pytest.approx(7.0)

    def test_what_was_done_of_an_epoch_counts_no_more_when_the_attempt_resumes(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell(epochs=4)
        partly = Progress(epoch=2, step=3, steps=6, images_per_s=120.0)
        outcome = outcome_of(tmp_path, cell, EPOCH, partly, Resumed(epochs_done=1))
        [status] = suite_status(make_suite(cell), {cell.id: outcome}, tmp_path, now_s=0.0)
        assert (status.share, status.silent_s) == (0.25, 0.0)

    def test_cells_that_do_not_run_have_the_share_of_their_outcome_and_no_time_left(
        self, tmp_path: Path, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(seed=seed, epochs=4) for seed in range(3)]
        outcomes = {
            cells[0].id: Outcome(cell_id=cells[0].id, state="complete", epochs_done=4, epoch_s=1.0),
            cells[1].id: Outcome(cell_id=cells[1].id, state="interrupted", epochs_done=1, epoch_s=1.0),
        }
        found = suite_status(make_suite(*cells), outcomes, tmp_path, now_s=0.0)
        assert [status.outcome.state for status in found] == ["complete", "interrupted", "missing"]
        assert [status.share for status in found] == [1.0, 0.25, 0.0]
        assert [status.left_s for status in found] == [None] * 3
