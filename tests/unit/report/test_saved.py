"""Reports that were saved as JSON: any comes back equal, and what is none is refused with its place."""

import json
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.report.model import Report, Row, RunReference, Statistic, Table
from bench.report.render import FORMATS, to_json
from bench.report.saved import parse_report, read_report
from bench.report.table import build_tables
from bench.suite import parse_suite
from bench.values import NetSpeed, Suite

T = TypeVar("T")
GOLDEN = Path(__file__).parent / "golden"

numbers = st.floats(min_value=0, max_value=100, allow_nan=False)
texts = st.text(max_size=8)
single = st.builds(Statistic, mean=numbers, std=st.none(), n=st.just(1))
statistics = st.one_of(single, st.builds(Statistic, mean=numbers, std=numbers, n=st.integers(2, 9)))
recipes = st.dictionaries(
    texts, st.one_of(st.booleans(), st.integers(-9, 9), numbers, texts, st.tuples(numbers, numbers)), max_size=3
)


def built(cls: type[T], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Any value of a dataclass with finite numbers, a field that somebody adds included."""
    kinds: dict[object, st.SearchStrategy[Any]] = {
        int | None: st.none() | st.integers(0, 2**62),
        float: numbers,
        float | None: st.none() | numbers,
        Statistic | None: st.one_of(st.none(), statistics),
    }
    known = {name: kinds[hint] for name, hint in get_type_hints(cls).items() if hint in kinds}
    return st.builds(cls, **(known | fields))


rows = built(
    Row,
    recipe=recipes,
    runs=st.lists(built(RunReference, seed=st.integers(0, 2**32)), max_size=2).map(tuple),
    suite=st.sampled_from(["one", "two"]),
    input_size=st.integers(1, 999),
    speed=st.none() | built(NetSpeed, **dict.fromkeys(("batch", "repeats", "threads"), st.integers(1, 999))),
)


def saved(suite: Suite | None = None, **changes: Any) -> dict[str, Any]:
    """A saved report of one missing row, as parsed JSON."""
    text = "suite: s\ngrid: {model: resnet18, dataset: cifar10, schedule: cosine}\n"
    suite = suite or parse_suite(text, "s.yaml")
    content: dict[str, Any] = json.loads(to_json(Report(tables=build_tables(suite, {}), suites=(suite,))))
    return content | changes


def with_row(**changes: Any) -> dict[str, Any]:
    content = saved()
    content["tables"][0]["rows"][0] |= changes
    return content


class TestParseReport:
    @settings(max_examples=8, deadline=None)
    @given(st.lists(st.lists(rows, min_size=1, max_size=2), min_size=1, max_size=2), st.booleans())
    def test_a_report_comes_back_equal(self, tables: list[list[Row]], best: bool) -> None:
        suites = [Suite(name=name, description=f"of {name}", path="", source="", cells=()) for name in ("one", "two")]
        report = Report(
            tables=tuple(
                Table(suite="one", dataset="digits", title=f"Title {i}", num_classes=10, rows=tuple(table))
                for i, table in enumerate(tables)
            ),
            suites=tuple(suites),
            best=best,
        )
        text = to_json(report)
        again = parse_report(text.encode(), "r.json")
        assert again == report
        assert to_json(again) == text

    @pytest.mark.parametrize("name", ["last-table.json", "best-table.json"])
    def test_every_kind_of_row_comes_back_and_gives_the_same_markdown(self, name: str) -> None:
        path = GOLDEN / name
        report = read_report(str(path))
        assert to_json(report) == path.read_text()
        assert FORMATS["markdown"].render(report) == path.with_suffix(".md").read_text()

    @pytest.mark.parametrize("format_", FORMATS)
    def test_every_format_can_be_made_of_it(self, format_: str) -> None:
        assert FORMATS[format_].render(parse_report(json.dumps(saved()).encode(), "r.json")).endswith("\n")

    def test_a_report_of_an_older_or_newer_bench_is_read_without_the_keys_that_differ(self) -> None:
        content = saved(new_key=[1])
        row = content["tables"][0]["rows"][0]
        for key in ("best", "gap", "loss", "images_per_s", "peak_mb", "suite"):
            del row[key]
        del content["suites"], content["descriptions"]
        row["new_key"] = {}
        report = parse_report(b"\xef\xbb\xbf" + json.dumps(content).encode(), "r.json")
        assert (report.tables[0].rows[0].suite, [suite.name for suite in report.suites]) == ("s", ["s"])

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", "r.json is not JSON, or only a part of it: it is empty"),
            (json.dumps(saved()).encode()[:300], "r.json is not JSON, or only a part of it: "),
            (b"\x00\xff\xfe", "r.json is not JSON: byte 1 is not UTF-8"),
            (b"[" * 100_000, "r.json is not JSON, or only a part of it: "),
            (b'{"schema": NaN}', "NaN is no number in JSON"),
            (b'{"schema": 1, "tables": 1e999}', "1e999 is too large"),
            (b'{"schema": 1, "tables": ' + b"9" * 5000 + b"}", "is too large"),
            (b"[]", 'r.json has no "schema"'),
            (b'{"models": []}', 'r.json has no "schema"'),
            (b'{"schema": true}', "has schema true; this version of bench reads schema 1"),
            (b'{"schema": 2, "tables": []}', "has schema 2; this version of bench reads schema 1"),
            (
                b'{"schema": 1, "cells": []}',
                "tables is missing; it is no report that `bench report --format json` wrote",
            ),
            (b'{"schema": 1, "tables": {}}', "tables is not a list"),
            (b'{"schema": 1, "tables": []}', "tables is empty"),
            (b'{"schema": 1, "tables": [3]}', "tables[0] is not an object"),
        ],
    )
    def test_what_is_no_report_is_refused(self, content: bytes, sentence: str) -> None:
        with pytest.raises(UsageError) as caught:
            parse_report(content, "r.json")
        assert sentence in str(caught.value)

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (saved(accuracy="some epoch"), 'accuracy is "some epoch"'),
            (saved(suites="s"), "suites is not a list of names"),
            (saved(descriptions={"s": 3}), "descriptions is not an object of texts"),
            (saved(tables=[{"suite": "s", "dataset": "d", "title": "t", "num_classes": 2}]), "missing 1 required"),
            (saved(tables=[{**saved()["tables"][0], "rows": []}]), "tables[0].rows is empty"),
            (saved(tables=[{**saved()["tables"][0], "rows": {}}]), "tables[0].rows is {}"),
            (with_row(model=3), "tables[0].rows[0].model is 3"),
            (with_row(params="many"), 'tables[0].rows[0].params is "many"'),
            (with_row(params=-1), "tables[0].rows[0].params is -1"),
            (with_row(params=True), "tables[0].rows[0].params is true"),
            (with_row(top1=[93.5]), "tables[0].rows[0].top1 is [93.5]"),
            (with_row(top1={"mean": 250.0, "std": None, "n": 1}), "top1.mean is 250, which is no percentage"),
            (with_row(top1={"mean": 25.0, "std": None, "n": 3}), "top1 has n 3 and std null"),
            (with_row(top1={"mean": 25.0, "std": -1.0, "n": 3}), "top1.std is -1"),
            (with_row(top1={"mean": "x", "std": None, "n": 1}), 'tables[0].rows[0].top1.mean is "x"'),
            (with_row(runs=[{"cell_id": "c", "state": "odd"}]), 'tables[0].rows[0].runs[0].state is "odd"'),
        ],
    )
    def test_what_is_wrong_in_a_report_is_named_by_its_place(self, content: dict[str, Any], sentence: str) -> None:
        with pytest.raises(UsageError) as caught:
            parse_report(json.dumps(content).encode(), "r.json")
        assert str(caught.value).startswith("r.json: ")
        assert sentence in str(caught.value)

    def test_titles_that_are_equal_are_told_apart(self) -> None:
        content = saved()
        content["tables"] *= 2
        content["tables"][1] = {**content["tables"][1], "suite": "t"}
        assert [table.title for table in parse_report(json.dumps(content).encode(), "r.json").tables] == [
            "CIFAR-10 (s)",
            "CIFAR-10 (t)",
        ]


class TestReadReport:
    @pytest.mark.parametrize("name", ["missing.json", ".", "a\0b"])
    def test_a_file_that_cannot_be_read_is_named(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"cannot be read|is no path"):
            read_report(f"{tmp_path}/{name}")


HOSTILE = [
    "a|b",
    "</script><script>",
    "two\nlines",
    "\u202eabc",
    "\x1b[31m",
    "n" * 300,
    '"quoted"',
    "<!-- end bench report -->",
]


@pytest.mark.parametrize("format_", FORMATS)
def test_nothing_in_a_saved_report_becomes_markup_or_acts_on_a_terminal(format_: str) -> None:
    row = saved()["tables"][0]["rows"][0]
    fields = ("model", "name", "label", "variant", "schedule", "decay", "recipe_text", "state", "note", "stale")
    rows = []
    for text in HOSTILE:
        run = {**row["runs"][0], **dict.fromkeys(("cell_id", "run_id", "commit", "device", "mode", "stale"), text)}
        rows.append({**row, **dict.fromkeys(fields, text), "runs": [run]})
    content = saved(descriptions={"s": HOSTILE[1]})
    content["tables"] = [{**content["tables"][0], "rows": rows, "title": HOSTILE[1]}]
    text = FORMATS[format_].render(parse_report(json.dumps(content).encode(), "r.json"))
    assert not {"\x1b", "\u202e"} & {*text}
    if format_ in ("markdown", "html"):
        assert "</script><script>" not in text
        assert "<!--" not in text
    if format_ == "markdown":
        assert all(line.count("|") - line.count("\\|") in (0, 8, 9) for line in text.split("\n"))
