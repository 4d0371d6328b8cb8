"""Tables and their rendering: seeds, states, labels, bytes, and names that try to break them."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.model import Statistic
from bench.report.render import FORMATS, RENDERERS, escape, render
from bench.report.table import build_tables, describe
from bench.suite import parse_suite
from bench.values import Cell, Cost, Outcome, Suite

Make = Callable[..., Cell]
MakeSuite = Callable[..., Suite]
SEEDS = list(range(12))
COST = Cost(params=11_173_962, flops=556_659_712, conv_linear_macs=555_422_720, torch_macs=555_422_720)


def done(cell: Cell, top1: float, **content: object) -> Outcome:
    known = {"top5": 99.0, "best_top1": top1 + 1, "cost": COST, "run_id": "r" * 32, "device": "a CPU", **content}
    return Outcome(cell_id=cell.id, state="complete", top1=top1, **known)  # type: ignore[arg-type]


def lines_of(markdown: str) -> list[list[str]]:
    """Cells of the first table's lines."""
    table = [line for line in markdown.split("\n\n")[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def test_a_row_shows_the_mean_and_sample_deviation_over_seeds(make_cell: Make, make_suite: MakeSuite) -> None:
    cells = [make_cell(seed=seed) for seed in range(3)]
    known = {cell.id: done(cell, top1) for cell, top1 in zip(cells, (90.0, 91.0, 95.0), strict=True)}
    suite = make_suite(*cells)
    (table,) = build_tables(suite, known)
    assert len(table.rows) == 1
    assert table.rows[0].top1 is not None
    assert (table.rows[0].top1.mean, table.rows[0].top1.n) == (92.0, 3)
    assert table.rows[0].top1.std == pytest.approx(2.6457513)
    assert "92.00 ± 2.65 (n=3)" in render([table], "markdown", suite=suite)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12))
def test_means_and_deviations_have_the_digits_of_pandas(accuracies: list[float]) -> None:
    cells = parse_suite(
        f"suite: s\ngrid: {{model: resnet18, dataset: digits, schedule: cosine, seed: {SEEDS}}}", "s"
    ).cells
    cells = cells[: len(accuracies)]
    suite = Suite(name="s", description="", path="", source="", cells=cells)
    ((row,),) = (
        table.rows
        for table in build_tables(
            suite, {cell.id: done(cell, top1) for cell, top1 in zip(cells, accuracies, strict=True)}
        )
    )
    column = pd.Series(accuracies)
    spread = float(column.std(ddof=1)) if len(accuracies) > 1 else None
    assert row.top1 == Statistic(mean=float(column.mean()), std=spread, n=len(accuracies))


def test_one_seed_has_no_deviation(make_cell: Make, make_suite: MakeSuite) -> None:
    cell = make_cell()
    suite = make_suite(cell)
    text = render(build_tables(suite, {cell.id: done(cell, 93.764)}), "markdown", suite=suite)
    assert lines_of(text)[2] == ["shufflenet_v2_x0_5", "11.174", "556.7", "8x8", "93.76", "99.00"]


def test_the_schedule_is_a_column_only_where_a_data_set_has_several(make_cell: Make, make_suite: MakeSuite) -> None:
    one, two = make_cell(), make_cell(seed=1)
    assert (
        lines_of(render(build_tables(make_suite(one, two), {}), "markdown", suite=make_suite(one)))[0][1] == "Params(M)"
    )
    other = replace(one, schedule_name="late", schedule=replace(one.schedule, options=(("eta_min", 0.1),)))
    suite = make_suite(one, other)
    assert lines_of(render(build_tables(suite, {}), "markdown", suite=suite))[0][:2] == ["Model", "Schedule"]


def test_rows_and_data_sets_keep_the_suites_order(make_cell: Make, make_suite: MakeSuite) -> None:
    cells = [make_cell("vgg11", "cifar10"), make_cell("alexnet", "digits"), make_cell("resnet18", "cifar10")]
    tables = build_tables(make_suite(*cells), {})
    assert [(table.title, [row.model for row in table.rows]) for table in tables] == [
        ("CIFAR-10", ["vgg11", "resnet18"]),
        ("Digits", ["alexnet"]),
    ]


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (None, "missing"),
        (Outcome(cell_id="", state="failed", kind="oom"), "failed: oom"),
        (Outcome(cell_id="", state="failed", kind="diverged"), "diverged"),
        (Outcome(cell_id="", state="running", epochs_done=41, epochs=100), "running 41%"),
        (Outcome(cell_id="", state="interrupted", epochs_done=1, epochs=3), "interrupted 33%"),
        (Outcome(cell_id="", state="complete", top1=float("nan")), "diverged"),
        (Outcome(cell_id="", state="complete", top1=1.797e308), "diverged"),
    ],
)
def test_a_cell_without_a_result_says_why(outcome: Outcome | None, text: str) -> None:
    assert describe(outcome) == text


def test_a_failed_cell_is_a_row_with_its_cost(make_cell: Make, make_suite: MakeSuite) -> None:
    cell = make_cell()
    failed = Outcome(cell_id=cell.id, state="failed", kind="oom", cost=COST, top1=50.0)
    suite = make_suite(cell)
    assert lines_of(render(build_tables(suite, {cell.id: failed}), "markdown", suite=suite))[2][1:] == [
        "11.174",
        "556.7",
        "8x8",
        "failed: oom",
        "-",
    ]


def test_seeds_that_are_missing_are_counted_beside_the_mean_of_the_others(
    make_cell: Make, make_suite: MakeSuite
) -> None:
    cells = [make_cell(seed=seed) for seed in range(3)]
    suite = make_suite(*cells)
    known = {cell.id: done(cell, 90.0) for cell in cells[:2]}
    assert "90.00 ± 0.00 (n=2), 1 of 3 missing" in render(build_tables(suite, known), "markdown", suite=suite)


def test_the_best_epoch_is_only_shown_when_asked_for_and_is_labelled(make_cell: Make, make_suite: MakeSuite) -> None:
    cell = make_cell()
    suite, known = make_suite(cell), {cell.id: done(cell, 90.0)}
    last = render(build_tables(suite, known), "markdown", suite=suite)
    best = render(build_tables(suite, known, best=True), "markdown", suite=suite, best=True)
    assert "91.00" not in last
    assert "Best top-1(%)" in best
    assert "91.00" in best
    assert "optimistic" in best


def test_an_imagenet_stem_on_small_images_is_named(make_cell: Make, make_suite: MakeSuite) -> None:
    small, standard = make_cell("resnet18", stem="small"), make_cell("resnet18", stem="standard")
    big = make_cell("resnet18", stem="standard", input_size=224)
    rows = build_tables(make_suite(small, standard, big), {})[0].rows
    assert [row.label.partition(" (b")[0] for row in rows][1] == "resnet18 (standard stem)"
    assert rows[0].label.startswith("resnet18")
    assert "standard" not in build_tables(make_suite(big), {})[0].rows[0].label


def test_rows_that_differ_only_in_their_recipe_say_in_what(make_cell: Make, make_suite: MakeSuite) -> None:
    cells = [make_cell(batch_size=32), make_cell(batch_size=64)]
    labels = [row.label for row in build_tables(make_suite(*cells), {})[0].rows]
    assert labels == ["shufflenet_v2_x0_5 (batch_size=32)", "shufflenet_v2_x0_5 (batch_size=64)"]


def test_counters_that_disagree_and_operators_nobody_counts_are_told(make_cell: Make, make_suite: MakeSuite) -> None:
    cell = make_cell()
    odd = replace(COST, torch_macs=999_000_000, uncounted=("aten::fft_fft2 x 1",))
    suite = make_suite(cell)
    text = render(build_tables(suite, {cell.id: done(cell, 90.0, cost=odd)}), "markdown", suite=suite)
    assert "the counters disagree" in text
    assert "aten::fft" in text


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_runs_give_the_same_bytes(make_cell: Make, make_suite: MakeSuite, format_: str) -> None:
    cells = [make_cell(seed=seed) for seed in range(3)]
    known = {cell.id: done(cell, 90.0 + cell.seed) for cell in cells}
    texts = {
        render(build_tables(suite, order), format_, suite=suite)
        for suite in [make_suite(*cells)]
        for order in (known, dict(reversed(known.items())))
    }
    assert len(texts) == 1
    assert texts.pop().endswith("\n")


def test_json_leads_from_every_number_to_its_runs(make_cell: Make, make_suite: MakeSuite) -> None:
    cell = make_cell()
    suite = make_suite(cell)
    document = json.loads(render(build_tables(suite, {cell.id: done(cell, 93.5)}), "json", suite=suite))
    row = document["tables"][0]["rows"][0]
    assert document["schema"] == 1
    assert row["top1"] == {"mean": 93.5, "std": None, "n": 1}
    assert row["runs"][0]["run_id"] == "r" * 32
    assert {"model", "schedule", "state", "params", "flops", "input_size", "top5"} <= set(row)


def test_csv_has_one_line_a_row_with_all_digits(make_cell: Make, make_suite: MakeSuite) -> None:
    cell = make_cell()
    suite = make_suite(cell)
    text = render(build_tables(suite, {cell.id: done(cell, 93.123456)}), "csv", suite=suite)
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["params"], row["top1_mean"], row["state"]) == ("11173962", "93.123456", "complete")


def test_every_format_of_the_catalog_has_a_renderer() -> None:
    assert set(RENDERERS) == set(FORMATS)


@given(st.text(max_size=80))
def test_no_name_can_break_a_line_of_the_table(name: str) -> None:
    shown = escape(name)
    assert len(shown.splitlines()) <= 1
    assert len(re.split(r"(?<!\\)\|", f"| {shown} | x |")) == 4
    assert "<" not in shown
    assert not re.search(r"(?<!\\)[`\[]", shown)


def test_plain_names_are_shown_as_they_are() -> None:
    assert escape("shufflenet_v2_x0_5") == "shufflenet_v2_x0_5"
