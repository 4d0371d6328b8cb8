"""How the machine is divided for the cells of a run, and what mode each gets."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.cells import MakeCell

from bench.api.job import Job, Layout, Needs
from bench.api.known import Known
from bench.api.layout import lay_out
from bench.api.options import Caller, RunOptions
from bench.datasets.prepared import Prepared, data_key
from bench.scheduler import tuning
from bench.scheduler.attempts import SilentObserver
from bench.scheduler.devices import Machine
from bench.scheduler.modes import Allocation, default_mode
from bench.scheduler.plan import make_plan
from bench.scheduler.tuning import TuningRequest, is_large
from bench.values import Cell, Execution, Mode, Outcome, Suite

LayOut = Callable[..., Layout]


@pytest.fixture
def lay_out_cells(project: Path, make_suite: Callable[..., Suite]) -> LayOut:
    """A function that lays out cells on a machine of four cores without a GPU."""

    def lay_out_on_four_cores(
        cells: Sequence[Cell],
        *,
        execution: Execution = Execution(),  # noqa: B008 - frozen
        outcomes: dict[str, Outcome] | None = None,
        options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    ) -> Layout:
        suite = replace(make_suite(*cells), execution=execution)
        job = Job(
            whole=suite,
            suite=suite,
            machine=Machine(gpus=(), cores=4),
            store=None,
            known=Known({}, {}),
            options=options,
            caller=Caller(display=lambda _: nullcontext(SilentObserver())),
        )
        data = {data_key(cell): Prepared(project, "", 1437, 10) for cell in cells}
        return lay_out(job, make_plan(suite, outcomes or {}, {}), Needs(data, {}))

    return lay_out_on_four_cores


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Mode:
    """What is measured to be fastest for every large cell of this module."""
    mode = Mode(threads=2, memory_format="contiguous")

    def tune(request: TuningRequest, **_: object) -> Allocation | None:
        large = [cell.id for cell in request.cells if is_large(cell, request.train_images[cell.id])]
        return Allocation(concurrency=2, modes=dict.fromkeys(large, mode), seconds={}) if large else None

    monkeypatch.setattr(tuning, "tune", tune)
    return mode


def large_cell(make_cell: MakeCell, **changes: object) -> Cell:
    return make_cell(epochs=100, **changes)


def test_lay_out_gives_a_cell_the_whole_device_where_speed_is_measured(
    lay_out_cells: LayOut, make_cell: MakeCell
) -> None:
    cells = [make_cell(seed=seed) for seed in range(4)]
    for timed, slots in ((False, 4), (True, 1)):
        assert len(lay_out_cells(cells, execution=Execution(timed=timed)).slots) == slots


@pytest.mark.parametrize("cells", [1, 2, 9])
@pytest.mark.parametrize("slots", [None, 1, 2, 16])
def test_a_small_cell_has_one_thread_whatever_else_runs(
    lay_out_cells: LayOut, make_cell: MakeCell, cells: int, slots: int | None
) -> None:
    made = [make_cell(seed=seed) for seed in range(cells)]
    layout = lay_out_cells(made, options=RunOptions(slots_per_device=slots))
    assert layout.modes == {}, "no mode was measured"
    assert {default_mode(made[0], slot).threads for slot in layout.slots} == {1}
    assert slots or len(layout.slots) == min(cells, 4), "several cells fill the machine"


def test_a_small_cell_keeps_no_mode_of_an_earlier_attempt(
    lay_out_cells: LayOut, make_cell: MakeCell, measured: Mode
) -> None:
    cell = make_cell()
    failed = Outcome(cell_id=cell.id, state="failed", mode=str(Mode(threads=2)), fingerprint={"device": "cpu"})
    assert lay_out_cells([cell], outcomes={cell.id: failed}).modes == {}


def test_a_large_cell_keeps_the_mode_of_its_earlier_attempts_and_others_are_measured(
    lay_out_cells: LayOut, make_cell: MakeCell, measured: Mode
) -> None:
    begun, new = (large_cell(make_cell, seed=seed) for seed in range(2))
    kept = Mode(threads=1)
    failed = Outcome(cell_id=begun.id, state="failed", mode=str(kept), fingerprint={"device": "cpu"})
    layout = lay_out_cells([begun, new], outcomes={begun.id: failed})
    assert layout.modes == {begun.id: kept, new.id: measured}


def test_a_suite_that_decides_otherwise_overrules_the_mode_that_a_cell_had(
    lay_out_cells: LayOut, make_cell: MakeCell, measured: Mode
) -> None:
    cell = large_cell(make_cell)
    failed = Outcome(cell_id=cell.id, state="failed", mode=str(Mode(threads=1)), fingerprint={"device": "cpu"})
    execution = Execution(memory_format="contiguous")
    assert lay_out_cells([cell], outcomes={cell.id: failed}, execution=execution).modes == {cell.id: measured}


def test_there_are_as_many_slots_as_cells_fit_side_by_side_with_their_threads(
    lay_out_cells: LayOut, make_cell: MakeCell, measured: Mode
) -> None:
    large = [large_cell(make_cell, seed=seed) for seed in range(4)]
    assert len(lay_out_cells(large).slots) == 2, "two threads each on four cores"
    small = [make_cell(seed=seed) for seed in range(4)]
    assert len(lay_out_cells([*large, *small]).slots) == 4, "the loop counts the threads"
