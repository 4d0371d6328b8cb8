"""Tables as lines of texts, whatever the format."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.outcomes import complete

from bench.report.columns import COLUMNS
from bench.report.grid import Grid, identity_columns, make_grids
from bench.report.layout import make_layout
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Component, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def grids(suite: Suite, outcomes: dict[str, Outcome], *, best: bool = False, **words: object) -> tuple[Grid, ...]:
    tables = build_tables(suite, outcomes, best=best)
    layout = make_layout(**words)  # type: ignore[arg-type]
    return make_grids(Report(tables=tables, suites=(suite,), best=best, layout=layout))


def lines(grid: Grid) -> list[list[str]]:
    return [[entry.text for entry in line.entries] for line in grid.lines]


def headings(grid: Grid) -> list[str]:
    return [heading.text for heading in grid.headings]


def texts(suite: Suite, outcomes: dict[str, Outcome], *columns: str) -> list[list[str]]:
    [grid] = grids(suite, outcomes, columns=columns)
    return lines(grid)


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


def test_best_epochs_are_never_shown_as_last_ones(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cell = make_cell()
    [grid] = grids(make_suite(cell), {cell.id: complete(cell, 90.0)}, best=True, columns="model,top1,best")
    assert headings(grid) == ["Model", "Best top-1(%)"]


def test_the_suite_is_a_column_only_where_nothing_else_tells_rows_apart(
    make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    suite = make_suite(make_cell("resnet18"), make_cell("vgg11"))
    [table] = build_tables(suite, {})
    for name, columns in {"vgg11": ("model",), "resnet18": ("model", "suite")}.items():
        rows = (table.rows[0], replace(table.rows[1], suite="other", name=name))
        assert identity_columns(replace(table, rows=rows)) == columns


class TestSort:
    def test_lines_stand_in_the_order_of_a_column_that_may_not_be_shown(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(name) for name in ("resnet18", "vgg11", "alexnet")]
        outcomes = {cells[0].id: complete(cells[0], 90.0), cells[2].id: complete(cells[2], 95.0)}
        [grid] = grids(make_suite(*cells), outcomes, columns="model", sort="top1")
        assert [line[0].split()[0] for line in lines(grid)] == ["alexnet", "resnet18", "vgg11"]


class TestHighlight:
    def test_the_best_of_every_column_is_bold_where_better_is_known(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(name) for name in ("resnet18", "vgg11", "alexnet")]
        outcomes = {
            cell.id: complete(cell, top1, test_loss=loss)
            for cell, top1, loss in zip(cells, (90.001, 90.004, 89.0), (0.5, 0.25, 0.75), strict=True)
        }
        [grid] = grids(make_suite(*cells), outcomes, columns="params,top1,loss", highlight=True)
        bold = [[entry.bold for entry in line.entries] for line in grid.lines]
        assert bold == [[False, True, False], [False, True, True], [False, False, False]]


class TestPivot:
    def test_a_schedule_is_a_column_and_a_net_a_line(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell(net, schedule=name) for net in ("resnet18", "vgg11") for name in ("exponential", "cosine")]
        outcomes = {cell.id: complete(cell, 90.0 + i) for i, cell in enumerate(cells[:3])}
        [grid] = grids(make_suite(*cells), outcomes, pivot="schedule", columns="-params,-flops,-input")
        assert headings(grid) == ["Model", "exponential", "cosine"]
        assert lines(grid) == [["resnet18", "90.00", "91.00"], ["vgg11", "92.00", "missing"]]
        assert grid.title == "Digits: Top-1(%)"
        assert grid.lines[1].entries[2].rows[0].runs[0].cell_id == cells[3].id, "every figure leads to its runs"

    def test_data_sets_are_the_columns_of_one_grid(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell("resnet18", dataset=name) for name in ("digits", "cifar10")] + [make_cell("vgg11")]
        outcomes = {cell.id: complete(cell, 90.0 + i) for i, cell in enumerate(cells)}
        [grid] = grids(make_suite(*cells), outcomes, pivot="dataset", sort="top1", highlight=True)
        assert headings(grid) == ["Model", "Digits", "CIFAR-10"]
        assert lines(grid) == [["vgg11", "92.00", "-"], ["resnet18", "90.00", "91.00"]]
        assert [entry.bold for entry in grid.lines[0].entries] == [False, True, False]
        assert [table.title for table in grid.tables] == ["Digits", "CIFAR-10"]

    def test_several_results_say_which_they_are(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell("resnet18", schedule=name) for name in ("exponential", "cosine")]
        [grid] = grids(make_suite(*cells), {}, pivot="schedule", columns="model,schedule,seeds,top1,top5")
        assert headings(grid)[3:] == ["exponential Top-5(%)", "cosine Top-1(%)", "cosine Top-5(%)"]
        assert lines(grid) == [["resnet18", "0", "missing", "-", "missing", "-"]]

    def test_a_net_is_one_line_although_every_data_set_has_its_recipes(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell("resnet18", epochs=8), make_cell("vgg11", epochs=12)]
        cells += [make_cell(name, dataset="cifar10", epochs=200) for name in ("resnet18", "vgg11")]
        [grid] = grids(make_suite(*cells), {}, pivot="dataset")
        assert lines(grid) == [["resnet18", "missing", "missing"], ["vgg11", "missing", "missing"]]
        cells.append(make_cell("resnet18", epochs=9))
        [grid] = grids(make_suite(*cells), {}, pivot="dataset")
        assert [line[:2] for line in lines(grid)] == [
            ["resnet18", "8 epochs"],
            ["vgg11", ""],
            ["resnet18", "9 epochs"],
            ["resnet18", ""],
        ]

    def test_schedules_are_compared_where_recipes_agree_whatever_their_options(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(schedule=name, epochs=n) for n in (2, 3) for name in ("exponential", "cosine")]
        warm = Component.of("cosine", **{**cells[1].schedule.as_dict(), "eta_min": 0.01})
        cells.append(replace(cells[1], schedule=warm))
        [grid] = grids(make_suite(*cells), {}, pivot="schedule", columns="-model,-params,-flops,-input")
        assert lines(grid) == [
            ["2 epochs", "missing", "missing"],
            ["3 epochs", "missing", "missing"],
            ["2 epochs, eta min 0.01", "-", "missing"],
        ]

    @pytest.mark.parametrize("pivot", ["dataset", "schedule"])
    def test_rows_that_differ_in_their_input_keep_their_lines(
        self, make_cell: MakeCell, make_suite: MakeSuite, pivot: str
    ) -> None:
        cells = [make_cell(input_size=size) for size in (8, 16)]
        [grid] = grids(make_suite(*cells), {}, pivot=pivot)
        assert len(grid.lines) == 2
        assert "Input size" in headings(grid)


class TestTitle:
    def test_a_title_takes_the_place_of_the_data_set_or_stands_before_several(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(dataset=name) for name in ("digits", "cifar10")]
        titles = [[grid.title for grid in grids(make_suite(*some), {}, title="Ours")] for some in (cells[:1], cells)]
        assert titles == [["Ours"], ["Ours: Digits", "Ours: CIFAR-10"]]
