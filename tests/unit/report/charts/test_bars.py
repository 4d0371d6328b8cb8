"""Bars and heat maps."""

from collections.abc import Callable
from dataclasses import replace

from helpers.charts import records
from helpers.outcomes import complete

from bench.report.charts import Chart, confusion_map, make_charts, per_class_bars
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Component, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def bars(suite: Suite, top1: dict[str, float]) -> Chart | None:
    outcomes = {cell.id: complete(cell, top1[cell.schedule_name]) for cell in suite.cells if cell.schedule_name in top1}
    report = Report(tables=build_tables(suite, outcomes), suites=(suite,))
    return next((chart for chart in make_charts(report) if chart.name == "digits-schedules"), None)


def test_schedules_stand_beside_each_other_where_several_have_a_figure(
    make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    cells = [make_cell(), replace(make_cell(), schedule=Component.of("cosine", eta_min=0.01), schedule_name="later")]
    suite = make_suite(*cells)
    assert bars(suite, {}) is None
    assert bars(suite, {"cosine": 90.0}) is None
    found = records(bars(suite, {"cosine": 90.0, "later": 91.5}))
    assert [(each["schedule"], each["figure"]) for each in found] == [("cosine", "90.00"), ("later", "91.50")]


def test_a_confusion_matrix_shows_what_was_taken_for_what() -> None:
    chart = confusion_map(["cat", "<b>"], [[3, 1.5], [0, 4]], name="c", title="Digits", runs="abc")
    assert [(each["true"], each["predicted"], each["count"], each["percent"]) for each in records(chart)] == [
        ("cat", "cat", "3", "66.67%"),
        ("cat", "<b>", "1.5", "33.33%"),
        ("<b>", "<b>", "4", "100.00%"),
    ]
    assert confusion_map(["x"] * 101, [[1] * 101] * 101, name="c", title="", runs="") is None


def test_of_many_classes_the_worst_are_shown() -> None:
    names = [f"class {number}" for number in range(100)]
    chart = per_class_bars(names, [float(100 - n) for n in range(100)], [10] * 100, name="c", title="Digits", runs="")
    assert [each["class"] for each in records(chart)] == names[40:]
    assert per_class_bars(["a"], [None], [0], name="c", title="Digits", runs="") is None
