"""The charts of a report as files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.outcomes import complete

from bench.api.charts import SVG_POINTS, draw_charts, prepare_folder, write_charts
from bench.errors import UsageError
from bench.report import charts
from bench.report.charts import Chart
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def test_every_chart_is_written_and_one_that_fails_costs_no_other(
    make_cell: MakeCell, make_suite: MakeSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(chart: Chart) -> bytes:
        if chart.name.endswith("params"):
            raise ValueError("no\nroom")
        return b"picture"

    monkeypatch.setattr(charts, "to_png", draw)
    monkeypatch.setattr(charts, "to_svg", lambda chart: chart.name)
    suite = make_suite(make_cell())
    report = Report(
        tables=build_tables(suite, {cell.id: complete(cell, 90.0) for cell in suite.cells}), suites=(suite,)
    )
    notes: list[str] = []
    write_charts(report, tmp_path, tmp_path, notes.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "digits-accuracy-flops.png",
        "digits-accuracy-flops.svg",
    ]
    assert notes == [
        "digits-accuracy-params is left out: ValueError: no room",
        f"2 pictures of 2 charts written to {tmp_path}:",
        "  digits-accuracy-params (failed): Digits: top-1 against parameters",
        "  digits-accuracy-flops (svg, png): Digits: top-1 against FLOPs per image",
    ]


def test_a_chart_of_many_points_is_a_png_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "to_png", lambda _: b"picture")
    chart = Chart(name="many", title="Many", description="", spec={}, points=SVG_POINTS + 1)
    assert draw_charts([chart], tmp_path, lambda _: None) == [tmp_path / "many.png"]


def test_a_suite_without_a_result_has_nothing_to_draw(
    make_cell: MakeCell, make_suite: MakeSuite, tmp_path: Path
) -> None:
    suite, notes = make_suite(make_cell()), list[str]()
    assert write_charts(Report(tables=build_tables(suite, {}), suites=(suite,)), tmp_path, tmp_path, notes.append) == []
    assert notes == [f"--plots: nothing to draw, because nothing has a figure yet; {tmp_path} is as it was"]


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--plots .*file is a file: name a folder"):
        prepare_folder(tmp_path / "file", "--plots")
    with pytest.raises(UsageError, match="cannot be written: Not a directory"):
        prepare_folder(tmp_path / "file" / "below", "--plots")
    assert prepare_folder(tmp_path / "a" / "b", "--plots").is_dir()
