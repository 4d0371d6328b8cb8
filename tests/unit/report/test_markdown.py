"""The markdown table: columns, numbers, and names that try to break it."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.outcomes import complete
from hypothesis import given
from hypothesis import strategies as st

from bench.report.markdown import accuracy, escape, markdown, millions, recipes
from bench.report.model import Statistic
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def table_cells(text: str) -> list[list[str]]:
    """The cells of the first table, line by line."""
    table = [line for line in text.split("\n\n")[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def rendered(suite: Suite, outcomes: dict[str, Outcome], *, best: bool = False) -> str:
    return markdown(build_tables(suite, outcomes, best=best), suite, best)


class TestMarkdown:
    def test_one_seed_has_no_deviation(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        lines = table_cells(rendered(make_suite(cell), {cell.id: complete(cell, 93.764)}))
        assert lines[2] == ["shufflenet_v2_x0_5", "11.174", "556.7", "8x8", "93.76", "99.00"]

    def test_the_schedule_is_a_column_only_if_a_data_set_has_several(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        assert table_cells(rendered(make_suite(cell, make_cell(seed=1)), {}))[0][:2] == ["Model", "Params(M)"]
        other = replace(cell, schedule_name="late", schedule=replace(cell.schedule, options=(("eta_min", 0.1),)))
        assert table_cells(rendered(make_suite(cell, other), {}))[0][:2] == ["Model", "Schedule"]

    def test_the_best_epoch_is_shown_only_on_request_and_is_labelled(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        suite, outcomes = make_suite(cell), {cell.id: complete(cell, 90.0, best_top1=91.0)}
        assert "91.00" not in rendered(suite, outcomes)
        best = rendered(suite, outcomes, best=True)
        assert "Best top-1(%)" in best
        assert "91.00" in best
        assert "optimistic" in best

    def test_a_stale_number_is_marked_and_explained(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        text = rendered(make_suite(cell), {cell.id: complete(cell, 90.0, stale="torch changed")})
        assert table_cells(text)[2][4] == "90.00 (stale)"
        assert "(stale): torch changed since" in text


@pytest.mark.parametrize(
    ("value", "state", "text"),
    [
        (Statistic(mean=93.756, std=None, n=1), "", "93.76"),
        (Statistic(mean=92.0, std=2.6457513, n=3), "", "92.00 ± 2.65 (n=3)"),
        (Statistic(mean=90.0, std=0.0, n=2), "1 of 3 missing", "90.00 ± 0.00 (n=2), 1 of 3 missing"),
        (None, "failed: oom", "failed: oom"),
        (None, "", "-"),
    ],
)
def test_accuracy_shows_the_spread_and_what_is_missing(value: Statistic | None, state: str, text: str) -> None:
    assert accuracy(value, state) == text


@pytest.mark.parametrize(
    ("count", "digits", "text"),
    [(11_173_962, 3, "11.174"), (556_659_712, 1, "556.7"), (2_817_216, 1, "2.817"), (650, 1, "0.001"), (None, 1, "-")],
)
def test_millions_keeps_three_decimals_for_small_counts(count: int | None, digits: int, text: str) -> None:
    assert millions(count, digits) == text


class TestEscape:
    @given(st.text(max_size=80))
    def test_no_name_can_break_a_line_of_the_table(self, name: str) -> None:
        escaped = escape(name)
        assert len(escaped.splitlines()) <= 1
        assert len(re.split(r"(?<!\\)\|", f"| {escaped} | x |")) == 4
        assert "<" not in escaped
        assert not re.search(r"(?<!\\)[`\[]", escaped)

    def test_plain_names_stay_as_they_are(self) -> None:
        assert escape("shufflenet_v2_x0_5") == "shufflenet_v2_x0_5"


def test_recipes_names_each_recipe_once(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell(epochs=1, augment=()), make_cell(epochs=1, augment=(), seed=1), make_cell(label_smoothing=0.1)]
    one, smoothed = recipes(make_suite(*cells))
    assert one.startswith("1 epoch, batch 64, sgd(")
    assert "no augmentation" in one
    assert smoothed.endswith("label smoothing 0.1")
