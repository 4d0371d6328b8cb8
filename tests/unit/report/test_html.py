"""The HTML page: what stands in it, and names and figures that try to break it. What it does is tested in a browser."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.cells import make_small_cell
from helpers.outcomes import complete
from helpers.page import Page, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.report import jinja
from bench.report.columns import COLUMNS
from bench.report.html import html
from bench.report.model import Layout, Report
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]

HOSTILE = (
    "</script><script>alert(1)</script>",
    "a|b 'c' \"d\" & <i>e</i>",
    "line\nbreak\u2028and\ttab",
    "\u202eright to left\u202c עברית",
    "x" * 300,
    "{{ 7 * 7 }}{% raw %}",
    "<!--",
    "\x1b[31mred\x00",
)


def page_of(suite: Suite, outcomes: Mapping[str, Outcome], **changes: object) -> Page:
    report = Report(tables=build_tables(suite, outcomes), suites=(suite,))
    return parse(html(replace(report, **changes)))  # type: ignore[arg-type]


def classes(page: Page) -> list[str]:
    return [attributes["class"] or "" for tag, attributes in page.elements if tag == "tr" and "class" in attributes]


class TestHtml:
    def test_has_the_table_the_legend_and_the_runs(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cells = [make_cell(), make_cell("resnet18", lr=0.1)]
        page = page_of(make_suite(*cells), {cells[0].id: complete(cells[0], 93.764, commit="c" * 40)})
        table, runs = page.tables[0], page.tables[1]
        assert table[1][-2:] == ["93.76", "99.00"]
        assert table[2][-2:] == ["missing", "-"]
        assert classes(page) == ["missing"]
        assert "never the best epoch" in page.text
        assert "cosine(eta_min=0.0" in page.text
        assert runs[1][-4:] == ["c" * 10, cells[0].id, "r" * 32, "-"]
        assert page.faults == []

    def test_asks_no_server_for_anything(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        page = page_of(make_suite(cell), {cell.id: complete(cell, 90.0)})
        sources = [attrs.get("src") or attrs.get("href") or "" for _, attrs in page.elements]
        assert not [source for source in sources if source and not source.startswith(("#", "data:"))]
        assert any("default-src 'none'" in (attributes.get("content") or "") for _, attributes in page.elements)

    def test_every_column_is_there_with_the_texts_that_the_table_does_not_show(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        cell = make_cell()
        page = page_of(make_suite(cell), {cell.id: complete(cell, 90.0, total_s=12.0)})
        columns = {str(column["heading"]): column for column in page.data["tables"][0]["columns"]}
        assert set(columns) == {column.heading for column in COLUMNS.values()}
        assert columns["Time(s)"]["texts"] == {"each": ["12.0"]}
        assert columns["Time(s)"]["values"] == {"each": [12.0]}
        assert "texts" not in columns["Top-1(%)"]

    def test_figures_that_are_no_numbers_count_as_missing(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        outcome = complete(cell, math.nan, test_loss=math.inf, images_per_s=math.nan)
        page = page_of(make_suite(cell), {cell.id: outcome})
        assert classes(page) == ["diverged"]
        assert not re.search(r"\bnan\b|\binf\b", page.scripts[1], re.IGNORECASE)

    def test_a_state_that_no_column_says_stands_beside_the_name(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        page = page_of(make_suite(make_cell()), {}, layout=Layout(columns=("model", "params")))
        assert page.tables[0][1] == ["shufflenet_v2_x0_5 missing", "-"]

    def test_a_suite_without_a_finished_run_says_so_and_has_its_rows(
        self, make_cell: MakeCell, make_suite: MakeSuite
    ) -> None:
        page = page_of(make_suite(make_cell(), make_cell("resnet18")), {})
        assert "No run of this table has finished yet" in page.text
        assert len(page.tables[0]) == 3

    def test_a_run_is_a_link_where_a_server_keeps_it(self, make_cell: MakeCell, make_suite: MakeSuite) -> None:
        cell = make_cell()
        outcomes = {cell.id: complete(cell, 90.0)}
        served = page_of(make_suite(cell), outcomes, store="https://mlflow.example/base/")
        assert ("a", {"href": f"https://mlflow.example/base/#/runs/{'r' * 32}"}) in served.elements
        kept = page_of(make_suite(cell), outcomes, store="sqlite:////tmp/mlflow.db")
        assert not [attrs for tag, attrs in kept.elements if tag == "a" and "/#/runs/" in str(attrs.get("href"))]

    def test_the_log_of_a_cell_is_named_if_it_lies_here(
        self, make_cell: MakeCell, make_suite: MakeSuite, tmp_path: Path
    ) -> None:
        cell = make_cell()
        log = tmp_path / "cells" / cell.id / "attempt-1" / "log.txt"
        log.parent.mkdir(parents=True)
        log.write_text("")
        assert page_of(make_suite(cell), {}, home=tmp_path).tables[1][1][-1] == str(log)


@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=30), min_size=5, max_size=5))
@settings(max_examples=20)
def test_nothing_that_others_wrote_changes_the_page(texts: list[str]) -> None:
    model, schedule, description, device, reason = texts
    cell = replace(make_small_cell(), model=model, schedule_name=schedule)
    suite = Suite(name="s", description=description, path="s.yaml", source="", cells=(cell,))
    page = page_of(suite, {cell.id: complete(cell, 90.0, device=device, stale=reason)})
    assert page.faults == []
    assert [tag for tag, _ in page.elements].count("script") == len(page.scripts) == 3
    assert page.scripts[2].strip() == jinja.read("report.js").strip()
    assert not {tag for tag, _ in page.elements} & {"i", "x"}
    assert len(page.tables[0]) == 2
    assert page.data["tables"][0]["count"] == 1
    assert not re.search("[\x00-\x08\u202a-\u202e\u2066-\u2069]", page.text)


@pytest.fixture
def templates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder in the place of that of the templates."""
    import jinja2

    monkeypatch.setattr(jinja2, "PackageLoader", lambda _: jinja2.FileSystemLoader(tmp_path))
    jinja._environment.cache_clear()
    yield tmp_path
    jinja._environment.cache_clear()


@pytest.mark.parametrize("broken", ["{% for %}", "{{ nothing }}", "{{ 1 / 'a' }}"])
def test_a_template_that_fails_is_named(
    broken: str, make_cell: MakeCell, make_suite: MakeSuite, templates: Path
) -> None:
    (templates / "report.html.j2").write_text(broken)
    with pytest.raises(BenchError, match=r"the template bench/report/templates/report\.html\.j2.* cannot be filled"):
        page_of(make_suite(make_cell()), {})


def test_a_file_beside_the_templates_that_is_missing_is_named() -> None:
    with pytest.raises(BenchError, match=r"bench/report/templates/gone\.css cannot be read"):
        jinja.read("gone.css")
