"""The registry of formats, and the formats for programs."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from helpers.outcomes import complete

from bench.cli.report import report
from bench.errors import UsageError
from bench.report.render import FORMATS, Format, describe_formats, join, render
from bench.report.table import build_tables
from bench.values import Cell, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


class TestFormats:
    def test_the_command_line_offers_every_format_with_its_description(self) -> None:
        words = CliRunner().invoke(report, ["--help"]).output.split()
        for name, format_ in FORMATS.items():
            assert f"{name}:" in words
            assert format_.description in " ".join(words)

    def test_a_new_format_is_one_line(
        self, make_cell: MakeCell, make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(FORMATS, "names", Format(description="names only", render=lambda *_: "names\n"))
        assert "names: names only" in describe_formats()
        suite = make_suite(make_cell())
        assert render(build_tables(suite, {}), "names", suite=suite) == "names\n"
        assert join(["a\n", "b\n"], "names") == "a\n\nb\n"

    def test_an_unknown_format_is_refused_with_the_valid_names(self, make_suite: MakeSuite) -> None:
        with pytest.raises(UsageError, match="unknown format 'html'; valid formats: markdown, json, csv"):
            render((), "html", suite=make_suite())


class TestRender:
    @pytest.mark.parametrize("format_", FORMATS)
    def test_the_same_runs_give_the_same_bytes(self, make_cell: MakeCell, make_suite: MakeSuite, format_: str) -> None:
        cells = [make_cell(seed=seed) for seed in range(3)]
        outcomes = {cell.id: complete(cell, 90.0 + cell.seed) for cell in cells}
        suite = make_suite(*cells)
        text, again = (
            render(build_tables(suite, order), format_, suite=suite)
            for order in (outcomes, dict(reversed(outcomes.items())))
        )
        assert text == again
        assert text.endswith("\n")

    def test_json_leads_from_every_number_to_its_runs(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        suite = make_suite(cell)
        document = json.loads(render(build_tables(suite, {cell.id: complete(cell, 93.5)}), "json", suite=suite))
        row = document["tables"][0]["rows"][0]
        assert document["schema"] == 1
        assert row["top1"] == {"mean": 93.5, "std": None, "n": 1}
        assert row["runs"][0]["run_id"] == "r" * 32
        assert {"model", "schedule", "state", "params", "flops", "input_size", "top5"} <= set(row)

    def test_csv_has_one_line_per_row_with_all_digits(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        suite = make_suite(cell)
        text = render(build_tables(suite, {cell.id: complete(cell, 93.123456)}), "csv", suite=suite)
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["params"], row["top1_mean"], row["state"]) == ("11173962", "93.123456", "complete")

    def test_csv_leaves_numbers_that_do_not_exist_empty(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        suite = make_suite(make_cell())
        (row,) = csv.DictReader(io.StringIO(render(build_tables(suite, {}), "csv", suite=suite)))
        assert (row["params"], row["top1_mean"], row["top1_std"], row["top1_n"]) == ("", "", "", "0")


class TestJoin:
    def texts(self, format_: str, make_cell: MakeCell, make_suite: MakeSuite) -> list[str]:
        suites = [make_suite(make_cell("vgg11"), name="a"), make_suite(make_cell("alexnet"), name="b")]
        return [render(build_tables(suite, {}), format_, suite=suite) for suite in suites]

    @pytest.mark.parametrize("format_", FORMATS)
    def test_one_suite_stays_as_it_is(self, make_cell: MakeCell, make_suite: MakeSuite, format_: str) -> None:
        text, _ = self.texts(format_, make_cell, make_suite)
        assert join([text], format_) == text

    def test_json_is_one_document_with_all_tables(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        document = json.loads(join(self.texts("json", make_cell, make_suite), "json"))
        assert document["suite"] == "a"
        assert [row["model"] for table in document["tables"] for row in table["rows"]] == ["vgg11", "alexnet"]

    def test_csv_has_one_header(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        rows = list(csv.DictReader(io.StringIO(join(self.texts("csv", make_cell, make_suite), "csv"))))
        assert [row["model"] for row in rows] == ["vgg11", "alexnet"]
