"""The plan: what runs, and how long it is said to take."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.scheduler.plan import Selection, make_plan, mark_stale, merge_outcomes
from bench.values import Cell, Component, Cost, DataKey, Outcome, Suite
from bench.workspace.fingerprint import fingerprint

Make = Callable[..., Cell]
COST = Cost(params=10, flops=1_000_000, conv_linear_macs=1_000_000, torch_macs=1_000_000)


def test_only_cells_without_a_result_run(make_cell: Make, make_suite: Callable[..., Suite]) -> None:
    cells = [make_cell(seed=seed) for seed in range(4)]
    states = ("complete", "failed", "interrupted")
    known = {cell.id: Outcome(cell_id=cell.id, state=state) for cell, state in zip(cells, states, strict=False)}  # type: ignore[arg-type]
    plan = make_plan(make_suite(*cells), known, {})
    assert [task.runs for task in plan.tasks] == [False, True, True, True]
    assert [task.outcome.state for task in plan.tasks] == ["complete", "failed", "interrupted", "missing"]


@pytest.mark.parametrize(
    ("select", "runs"),
    [
        ("missing", [False, False, True, True, True]),
        ("all", [True, True, True, True, True]),
        ("failed", [False, False, True, False, False]),
        ("stale", [False, True, True, True, True]),
    ],
)
def test_what_runs_is_what_was_asked_for(
    make_cell: Make, make_suite: Callable[..., Suite], select: Selection, runs: list[bool]
) -> None:
    cells = [make_cell(seed=seed) for seed in range(5)]
    known = {
        cells[0].id: Outcome(cell_id=cells[0].id, state="complete"),
        cells[1].id: Outcome(cell_id=cells[1].id, state="complete", stale="torch changed"),
        cells[2].id: Outcome(cell_id=cells[2].id, state="failed"),
        cells[3].id: Outcome(cell_id=cells[3].id, state="interrupted"),
    }
    plan = make_plan(make_suite(*cells), known, {}, select=select)
    assert [task.runs for task in plan.tasks] == runs


def test_a_result_is_stale_when_data_protocol_or_torch_have_changed_and_says_which(make_cell: Make) -> None:
    cell = make_cell()
    now = fingerprint(cell, data="d" * 64, device="")
    digests: dict[DataKey, str] = {DataKey("digits", 8): "d" * 64}

    def stale(**changed: str) -> str:
        outcome = Outcome(cell_id=cell.id, state="complete", fingerprint={**now, "device": "cuda", **changed})
        return mark_stale([cell], {cell.id: outcome}, digests)[cell.id].stale

    assert stale() == ""
    assert stale(torch=now["torch"] + "+cu130") == ""
    assert stale(torch="2.1.0") == f"torch changed from 2.1.0 to {now['torch']}"
    assert stale(protocol="0", data="e" * 64) == "the data changed, bench's training protocol changed from 0 to 1"


def test_a_result_of_the_protocol_before_is_stale_only_where_the_protocol_changed(make_cell: Make) -> None:
    plain = make_cell("resnet18")
    warm = replace(plain, schedule=Component.of("cosine", eta_min=0.0, warmup_epochs=1, warmup_start=0.01))
    revised = make_cell("mnasnet0_5")
    standard = make_cell("mnasnet0_5", stem="standard")
    cells = [plain, warm, revised, standard]
    outcomes = {
        cell.id: Outcome(cell_id=cell.id, state="complete", fingerprint={"protocol": "1", "data": "d"})
        for cell in cells
    }
    stale = [bool(mark_stale(cells, outcomes, {})[cell.id].stale) for cell in cells]
    assert stale == [False, True, True, False]


def test_data_that_is_not_here_has_not_changed(make_cell: Make) -> None:
    cell = make_cell()
    outcome = Outcome(cell_id=cell.id, state="complete", fingerprint={"data": "d" * 64})
    assert mark_stale([cell], {cell.id: outcome}, {})[cell.id].stale == ""


def test_max_cells_takes_the_first_ones_that_would_run(make_cell: Make, make_suite: Callable[..., Suite]) -> None:
    cells = [make_cell(seed=seed) for seed in range(3)]
    known = {cells[0].id: Outcome(cell_id=cells[0].id, state="complete")}
    plan = make_plan(make_suite(*cells), known, {}, max_cells=1)
    assert [task.runs for task in plan.tasks] == [False, True, False]


def test_the_longest_cells_are_started_first(make_cell: Make, make_suite: Callable[..., Suite]) -> None:
    short, long = make_cell(epochs=1), make_cell(epochs=50)
    before = make_cell(seed=9)
    known = {before.id: Outcome(cell_id=before.id, state="complete", epoch_s=1.0)}
    plan = make_plan(make_suite(before, short, long), known, {})
    assert [task.cell for task in plan.to_run] == [long, short]


def test_a_result_in_the_store_outweighs_an_unfinished_folder() -> None:
    stored = {"a": Outcome(cell_id="a", state="complete"), "b": Outcome(cell_id="b", state="running")}
    local = {"a": Outcome(cell_id="a", state="interrupted"), "b": Outcome(cell_id="b", state="interrupted")}
    merged = merge_outcomes(stored, local)
    assert (merged["a"].state, merged["b"].state) == ("complete", "interrupted")
