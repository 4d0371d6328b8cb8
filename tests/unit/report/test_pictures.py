"""The files that are drawn for the store, with functions that stand for the drawing library."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.report import pictures
from bench.report.charts import Chart
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Suite


def test_the_page_and_every_chart_are_files(
    make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = make_suite(make_cell())
    charts = tuple(
        Chart(name=name, title=name, description=name, spec={}, points=points)
        for name, points in (("few", 10), ("many", 1_000_000))
    )
    monkeypatch.setattr(pictures, "make_charts", lambda *_: charts)
    monkeypatch.setattr(pictures, "to_svg", lambda chart: f"<svg>{chart.name}</svg>")
    monkeypatch.setattr(pictures, "to_png", lambda chart: chart.name.encode())
    pictures.draw(Report(tables=build_tables(suite, {}), suites=(suite,)), tmp_path)
    assert "shufflenet_v2_x0_5" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "pictures" / "few.svg").read_text() == "<svg>few</svg>"
    assert (tmp_path / "pictures" / "many.png").read_bytes() == b"many"
