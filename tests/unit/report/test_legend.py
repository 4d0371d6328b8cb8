"""What stands under tables, and which rows it names."""

from collections.abc import Callable
from dataclasses import replace

from helpers.outcomes import complete

from bench.report.grid import make_grids
from bench.report.layout import make_layout
from bench.report.legend import decays, devices, figures, recipes
from bench.report.model import Report, Table
from bench.report.table import build_merged_tables, build_tables
from bench.values import Cell, Component, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def tables_of(suite: Suite, *devices: str) -> tuple[Table, ...]:
    """The tables of a suite whose cells were trained on devices, in turn."""
    pairs = zip(suite.cells, devices, strict=True)
    return build_tables(suite, {cell.id: complete(cell, 90.0, device=device) for cell, device in pairs if device})


def test_a_sentence_names_no_rows_where_it_holds_for_all(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    tables = tables_of(make_suite(make_cell("resnet18"), make_cell("vgg11")), "a GPU", "a GPU")
    assert devices(tables) == [("a GPU", "")]
    assert [rows for _, rows in recipes(tables)] == [""]


def test_rows_are_called_by_as_much_of_their_names_as_tells_them_apart(
    make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    cells = [
        make_cell("resnet18", epochs=8),
        make_cell("resnet18", epochs=12),
        make_cell("vgg11", epochs=8),
        make_cell("alexnet", epochs=8, schedule="exponential"),
        make_cell("alexnet", epochs=8),
        make_cell("densenet121", epochs=8),
    ]
    tables = tables_of(make_suite(*cells), "GPU", "CPU", "CPU", "GPU", "CPU", "")
    [(_, gpu), (_, cpu)] = devices(tables)
    assert gpu == "resnet18 (8 epochs), alexnet (8 epochs) with exponential"
    assert cpu == "resnet18 (12 epochs), vgg11, alexnet (8 epochs) with cosine"
    assert [rows.count("epochs") for _, rows in recipes(tables)] == [1, 1], "one of resnet18 has each recipe"


def test_two_schedules_of_one_name_say_whose_they_are(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    one, two = make_cell("resnet18"), make_cell("vgg11")
    two = replace(two, schedule=Component.of("cosine", **{**two.schedule.as_dict(), "eta_min": 0.01}))
    tables = build_merged_tables([make_suite(one, name="one"), make_suite(two, name="two")], {})
    assert [name for name, _ in decays(tables)] == ["cosine of resnet18", "cosine of vgg11"]
    assert [name for name, _ in decays(build_tables(make_suite(one), {}))] == ["cosine"]


def test_figures_explain_the_columns_that_are_there(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    suite = make_suite(make_cell())
    layout = make_layout(columns="model,best,time")
    report = Report(tables=build_tables(suite, {}), suites=(suite,), layout=layout)
    assert figures(report, make_grids(report)) == [
        "Best top-1(%): of the best epoch on the test set itself, so optimistic.",
        "Time(s): wall time of a run, mean over its seeds, in seconds.",
        "± is the standard deviation over n seeds; a figure without it is one seed.",
    ]
