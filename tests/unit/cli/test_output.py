"""What commands print and write."""

import json
from pathlib import Path

import pytest

from bench.cli.output import check_writable, columns, print_json, write_output
from bench.errors import UsageError


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
