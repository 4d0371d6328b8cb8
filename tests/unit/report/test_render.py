"""The registry of formats, and the formats for programs."""

import csv
import io
import json
import math
import re
from collections.abc import Callable

import pandas
import pytest
from click.testing import CliRunner
from helpers.outcomes import complete

from bench.cli.report import report
from bench.errors import UsageError
from bench.report.columns import COLUMNS
from bench.report.render import FORMATS, Format, describe_formats, format_of_file, join, render
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


class TestFormats:
    def test_the_command_line_offers_every_format_with_its_description(self) -> None:
        words = CliRunner().invoke(report, ["--help"]).output.split()
        for name, format_ in FORMATS.items():
            assert f"{name}:" in words
            assert format_.description in " ".join(words)

    def test_the_command_line_lists_every_column(self) -> None:
        output = CliRunner().invoke(report, ["--help"]).output
        lines = {tuple(line.split(maxsplit=1)) for line in output.partition("Columns:")[2].splitlines() if line.strip()}
        assert lines == {(name, column.description) for name, column in COLUMNS.items()}

    def test_a_new_format_is_one_line(
        self, make_cell: MakeCell, make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(FORMATS, "names", Format(description="names only", render=lambda *_: "names\n"))
        assert "names: names only" in describe_formats()
        suite = make_suite(make_cell())
        assert render(build_tables(suite, {}), "names", suites=[suite]) == "names\n"
        assert join(["a\n", "b\n"], "names") == "a\n\nb\n"

    def test_an_unknown_format_is_refused_with_the_valid_names(self, make_suite: MakeSuite) -> None:
        with pytest.raises(UsageError, match="unknown format 'docx'; valid formats: markdown, json, csv"):
            render((), "docx", suites=[make_suite()])


class TestFormatOfFile:
    @pytest.mark.parametrize(
        ("path", "format_"),
        [
            ("t.csv", "csv"),
            ("a.b/T.JSON", "json"),
            ("README.md", "markdown"),
            ("-", "markdown"),
            ("t.tex", "latex"),
            ("t.txt", "markdown"),
        ],
    )
    def test_goes_by_the_ending(self, path: str, format_: str) -> None:
        assert format_of_file(path) == format_

    def test_an_ending_that_no_format_has_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"no format is known for .docx .*; choose one with --format markdown"):
            format_of_file("t.docx")


class TestRender:
    @pytest.mark.parametrize("format_", FORMATS)
    def test_the_same_runs_give_the_same_bytes(self, make_cell: MakeCell, make_suite: MakeSuite, format_: str) -> None:
        cells = [make_cell(seed=seed) for seed in range(3)]
        outcomes = {cell.id: complete(cell, 90.0 + cell.seed) for cell in cells}
        suite = make_suite(*cells)
        text, again = (
            render(build_tables(suite, order), format_, suites=[suite])
            for order in (outcomes, dict(reversed(outcomes.items())))
        )
        assert text == again
        assert text.endswith("\n")

    def test_json_leads_from_every_number_to_its_runs(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        suite = make_suite(cell)
        document = json.loads(render(build_tables(suite, {cell.id: complete(cell, 93.5)}), "json", suites=[suite]))
        row = document["tables"][0]["rows"][0]
        assert document["schema"] == 1
        assert row["top1"] == {"mean": 93.5, "std": None, "n": 1}
        assert row["runs"][0]["run_id"] == "r" * 32
        assert {"model", "schedule", "state", "params", "flops", "input_size", "top5"} <= set(row)

    def test_csv_has_one_line_per_row_with_all_digits(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        suite = make_suite(cell)
        text = render(build_tables(suite, {cell.id: complete(cell, 93.123456)}), "csv", suites=[suite])
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["params"], row["top1_mean"], row["state"]) == ("11173962", "93.123456", "complete")

    def test_csv_rows_of_other_recipes_differ_and_name_suite_cells_and_seeds(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cells = [make_cell(batch_size=64), make_cell(batch_size=128), make_cell(batch_size=128, seed=1)]
        suite = make_suite(*cells)
        outcomes = {cell.id: complete(cell, 90.0, total_s=2.0) for cell in cells}
        one, two = csv.DictReader(io.StringIO(render(build_tables(suite, outcomes), "csv", suites=[suite])))
        assert [row["variant"] for row in (one, two)] == ["batch 64", "batch 128"]
        assert (two["suite"], two["seeds"], two["cells"]) == ("test", "0 1", f"{cells[1].id} {cells[2].id}")
        assert (one["epochs"], one["lr"], one["batch_size"], one["precision"]) == ("2", "0.05", "64", "fp32")
        assert (one["device"], one["seconds"], one["augment"]) == ("a CPU", "2.0", "none")

    @pytest.mark.parametrize(("best", "words"), [(True, "best epoch"), (False, "last epoch")])
    def test_every_format_says_which_epoch_it_is_about(
        self, make_cell: MakeCell, make_suite: MakeSuite, best: bool, words: str
    ) -> None:
        suite = make_suite(make_cell())
        tables = build_tables(suite, {}, best=best)
        (row,) = csv.DictReader(io.StringIO(render(tables, "csv", suites=[suite], best=best)))
        assert row["accuracy"] == words
        assert json.loads(render(tables, "json", suites=[suite], best=best))["accuracy"] == words
        assert ("Best top-1" in render(tables, "markdown", suites=[suite], best=best)) == best

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
    def test_no_name_is_a_formula_of_a_spreadsheet(
        self, make_cell: MakeCell, make_suite: MakeSuite, start: str
    ) -> None:
        suite = make_suite(make_cell(f"{start}cmd|' /C calc'!A0.py:f"))
        (row,) = csv.DictReader(io.StringIO(render(build_tables(suite, {}), "csv", suites=[suite])))
        assert row["model"].startswith(f"'{start}cmd")
        suite = make_suite(make_cell(f"\t\r\n\x00 {start}cmd"))
        (row,) = csv.DictReader(io.StringIO(render(build_tables(suite, {}), "csv", suites=[suite])))
        assert row["model"] == f"'{start}cmd", "nothing before it hides a formula"

    @pytest.mark.parametrize("format_", FORMATS)
    def test_no_format_holds_a_control_character(
        self, make_cell: MakeCell, make_suite: MakeSuite, format_: str
    ) -> None:
        cell = make_cell("\x1b[2Jnet.py:f")
        suite = make_suite(cell)
        hostile = complete(cell, 90.0, device="\x1b]0;pwn\x07cpu", stale="\x1b[1Adata changed", commit="\x1b[2J")
        text = render(build_tables(suite, {cell.id: hostile}), format_, suites=[suite])
        assert not set(text) & {chr(code) for code in (*range(9), *range(11, 32), 127)}

    def test_csv_leaves_numbers_that_do_not_exist_empty(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        suite = make_suite(make_cell())
        (row,) = csv.DictReader(io.StringIO(render(build_tables(suite, {}), "csv", suites=[suite])))
        assert (row["params"], row["top1_mean"], row["top1_std"], row["top1_n"]) == ("", "", "", "0")


class TestFormatsForPrograms:
    """CSV and JSON are read by pandas, R and spreadsheets as they are: R and spreadsheets stand in by their rules."""

    NAMES = ('a "quoted", name', "two\nlines", "semi;colon|pipe\ttab", "\u05e9\u05dc\u05d5\u05dd", "net_" * 75, "#x%")

    def outcomes(self, suite: Suite) -> dict[str, Outcome]:
        """Of each net one seed of two, with figures that are no numbers as a store has them."""
        odd = {"total_s": math.inf, "images_per_s": math.nan, "peak_mb": 1.8e308, "test_loss": -math.inf}
        return {cell.id: complete(cell, 90.5, **odd) for cell in suite.cells if cell.seed == 0}

    @pytest.fixture
    def suite(self, make_cell: MakeCell, make_suite: MakeSuite) -> Suite:
        return make_suite(*(make_cell(name, seed=seed) for name in self.NAMES for seed in (0, 1)))

    def test_pandas_reads_csv_as_it_is(self, suite: Suite) -> None:
        frame = pandas.read_csv(io.StringIO(render(build_tables(suite, self.outcomes(suite)), "csv", suites=[suite])))
        assert list(frame["model"]) == [" ".join(name.split()) for name in self.NAMES]
        assert frame["top1_mean"].tolist() == [90.5] * len(self.NAMES)
        empty = ["seconds", "top1_std", "loss_mean", "images_per_s_mean", "peak_mb_mean"]
        assert frame[empty].isna().all(axis=None)
        numbers = frame.filter(regex="_(mean|std|n)$|^(params|flops|epochs|batch_size|lr|seconds)$")
        assert all(kind.kind in "if" for kind in numbers.dtypes)

    def test_csv_has_a_record_per_line_and_names_that_r_takes_for_columns(self, suite: Suite) -> None:
        text = render(build_tables(suite, self.outcomes(suite)), "csv", suites=[suite])
        header, *lines = text.splitlines()
        assert len(lines) == len(self.NAMES)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in header.split(","))
        assert all(len(record) == len(header.split(",")) for record in csv.reader(lines))

    def test_json_has_null_and_never_nan(self, suite: Suite) -> None:
        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        text = render(build_tables(suite, self.outcomes(suite)), "json", suites=[suite])
        tables = json.loads(text, parse_constant=refuse)["tables"]
        assert tables[0]["rows"][0]["seconds"] is None
        assert tables[0]["rows"][0]["runs"][0]["seconds"] is None
        frame = pandas.json_normalize(tables, "rows")
        assert frame["top1.mean"].tolist() == [90.5] * len(self.NAMES)
        assert list(frame["model"]) == list(self.NAMES)


class TestJoin:
    def texts(self, format_: str, make_cell: MakeCell, make_suite: MakeSuite) -> list[str]:
        suites = [make_suite(make_cell("vgg11"), name="a"), make_suite(make_cell("alexnet"), name="b")]
        return [render(build_tables(suite, {}), format_, suites=[suite]) for suite in suites]

    @pytest.mark.parametrize("format_", FORMATS)
    def test_one_suite_stays_as_it_is(self, make_cell: MakeCell, make_suite: MakeSuite, format_: str) -> None:
        text, _ = self.texts(format_, make_cell, make_suite)
        assert join([text], format_) == text

    def test_json_is_one_document_with_all_tables(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        document = json.loads(join(self.texts("json", make_cell, make_suite), "json"))
        assert (document["suite"], document["suites"]) == ("a", ["a", "b"])
        assert [table["suite"] for table in document["tables"]] == ["a", "b"]
        assert [row["model"] for table in document["tables"] for row in table["rows"]] == ["vgg11", "alexnet"]

    def test_csv_has_one_header(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        rows = list(csv.DictReader(io.StringIO(join(self.texts("csv", make_cell, make_suite), "csv"))))
        assert [(row["suite"], row["model"]) for row in rows] == [("a", "vgg11"), ("b", "alexnet")]
