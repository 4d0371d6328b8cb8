"""A report against an older one: which rows are the same, by how much they changed, and what can be said of that."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from helpers.outcomes import COST, complete

from bench.report.against import changes, difference, fallen, signed
from bench.report.model import Against, Report, Statistic
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def statistic(values: Sequence[float]) -> Statistic:
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Statistic(mean=float(np.mean(values)), std=std, n=len(values))


def report_of(suite: Suite, *outcomes: Outcome) -> Report:
    return Report(tables=build_tables(suite, {each.cell_id: each for each in outcomes}), suites=(suite,))


def compared(now: Report, before: Report, *, partial: bool = False) -> Report:
    return replace(now, against=Against(path="p.json", report=before, partial=partial))


class TestDifference:
    @pytest.mark.parametrize(
        ("before", "now", "low", "high", "verdict"),
        [
            ([93.1, 93.4, 92.9], [94.0, 94.3, 93.8], 0.329495, 1.470505, "significant"),
            ([93.1, 93.4, 92.9], [93.5, 93.2], -0.508059, 0.941393, "not significant"),
            ([70.0, 80.0], [81.0, 81.5, 81.2, 80.9, 81.1], -57.277382, 69.557382, "not significant"),
            ([90.0, 90.0], [88.0, 88.5], -4.926551, 1.426551, "not significant"),
        ],
    )
    def test_is_welchs_interval(
        self, before: list[float], now: list[float], low: float, high: float, verdict: str
    ) -> None:
        """Numbers of ``scipy.stats.ttest_ind(now, before, equal_var=False).confidence_interval(0.95)``."""
        found = difference(statistic(before), statistic(now))
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)
        assert found.verdict == verdict

    @pytest.mark.parametrize(
        ("before", "now", "verdict"),
        [
            ([90.0], [80.0], "one seed each: cannot say"),
            ([90.0], [80.0, 81.0], "one seed before: cannot say"),
            ([90.0, 91.0], [80.0], "one seed now: cannot say"),
            ([90.0, 90.0], [80.0, 80.0], "seeds do not differ: cannot say"),
        ],
    )
    def test_without_a_spread_it_says_so(self, before: list[float], now: list[float], verdict: str) -> None:
        found = difference(statistic(before), statistic(now))
        assert (found.verdict, found.low, found.high) == (verdict, None, None)
        assert found.change == pytest.approx(np.mean(now) - np.mean(before))


class TestChanges:
    def test_the_same_runs_did_not_change(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        report = report_of(make_suite(cell), complete(cell, 90.0))
        (change,) = changes(compared(report, report))
        assert (change.kind, change.is_one, change.top1 and change.top1.verdict) == (
            "same recipe",
            False,
            "the same runs",
        )

    def test_a_row_with_other_seeds_is_the_same_row(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        old, new = make_cell(seed=0), make_cell(seed=1)
        before = report_of(make_suite(old), complete(old, 90.0, run_id="a"))
        now = report_of(make_suite(new), complete(new, 91.0, run_id="b"))
        (change,) = changes(compared(now, before))
        assert (change.kind, change.top1 and change.top1.change) == ("same recipe", 1.0)

    def test_rows_are_new_gone_or_of_another_recipe(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        short, long, alexnet = make_cell(epochs=2), make_cell(epochs=3), make_cell("alexnet")
        before = report_of(make_suite(short, alexnet), complete(short, 90.0), complete(alexnet, 80.0))
        vgg = make_cell("vgg11")
        now = report_of(make_suite(long, vgg), complete(long, 92.0, run_id="b"))
        found = changes(compared(now, before))
        assert [(change.row.model, change.kind) for change in found] == [
            ("shufflenet_v2_x0_5", "changed recipe"),
            ("vgg11", "new"),
            ("alexnet", "gone"),
        ]
        assert found[0].recipe == ("epochs 2 to 3",)
        assert [each.kind for each in changes(compared(now, before, partial=True))] == ["changed recipe", "new"]

    def test_rows_that_differ_in_their_recipe_alone_are_kept_apart(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(epochs=epochs) for epochs in (2, 3, 4)]
        before = report_of(make_suite(*cells[:2]))
        now = report_of(make_suite(cells[2], *cells[1::-1]))
        found = changes(compared(now, before))
        assert [change.kind for change in found] == ["new", "same recipe", "same recipe"]

    def test_a_suite_that_is_not_asked_for_is_left_out(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell, other = make_cell(), make_cell("alexnet")
        both = [report_of(make_suite(cell)), report_of(make_suite(other, name="other"))]
        before = replace(both[0], tables=both[0].tables + both[1].tables)
        assert [change.kind for change in changes(compared(both[0], before))] == ["same recipe"]

    def test_costs_are_compared_exactly(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        suite = make_suite(cell)
        before = report_of(suite, complete(cell, 90.0))
        now = report_of(suite, complete(cell, 90.0, cost=replace(COST, params=COST.params + 1)))
        (change,) = changes(compared(now, before))
        assert change.is_one

    def test_without_an_older_report_there_are_none(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        assert changes(report_of(make_suite(make_cell()))) == ()


class TestFallen:
    def test_names_rows_that_fell_too_far_or_have_no_result_now(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(model) for model in ("resnet18", "alexnet", "vgg11", "vgg13", "vgg16")]
        before = report_of(make_suite(*cells), *(complete(cell, 90.0, run_id="a") for cell in cells[:4]))
        now = report_of(
            make_suite(*cells[:3], cells[4]),
            complete(cells[0], 88.9, run_id="b"),
            complete(cells[1], 89.0, run_id="b"),
            Outcome(cell_id=cells[2].id, state="failed", kind="oom"),
        )
        first, second, third = fallen(changes(compared(now, before)), 1.0)
        assert first.endswith("90.00 before, 88.90 now (-1.10, one seed each: cannot say)")
        assert second.endswith("90.00 before, no result now (failed: oom)")
        assert third.endswith("90.00 before, no result now (the row is gone)")


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.00"), (1.234, "+1.23"), (-0.5, "-0.50"), (-0.001, "-0.00")])
def test_signed_has_a_sign_where_there_is_a_change(value: float, text: str) -> None:
    assert signed(value) == text
