"""Charts of accuracy against cost, and their Pareto fronts."""

from collections.abc import Callable
from itertools import product

from helpers.charts import records
from helpers.outcomes import complete
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.charts import Chart, make_charts
from bench.report.charts.accuracy import front
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Cost, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def charts(suite: Suite, outcomes: dict[str, Outcome]) -> dict[str, Chart]:
    report = Report(tables=build_tables(suite, outcomes), suites=(suite,))
    return {chart.name: chart for chart in make_charts(report)}


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=8), st.booleans())
@settings(max_examples=60)
def test_the_front_is_what_no_other_point_beats(values: list[tuple[int, int]], higher: bool) -> None:
    sign = -1 if higher else 1
    chosen = [values[place] for place in front(values, higher=higher)]
    beaten = {
        (cost, top1)
        for (cost, top1), (other, best) in product(values, repeat=2)
        if sign * other <= sign * cost and best >= top1 and (other, best) != (cost, top1)
    }
    assert sorted(chosen) == sorted(set(values) - beaten)


def test_every_mark_says_its_row_its_figure_and_its_runs(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell(seed=seed) for seed in range(2)]
    outcomes = {cell.id: complete(cell, 90.0 + 2 * cell.seed, run_id=f"{cell.seed}" * 32) for cell in cells}
    [mark] = records(charts(make_suite(*cells), outcomes)["digits-accuracy-params"])
    assert mark["top1"] == "91.00 ± 1.41 (n=2)"
    assert mark["cost"] == "11.174 M"
    assert mark["runs"] == "00000000 11111111"
    assert (mark["low"], mark["high"]) == (91 - 2**0.5, 91 + 2**0.5)


def test_rows_without_a_figure_are_left_out_and_a_table_without_any_has_no_chart(
    make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    cells = [make_cell(model=model) for model in ("resnet18", "mobilenet_v2", "vgg11_bn")]
    suite = make_suite(*cells)
    assert charts(suite, {}) == {}
    outcomes = {cells[0].id: complete(cells[0], 90.0), cells[1].id: complete(cells[1], 80.0, cost=None)}
    found = charts(suite, outcomes)
    assert set(found) == {"digits-accuracy-params", "digits-accuracy-flops"}
    assert [mark["name"] for mark in records(found["digits-accuracy-params"])] == ["resnet18"]


def test_params_over_more_than_a_decade_have_a_logarithmic_axis(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell(model=model) for model in ("resnet18", "mobilenet_v2")]
    for params, log in ((1_000_000, False), (1_000_001, True)):
        costs = [Cost(params=count, flops=1, conv_linear_macs=1, torch_macs=1) for count in (100_000, params)]
        outcomes = {cell.id: complete(cell, 90.0, cost=cost) for cell, cost in zip(cells, costs, strict=True)}
        spec = charts(make_suite(*cells), outcomes)["digits-accuracy-params"].spec
        assert ('"type": "log"' in repr(spec).replace("'", '"')) == log


def test_more_than_thirty_rows_have_no_legend(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell(model=f"nets.py:net{number}") for number in range(31)]
    outcomes = {cell.id: complete(cell, 90.0) for cell in cells}
    for count, legends in ((30, True), (31, False)):
        spec = charts(make_suite(*cells[:count]), outcomes)["digits-accuracy-params"].spec
        assert ("symbolLimit" in repr(spec)) == legends
