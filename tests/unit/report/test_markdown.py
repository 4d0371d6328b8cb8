"""The markdown table: columns, numbers, and names that try to break it."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from helpers.outcomes import complete
from hypothesis import given
from hypothesis import strategies as st

from bench.report.markdown import escape, markdown
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def table_cells(text: str) -> list[list[str]]:
    """The cells of the first table, line by line."""
    table = [line for line in text.split("\n\n")[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def rendered(suite: Suite, outcomes: dict[str, Outcome], *, best: bool = False) -> str:
    return markdown(Report(tables=build_tables(suite, outcomes, best=best), suites=(suite,), best=best))


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


class TestLegend:
    def lines(self, suite: Suite, start: str) -> list[str]:
        return [line for line in rendered(suite, {}).splitlines() if line.startswith(start)]

    def test_one_recipe_is_that_of_all_rows(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        (line,) = self.lines(make_suite(make_cell("vgg11", epochs=1, augment=()), make_cell(epochs=1)), "Recipe")
        assert line.startswith("Recipe: 1 epoch, batch 64, sgd(")

    def test_several_recipes_say_which_rows_they_are_of(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell("vgg11", epochs=8), make_cell("alexnet", epochs=12), make_cell("vgg13", epochs=12)]
        eight, twelve = self.lines(make_suite(*cells), "Recipe")
        assert eight.startswith("Recipe of vgg11: 8 epochs, ")
        assert twelve.startswith("Recipe of alexnet, vgg13: 12 epochs, ")

    def test_a_data_set_stands_for_all_of_its_rows(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell("vgg11"), make_cell("vgg11", "cifar10", epochs=9), make_cell("vgg13", "cifar10", epochs=7)]
        first, *others = self.lines(make_suite(*cells), "Recipe")
        assert first.startswith("Recipe of Digits: ")
        starts = [line.partition(":")[0] for line in others]
        assert starts == ["Recipe of vgg11 on CIFAR-10", "Recipe of vgg13 on CIFAR-10"]

    def test_a_model_of_several_recipes_is_named_with_its_own(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        one, two = self.lines(make_suite(make_cell(lr=0.1), make_cell(lr=0.2)), "Recipe")
        assert one.startswith("Recipe of shufflenet_v2_x0_5 (lr 0.1): ")
        assert two.startswith("Recipe of shufflenet_v2_x0_5 (lr 0.2): ")

    def test_schedules_are_spelled_out(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        (line,) = self.lines(make_suite(replace(cell, schedule_name="fast")), "Schedule")
        assert line == f"Schedule fast: {cell.schedule}."

    def test_devices_say_which_rows_they_are_of(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell("vgg11"), make_cell("vgg13")]
        outcomes = {cell.id: complete(cell, 90.0, device=f"GPU {cell.model}") for cell in cells}
        text = rendered(make_suite(*cells), outcomes)
        assert "Device of vgg11: GPU vgg11." in text
        assert "Device of vgg13: GPU vgg13." in text


def test_rows_of_several_recipes_have_a_column_of_what_differs(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    suite = make_suite(make_cell("vgg11", epochs=8), make_cell("alexnet", epochs=12, stem="standard"))
    header, _, *rows = table_cells(rendered(suite, {}))
    assert header[:2] == ["Model", "Recipe"]
    assert [row[:2] for row in rows] == [["vgg11", "8 epochs"], ["alexnet (standard stem)", "12 epochs"]]


def test_top5_of_few_classes_is_a_dash_with_the_reason(
    make_cell: MakeCell, make_suite: MakeSuite, tmp_path: Path
) -> None:
    for split, name in itertools.product(("train", "val"), "ab"):
        (tmp_path / split / name).mkdir(parents=True)
        (tmp_path / split / name / "0.png").touch()
    cell = make_cell(dataset=f"folder:{tmp_path}")
    text = rendered(make_suite(cell), {cell.id: complete(cell, 90.0, top5=100.0)})
    assert table_cells(text)[2][-2:] == ["90.00", "-"]
    assert "Top-5 is left out for data sets of 5 classes or fewer" in text


def test_nothing_from_a_run_becomes_html(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cell = make_cell()
    hostile = complete(cell, 90.0, commit="</details>", device="<script>", run_id="</a>|")
    text = rendered(make_suite(cell), {cell.id: hostile})
    assert text.count("</details>") == 1
    assert "<script>" not in text
    assert "</a>" not in text
