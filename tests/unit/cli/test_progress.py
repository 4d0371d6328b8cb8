"""The displays of a run, fed with real events and a clock of the test's own."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.catalog.labels import titles
from bench.cli.progress import CellProgress, PlainProgress, RunProgress, ending, retrying
from bench.scheduler.devices import Slot
from bench.scheduler.plan import make_plan
from bench.values import Cell, Outcome, Plan, Suite
from bench.workspace.events import EpochDone, Progress, Resumed

SLOT = Slot(name="cpu 0", device="cpu", visible="", threads=1)
HALF = Progress(epoch=1, step=5, steps=10, images_per_s=200.0)
METRICS = {"train/loss": 0.5, "train/lr": 0.1, "test/loss": 0.6, "test/top1": 81.25, "test/top5": 99.0}
FIRST = EpochDone(epoch=1, metrics=METRICS, epoch_s=10.0, images_per_s=250.0)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def plan(make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]) -> Plan:
    return make_plan(make_suite(make_cell(seed=0), make_cell(seed=1)), {}, {})


@pytest.fixture
def cell(plan: Plan) -> Cell:
    """A cell of two epochs."""
    return plan.suite.cells[0]


def complete(cell: Cell) -> Outcome:
    return Outcome(cell_id=cell.id, state="complete", top1=81.25, total_s=200)


class TestCellProgress:
    def test_left_s_is_unknown_before_anything_is_done(self, cell: Cell) -> None:
        assert CellProgress(cell=cell, slot=SLOT, started=100.0).left_s(105.0) is None

    def test_left_s_extrapolates_from_half_an_epoch(self, cell: Cell) -> None:
        progress = CellProgress(cell=cell, slot=SLOT, started=100.0)
        progress.update(HALF)
        assert progress.left_s(110.0) == pytest.approx(30.0), "half of two epochs took 10 s"

    def test_left_s_counts_no_time_for_the_epochs_of_earlier_attempts(self, cell: Cell) -> None:
        progress = CellProgress(cell=cell, slot=SLOT, started=100.0)
        progress.update(Resumed(epochs_done=1))
        assert progress.left_s(110.0) is None
        progress.update(replace(HALF, epoch=2))
        assert progress.left_s(110.0) == pytest.approx(10.0)

    def test_update_takes_over_the_results_of_an_epoch(self, cell: Cell) -> None:
        progress = CellProgress(cell=cell, slot=SLOT, started=100.0)
        progress.update(HALF)
        progress.update(FIRST)
        assert (progress.epochs_done, progress.share) == (1, 0.0)
        assert (progress.loss, progress.top1, progress.images_per_s) == (0.5, 81.25, 250.0)


class TestRunProgress:
    def test_left_s_counts_running_cells_in_part(self, plan: Plan, cell: Cell) -> None:
        clock = Clock()
        progress = RunProgress(plan, clock)
        progress.started(cell, SLOT, 1)
        assert progress.left() == (0.0, 2)
        clock.now += 30
        progress.event(cell, FIRST)
        assert progress.share_done() == pytest.approx(0.25)
        assert progress.left() == pytest.approx((90.0, 0)), "a quarter of the run took 30 s"

    def test_left_s_weighs_the_waiting_cells_by_their_work(self, plan: Plan) -> None:
        first, second = plan.tasks
        plan = replace(plan, tasks=(replace(first, estimate_s=10.0), replace(second, estimate_s=90.0)))
        clock = Clock()
        progress = RunProgress(plan, clock)
        assert progress.left() == pytest.approx((100.0, 0)), "the estimates themselves, before anything has run"
        progress.started(first.cell, SLOT, 1)
        clock.now += 20
        progress.finished(first.cell, complete(first.cell))
        assert progress.share_done() == pytest.approx(0.1)
        assert progress.left() == pytest.approx((180.0, 0)), "a tenth of the work took 20 s"

    def test_left_s_is_that_of_the_last_slot_to_end(self, plan: Plan) -> None:
        clock = Clock()
        progress = RunProgress(plan, clock)
        for cell, name in zip(plan.suite.cells, ("cpu 0", "cpu 1"), strict=True):
            progress.started(cell, replace(SLOT, name=name), 1)
            progress.event(cell, HALF)
        clock.now += 10
        assert progress.left() == pytest.approx((30.0, 0)), "both at once"

    def test_left_leaves_out_cells_of_nets_that_have_not_run(
        self, make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]
    ) -> None:
        plan = make_plan(make_suite(make_cell(seed=0), make_cell(seed=1), make_cell("resnet18")), {}, {})
        clock, first = Clock(), plan.suite.cells[0]
        progress = RunProgress(plan, clock)
        progress.started(first, SLOT, 1)
        clock.now += 20
        progress.finished(first, complete(first))
        assert progress.left() == pytest.approx((20.0, 1)), "the other seed, and not the other net"

    def test_finished_counts_complete_and_failed_cells_apart(self, plan: Plan) -> None:
        progress = RunProgress(plan, Clock())
        first, second = plan.suite.cells
        for cell in (first, second):
            progress.started(cell, SLOT, 1)
        progress.finished(first, complete(first))
        progress.finished(second, Outcome(cell_id=second.id, state="failed", kind="oom"))
        assert (progress.done, progress.failed, progress.cells) == (1, 1, {})


class TestPlainProgress:
    def test_one_line_per_event(self, plan: Plan, cell: Cell) -> None:
        display = PlainProgress(plan, Clock())
        display.stream, display.stamp = io.StringIO(), lambda: "2026-11-25 10:00:00"
        with display:
            display.started(cell, SLOT, 1)
            display.event(cell, HALF)
            display.event(cell, FIRST)
            lost = Outcome(cell_id=cell.id, state="interrupted", kind="lost", reason="killed by signal 9")
            display.retried(cell, lost)
            display.started(cell, SLOT, 2)
            display.finished(cell, complete(cell))
        title = titles(plan.suite.cells)[cell.id]
        stamps, lines = zip(*(line.split("0:00 ", 1) for line in display.stream.getvalue().splitlines()), strict=True)
        assert set(stamps) == {"2026-11-25 10:0"}
        assert list(lines) == [
            f"started {title} on cpu 0",
            f"{title}: epoch 1/2, loss 0.500, top-1 81.25%, 250 images/s",
            f"again {title}, from its last checkpoint: killed by signal 9",
            f"started {title} on cpu 0, attempt 2",
            f"done {title}: top-1 81.25% in 3m20s (1 of 2)",
        ]


def test_ending_says_what_a_cell_gave_or_why_it_gave_nothing(cell: Cell) -> None:
    assert ending(cell.title, complete(cell)) == f"done {cell.title}: top-1 81.25% in 3m20s"
    interrupted = Outcome(cell_id=cell.id, state="interrupted", reason="asked to stop")
    assert ending(cell.title, interrupted) == f"interrupted {cell.title}: asked to stop"


def test_retrying_says_how_a_cell_is_tried_again(cell: Cell) -> None:
    lost = Outcome(cell_id=cell.id, state="interrupted", kind="oom", reason="out of memory")
    assert retrying(cell.title, lost) == f"again {cell.title}, alone on its device: out of memory"


@pytest.mark.parametrize("stream", ["file", "pipe"])
def test_make_progress_is_plain_without_a_terminal(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    import sys

    from bench.cli.progress import make_progress

    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr(sys, "stderr", log if stream == "file" else io.StringIO())
        assert isinstance(make_progress(plan), PlainProgress)
