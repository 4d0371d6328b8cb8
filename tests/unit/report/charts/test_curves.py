"""Charts of what happened epoch by epoch."""

from collections.abc import Callable, Iterable

import pytest
from helpers.charts import records
from helpers.outcomes import complete
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.charts import Chart, make_charts
from bench.report.charts import curves as module
from bench.report.charts.curves import MAX_RUNS, number, thin
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]
Record = dict[str, object]


def epochs(cell: Cell, rates: Iterable[float], loss: object = 1.0) -> list[Record]:
    """Curves of a cell as they are read from its journal."""
    return [
        {"cell": cell.id, "epoch": epoch, "train/loss": loss, "train/lr": rate, "test/top1": "50"}
        for epoch, rate in enumerate(rates, start=1)
    ]


def charts(suite: Suite, curves: list[Record]) -> dict[str, Chart]:
    report = Report(
        tables=build_tables(suite, {cell.id: complete(cell, 90.0) for cell in suite.cells}), suites=(suite,)
    )
    return {chart.name: chart for chart in make_charts(report, curves)}


def lines(chart: Chart) -> dict[str, list[tuple[int, float]]]:
    """The points of each line of a chart."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records(chart):
        found.setdefault(record["cell"], []).append((record["x"], record["y"]))
    return found


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=90), st.integers(4, 20))
@settings(max_examples=40)
def test_a_thinned_curve_keeps_its_ends_and_its_extremes(values: list[float], most: int) -> None:
    points = list(enumerate(values))
    kept = thin(points, most)
    assert len(kept) <= most
    assert kept == sorted(set(kept))
    assert {kept[0], kept[-1]} == {points[0], points[-1]}
    assert {min(value for _, value in kept), max(value for _, value in kept)} == {min(values), max(values)}


def test_only_finite_numbers_are_drawn() -> None:
    assert [number(value) for value in (1, "0.5", "", None, "nan", float("inf"), 1.8e308)] == [1, 0.5, *[None] * 5]


def test_every_run_has_a_line_and_at_most_fifty_do(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell(seed=seed) for seed in range(MAX_RUNS + 2)]
    curves = [record for cell in cells for record in epochs(cell, [0.1, 0.1])]
    found = charts(make_suite(*cells), curves)
    assert list(lines(found["digits-train-loss"])) == [cell.id for cell in cells[:MAX_RUNS]]
    assert "digits-test-loss" not in found, "nothing is known of it"
    assert "The first 50 of 52 runs" in str(found["digits-train-loss"].spec["title"])


def test_rows_with_the_same_learning_rates_share_a_line(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell(model=model) for model in ("resnet18", "mobilenet_v2", "vgg11_bn")]
    curves = [*epochs(cells[0], [0.1, 0.05]), *epochs(cells[1], [0.1, 0.05]), *epochs(cells[2], [0.1, 0.02])]
    found = lines(charts(make_suite(*cells), curves)["digits-lr"])
    assert list(found.values()) == [[(0, 0.1), (1, 0.1), (2, 0.05)], [(0, 0.1), (1, 0.1), (2, 0.02)]]
    assert [str(name)[-8:] for name in found] == ["(2 rows)", "vgg11_bn"]


def test_a_chart_that_fails_costs_no_other(
    make_cell: MakeCell, make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("no\nroom")

    monkeypatch.setattr(module, "rate_curves", fail)
    suite, notes = make_suite(make_cell()), list[str]()
    report = Report(tables=build_tables(suite, {}), suites=(suite,))
    found = make_charts(report, epochs(suite.cells[0], [0.1]), notes.append)
    assert [chart.name for chart in found] == ["digits-train-loss", "digits-top1"]
    assert notes == ["a chart of Digits is left out: ValueError: no room"]
