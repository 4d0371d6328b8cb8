"""Tables as lines of texts, whatever the format."""

from collections.abc import Callable

import pytest
from helpers.outcomes import complete

from bench.report.columns import COLUMNS
from bench.report.grid import make_grid
from bench.report.model import Layout, Report
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def texts(suite: Suite, outcomes: dict[str, Outcome], *columns: str) -> list[list[str]]:
    [table] = build_tables(suite, outcomes)
    grid = make_grid(table, Report(tables=(table,), suites=(suite,), layout=Layout(columns=columns)))
    return [[entry.text for entry in line.entries] for line in grid.lines]


def test_the_first_accuracy_says_why_a_seed_has_none(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell(seed=seed) for seed in range(3)]
    outcomes = {cell.id: complete(cell, 90.0) for cell in cells[:2]}
    assert texts(make_suite(*cells), outcomes, "top5", "top1") == [
        ["99.00 ± 0.00 (n=2)", "90.00 ± 0.00 (n=2), 1 of 3 missing"]
    ]
    assert texts(make_suite(*cells), {}, "top5", "best") == [["-", "3 of 3 missing"]]


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_has_a_text_for_a_row_without_a_result(
    make_cell: MakeCell, make_suite: MakeSuite, name: str
) -> None:
    [[text]] = texts(make_suite(make_cell()), {}, name)
    assert "None" not in text


def test_the_gap_is_what_the_best_epoch_gains(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cell = make_cell()
    outcomes = {cell.id: complete(cell, 90.0, best_top1=91.25)}
    assert texts(make_suite(cell), outcomes, "top1", "best", "gap") == [["90.00", "91.25", "1.25"]]
