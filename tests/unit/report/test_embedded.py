"""Charts inside the HTML page: packed records, still pictures, and a sentence where the libraries are missing."""

import json
import re
import sys
import zlib
from base64 import b64decode
from collections.abc import Callable
from typing import cast
from urllib.parse import unquote

import pytest
from helpers.outcomes import complete

from bench.report import embedded
from bench.report.charts import Chart
from bench.report.embedded import ROWS_AT_FIRST, datasets, packed, page_charts, rows_of
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Suite

charts_package = sys.modules["bench.report.charts"]  # the attribute bench.report is a function
MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def report_of(suite: Suite) -> Report:
    outcomes = {cell.id: complete(cell, 90.0) for cell in suite.cells}
    return Report(tables=build_tables(suite, outcomes), suites=(suite,))


def curves_chart(rows: int) -> Chart:
    """A chart of curves, as small as it can be."""
    records = [
        {"row": row, "name": f"net {row}", "seed": 0, "colour": f"net {row}", "shape": "s", "x": x, "y": 1.0 * x}
        for row in range(rows)
        for x in (1, 2)
    ]
    domain = [f"net {row}" for row in range(rows)]
    spec: dict[str, object] = {
        "layer": [
            {
                "mark": {"type": "line"},
                "encoding": {
                    "x": {"field": "x", "type": "quantitative"},
                    "y": {"field": "y", "type": "quantitative"},
                    "color": {"field": "colour", "type": "nominal", "scale": {"domain": domain}, "legend": {}},
                },
            },
            {"mark": {"type": "point", "opacity": 0}, "encoding": {"x": {"field": "x", "type": "quantitative"}}},
        ],
        "data": {"name": "d"},
        "datasets": {"d": records},
    }
    return Chart(name="c-top1", title='it\'s <b> "top-1"', description="d", spec=spec, points=len(records))


def inflated(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(zlib.decompress(b64decode(text)))
    return found


@pytest.fixture
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the libraries of the browser, which take seconds to bundle; the page in a browser has them."""
    monkeypatch.setattr(embedded, "_libraries", lambda: "libraries")


@pytest.mark.usefixtures("no_bundle")
class TestPageCharts:
    def test_curves_begin_with_the_best_rows_and_offer_all(
        self, make_cell: MakeCell, make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report = report_of(make_suite(*(make_cell(f"net{number}") for number in range(9))))
        monkeypatch.setattr(charts_package, "make_charts", lambda *_: (curves_chart(9),))
        charts = page_charts(report)
        (gallery,) = charts.galleries
        (chart,) = cast("list[dict[str, list[int]]]", inflated(charts.drawings)["charts"])
        assert gallery.choice
        assert gallery.title == "epoch by epoch"
        assert len(chart["rows"]) == 9
        assert chart["chosen"] == list(range(ROWS_AT_FIRST))
        picture = unquote(gallery.figures[0].image)
        assert "net 6" in picture
        assert "net 7" not in picture

    def test_a_picture_cannot_leave_its_attribute_and_has_few_decimals(
        self, make_cell: MakeCell, make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(charts_package, "make_charts", lambda *_: (curves_chart(2),))
        figure = page_charts(report_of(make_suite(make_cell(), make_cell("other")))).galleries[0].figures[0]
        assert not set(figure.image) & set('"&#\n')
        assert not re.search(r" d='[^']*\.\d\d", unquote(figure.image))
        assert figure.width > 100
        assert figure.height > 100

    @pytest.mark.parametrize("library", ["altair", "vl_convert"])
    def test_without_the_libraries_a_sentence_stands_in_their_place(
        self, make_cell: MakeCell, make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch, library: str
    ) -> None:
        monkeypatch.setitem(sys.modules, library, None)
        charts = page_charts(report_of(make_suite(make_cell())))
        assert charts.galleries == ()
        assert charts.libraries == ""
        assert library in charts.missing[0]
        assert "pip install altair vl-convert-python" in charts.missing[0]

    def test_a_chart_that_cannot_be_drawn_costs_no_other(
        self, make_cell: MakeCell, make_suite: MakeSuite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = Chart(name="b", title="broken", description="d", spec={"mark": "no such mark"}, points=1)
        monkeypatch.setattr(charts_package, "make_charts", lambda *_: (broken, curves_chart(2)))
        charts = page_charts(report_of(make_suite(make_cell(), make_cell("other"))))
        assert len(charts.galleries[0].figures) == 1
        assert "broken is left out" in charts.missing[0]


def test_only_charts_of_curves_have_rows_to_choose_from() -> None:
    spec = curves_chart(2).spec
    assert rows_of(spec) == {0: "net 0", 1: "net 1"}
    assert rows_of({"datasets": {"d": [{"row": 0, "name": "n", "x": 1}]}}) == {}
    assert rows_of({}) == {}
    assert set(packed(spec)["datasets"]) == set(datasets(spec))  # type: ignore[call-overload]
