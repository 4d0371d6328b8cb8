"""Tables on a terminal: whole numbers at any width."""

from collections.abc import Callable

import pytest

from bench.report.grid import make_grids
from bench.report.model import Report
from bench.report.plain import fitted, plain, plain_with_runs
from bench.report.table import build_tables
from bench.values import Cell, Cost, Outcome, Suite

COST = Cost(params=1_234_567, flops=41_000_000, conv_linear_macs=5, torch_macs=5)


@pytest.fixture
def suite(make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]) -> Suite:
    name = "timm/a_net_with_a_name_of_forty_characters"
    return make_suite(*(make_cell(f"{name}_{size}", seed=seed) for size in "sl" for seed in (0, 1)))


@pytest.fixture
def outcomes(suite: Suite) -> dict[str, Outcome]:
    return {
        cell.id: Outcome(
            cell_id=cell.id, state="complete", top1=90.0 + cell.seed, top5=99.25, cost=COST, run_id="f" * 32
        )
        for cell in suite.cells
    }


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_is_fitted_without_cutting_a_number(suite: Suite, outcomes: dict[str, Outcome], width: int) -> None:
    [grid] = make_grids(Report(tables=build_tables(suite, outcomes), suites=(suite,)))
    lines = fitted(grid, width)
    assert all(len(line) <= width for line in lines)
    assert all("90.50 ± 0.71 (n=2)" in line for line in lines[1:3])
    assert lines[1] != lines[2], "the part of the names in which they differ is kept"
    assert lines[1].split()[0].endswith("_s")
    assert ("1.235" in lines[1]) or "(no room for" in "\n".join(lines[3:])


def test_plain_has_no_runs_unless_they_are_asked_for(
    suite: Suite, outcomes: dict[str, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    report = Report(tables=build_tables(suite, outcomes), suites=(suite,))
    text = plain(report)
    assert "f" * 32 not in text
    assert "after the last epoch" in text
    listed = plain_with_runs(report)
    assert listed.startswith(text)
    assert all(f"{cell.id}  {'f' * 32}" in listed for cell in suite.cells)


def test_plain_says_why_a_row_has_no_number(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = plain(Report(tables=build_tables(suite, {}), suites=(suite,), best=True))
    assert text.count("2 of 2 missing") == 2
    assert "optimistic" in text
