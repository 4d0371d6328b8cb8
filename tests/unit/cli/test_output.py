"""What commands print and write."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cells import MakeCell

from bench.api.plans import PlanReport, plan_entries
from bench.cli.output import check_writable, columns, print_json, print_plans, write_output
from bench.errors import UsageError
from bench.scheduler.plan import make_plan
from bench.values import Suite


def test_columns_are_aligned_and_a_line_break_in_a_value_breaks_no_line() -> None:
    rows = [("resnet18", 3, "two\nlines "), ("大きさ", 12, "")]
    assert columns(("model", "seed", "why"), rows).splitlines() == [
        "model     seed    why",
        "resnet18  3       two lines",
        "大きさ    12",
    ]


def test_print_json_puts_the_schema_version_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"cells": [1]})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"schema": 1, "cells": [1]}
    assert printed.startswith('{\n  "schema": 1')


def test_write_output_ends_a_file_with_one_newline_and_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    for text in ("long text that was there before", "short\n"):
        write_output(text, str(path))
    assert path.read_text() == "short\n"
    assert [found.name for found in tmp_path.iterdir()] == ["table.md"], "no temporary file is left"


def test_write_output_prints_without_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    write_output("table", None)
    assert capsys.readouterr().out == "table\n"


def test_check_writable_refuses_a_folder_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder: name a file in it"):
        check_writable(tmp_path)
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        check_writable(tmp_path / "nowhere" / "table.md")


def test_check_writable_leaves_no_file_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "table.md")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_shows_in_which_recipe_cells_differ(
    make_cell: MakeCell, make_suite: Callable[..., Suite], capsys: pytest.CaptureFixture[str]
) -> None:
    suite = make_suite(make_cell(lr=0.05), make_cell(lr=0.5))
    entries = plan_entries(make_plan(suite, {}, {}))
    print_plans(PlanReport(entries=entries, estimates_s=[None, None]), as_json=False)
    header, one, two, *_ = capsys.readouterr().out.splitlines()
    assert "recipe" in header.split()
    assert "lr 0.05" in one
    assert "lr 0.5 " in two
    assert [(entry["variant"], entry["suite"]) for entry in entries] == [("lr 0.05", "test"), ("lr 0.5", "test")]


def test_a_plan_of_one_recipe_and_suite_has_neither_column(
    make_cell: MakeCell, make_suite: Callable[..., Suite], capsys: pytest.CaptureFixture[str]
) -> None:
    entries = plan_entries(make_plan(make_suite(make_cell()), {}, {}))
    print_plans(PlanReport(entries=entries, estimates_s=[None]), as_json=False)
    header, _, _, total = capsys.readouterr().out.splitlines()
    assert not {"recipe", "suite"} & set(header.split())
    assert total.startswith("1 cell, 1 to run: no time estimate yet")


def test_a_net_that_runs_with_its_imagenet_stem_is_marked_in_the_plan(
    make_cell: MakeCell, make_suite: Callable[..., Suite]
) -> None:
    cells = [make_cell("squeezenet1_0", stem="standard"), make_cell("resnet18", stem="standard", input_size=224)]
    entries = plan_entries(make_plan(make_suite(*cells), {}, {}))
    assert [entry["name"] for entry in entries] == ["squeezenet1_0 (standard stem)", "resnet18"]
