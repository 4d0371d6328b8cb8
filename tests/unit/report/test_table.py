"""Outcomes become rows: seeds, states, order and notes."""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.outcomes import COST, complete
from hypothesis import given
from hypothesis import strategies as st

from bench.report.table import build_merged_tables, build_tables, describe, distinct_titles
from bench.suite import parse_suite
from bench.values import Cell, Component, Cost, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]
TWELVE_SEEDS = parse_suite(
    f"suite: s\ngrid: {{model: resnet18, dataset: digits, schedule: cosine, seed: {list(range(12))}}}", "s"
)


class TestBuildTables:
    def test_a_row_is_the_mean_and_sample_deviation_over_seeds(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(seed=seed) for seed in range(3)]
        outcomes = {cell.id: complete(cell, top1) for cell, top1 in zip(cells, (90.0, 91.0, 95.0), strict=True)}
        ((row,),) = (table.rows for table in build_tables(make_suite(*cells), outcomes))
        assert row.top1 is not None
        assert (row.top1.mean, row.top1.n) == (92.0, 3)
        assert row.top1.std == pytest.approx(2.6457513)

    @given(st.lists(st.floats(0, 100), min_size=1, max_size=12))
    def test_statistics_are_those_of_the_standard_library(self, accuracies: list[float]) -> None:
        cells = TWELVE_SEEDS.cells[: len(accuracies)]
        outcomes = {cell.id: complete(cell, top1) for cell, top1 in zip(cells, accuracies, strict=True)}
        ((row,),) = (table.rows for table in build_tables(replace(TWELVE_SEEDS, cells=cells), outcomes))
        assert row.top1 is not None
        assert row.top1.n == len(accuracies)
        assert row.top1.mean == pytest.approx(statistics.fmean(accuracies), abs=1e-12)
        if len(accuracies) > 1:
            assert row.top1.std == pytest.approx(statistics.stdev(accuracies), rel=1e-9, abs=1e-12)
        else:
            assert row.top1.std is None

    def test_rows_and_data_sets_keep_the_suites_order(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell("vgg11", "cifar10"), make_cell("alexnet", "digits"), make_cell("resnet18", "cifar10")]
        tables = build_tables(make_suite(*cells), {})
        assert [(table.title, [row.model for row in table.rows]) for table in tables] == [
            ("CIFAR-10", ["vgg11", "resnet18"]),
            ("Digits", ["alexnet"]),
        ]

    def test_limited_images_per_class_are_a_table_of_their_own(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        whole, limited = make_cell(), make_cell(max_images_per_class=10)
        tables = build_tables(make_suite(whole, limited), {})
        assert [len(table.rows) for table in tables] == [1, 1]
        assert tables[0].title != tables[1].title

    def test_seeds_that_differ_in_nothing_else_share_a_row(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell(seed=0), make_cell("alexnet"), make_cell(seed=1)]
        (table,) = build_tables(make_suite(*cells), {})
        assert [[run.seed for run in row.runs] for row in table.rows] == [[0, 1], [0]]

    def test_missing_seeds_are_counted_beside_the_mean_of_the_others(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(seed=seed) for seed in range(3)]
        (table,) = build_tables(make_suite(*cells), {cell.id: complete(cell, 90.0) for cell in cells[:2]})
        (row,) = table.rows
        assert row.state == "1 of 3 missing"
        assert row.top1 is not None
        assert row.top1.n == 2

    def test_a_failed_cell_is_a_row_with_its_cost_and_no_accuracy(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        failed = Outcome(cell_id=cell.id, state="failed", kind="oom", cost=COST, top1=50.0)
        ((row,),) = (table.rows for table in build_tables(make_suite(cell), {cell.id: failed}))
        assert (row.state, row.params, row.flops, row.top1) == ("failed: oom", COST.params, COST.flops, None)

    def test_best_takes_the_best_epoch_and_no_top5(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        outcomes = {cell.id: complete(cell, 90.0, best_top1=91.5)}
        ((row,),) = (table.rows for table in build_tables(make_suite(cell), outcomes, best=True))
        assert row.top1 is not None
        assert (row.top1.mean, row.top5) == (91.5, None)

    @pytest.mark.parametrize("top5", [math.inf, math.nan, 1.797e308, -1.0, None])
    def test_an_impossible_top5_is_not_averaged(
        self, make_cell: MakeCell, make_suite: MakeSuite, top5: float | None
    ) -> None:
        cells = [make_cell(seed=0), make_cell(seed=1)]
        outcomes = {cells[0].id: complete(cells[0], 90.0), cells[1].id: complete(cells[1], 90.0, top5=top5)}
        ((row,),) = (table.rows for table in build_tables(make_suite(*cells), outcomes))
        assert row.top5 is not None
        assert (row.top5.mean, row.top5.n) == (99.0, 1)
        assert row.runs[1].top5 is None

    def test_best_runs_give_the_mean_of_their_row(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell(seed=seed) for seed in range(3)]
        outcomes = {cell.id: complete(cell, 90.0, best_top1=91.0 + cell.seed) for cell in cells}
        for best, mean in ((True, 92.0), (False, 90.0)):
            ((row,),) = (table.rows for table in build_tables(make_suite(*cells), outcomes, best=best))
            assert row.top1 is not None
            assert row.top1.mean == statistics.fmean(run.top1 or 0 for run in row.runs) == mean

    def test_a_run_that_diverged_has_no_best_epoch(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        outcomes = {cell.id: complete(cell, math.nan, best_top1=50.0)}
        ((row,),) = (table.rows for table in build_tables(make_suite(cell), outcomes, best=True))
        assert (row.state, row.top1) == ("diverged", None)

    @pytest.mark.parametrize(("classes", "shown"), [(2, False), (5, False), (6, True), (None, True)])
    def test_top5_of_a_folder_that_is_gone_goes_by_the_classes_that_its_runs_saw(
        self, make_cell: MakeCell, make_suite: MakeSuite, classes: int | None, shown: bool
    ) -> None:
        cell = make_cell(dataset="folder:nowhere")
        outcomes = {cell.id: complete(cell, 90.0, classes=classes)}
        (table,) = build_tables(make_suite(cell), outcomes)
        (row,) = table.rows
        assert (table.num_classes, row.top5 is not None) == (classes, shown)

    def test_a_row_has_its_recipe_and_the_mean_time_of_its_runs(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(seed=0, epochs=7), make_cell(seed=1, epochs=7)]
        outcomes = {cell.id: complete(cell, 90.0, total_s=10.0 + cell.seed) for cell in cells}
        (table,) = build_tables(make_suite(*cells), outcomes)
        (row,) = table.rows
        assert (table.suite, row.seconds, row.recipe["epochs"], row.recipe["lr"]) == ("test", 10.5, 7, 0.05)
        assert [run.seconds for run in row.runs] == [10.0, 11.0]

    def test_headings_of_one_report_are_different(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        one, two = (make_suite(make_cell(), name=name) for name in ("one", "two"))
        folders = make_suite(make_cell(dataset="folder:a/five"), make_cell(dataset="folder:b/five"))
        tables = distinct_titles([*build_tables(one, {}), *build_tables(two, {}), *build_tables(folders, {})])
        assert [table.title for table in tables] == [
            "Digits (one)",
            "Digits (two)",
            "five (folder:a/five)",
            "five (folder:b/five)",
        ]

    def test_disagreeing_counters_and_uncounted_operators_are_noted(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        cost = replace(COST, torch_macs=999_000_000, uncounted=("aten::fft_fft2 x 1",))
        ((row,),) = (table.rows for table in build_tables(make_suite(cell), {cell.id: complete(cell, 90.0, cost=cost)}))
        assert "the counters disagree" in row.note
        assert "not counted: aten::fft_fft2 x 1" in row.note

    def test_counters_that_disagree_on_a_small_net_are_told_with_digits(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        cost = Cost(params=330, flops=1184, conv_linear_macs=320, torch_macs=12_600)
        ((row,),) = (table.rows for table in build_tables(make_suite(cell), {cell.id: complete(cell, 90.0, cost=cost)}))
        assert row.note.endswith("fvcore 0.000320 M, torch 0.0126 M")

    def test_what_changed_since_is_said_once_for_all_seeds(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell(seed=seed) for seed in range(3)]
        reasons = ("torch changed", "data changed", "torch changed")
        outcomes = {cell.id: complete(cell, 90.0, stale=text) for cell, text in zip(cells, reasons, strict=True)}
        ((row,),) = (table.rows for table in build_tables(make_suite(*cells), outcomes))
        assert row.stale == "torch changed; data changed"


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (None, "missing"),
        (Outcome(cell_id="", state="failed", kind="oom"), "failed: oom"),
        (Outcome(cell_id="", state="failed"), "failed: error"),
        (Outcome(cell_id="", state="failed", kind="diverged"), "diverged"),
        (Outcome(cell_id="", state="running", epochs_done=41, epochs=100), "running 41%"),
        (Outcome(cell_id="", state="interrupted", epochs_done=1, epochs=3), "interrupted 33%"),
        (Outcome(cell_id="", state="complete", top1=90.0), "complete"),
        (Outcome(cell_id="", state="complete", top1=float("nan")), "diverged"),
        (Outcome(cell_id="", state="complete", top1=1.797e308), "diverged"),
    ],
)
def test_describe_says_why_a_cell_has_no_result(outcome: Outcome | None, text: str) -> None:
    assert describe(outcome) == text


class TestBuildMergedTables:
    def test_suites_on_one_data_set_share_a_table_that_tells_all_rows_apart(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        one = make_suite(make_cell("resnet18", epochs=8), make_cell("vgg11", epochs=8), name="one")
        two = make_suite(make_cell("resnet18", epochs=12), make_cell("resnet18", dataset="cifar10"), name="two")
        digits, cifar10 = build_merged_tables([one, two], {})
        assert [row.label for row in digits.rows] == ["resnet18 (8 epochs)", "vgg11 (8 epochs)", "resnet18 (12 epochs)"]
        assert [row.suite for row in digits.rows] == ["one", "one", "two"]
        assert (digits.suite, cifar10.suite, cifar10.rows[0].label) == ("one, two", "two", "resnet18")

    def test_a_cell_of_two_suites_counts_once_and_seeds_of_two_suites_are_one_row(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(seed=seed) for seed in range(3)]
        suites = [make_suite(*cells[:2], name="one"), make_suite(*cells[1:], name="two")]
        ((row,),) = (
            table.rows for table in build_merged_tables(suites, {cell.id: complete(cell, 90.0) for cell in cells})
        )
        assert row.top1 is not None
        assert row.top1.n == 3
        assert [run.seed for run in row.runs] == [0, 1, 2]
        assert row.suite == "one, two"

    def test_two_schedules_of_one_name_are_told_apart(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell("resnet18")
        other = replace(cell, schedule=Component.of("cosine", **{**cell.schedule.as_dict(), "eta_min": 0.01}))
        (table,) = build_merged_tables([make_suite(cell, name="one"), make_suite(other, name="two")], {})
        assert [row.variant for row in table.rows] == ["eta min 0.0", "eta min 0.01"]
