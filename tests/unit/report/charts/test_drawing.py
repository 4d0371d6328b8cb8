"""Pictures of charts."""

from collections.abc import Callable
from xml.etree import ElementTree

from helpers.outcomes import complete

from bench.report.charts import make_charts, to_svg
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]

NAMES = ('a|b.py:"quote\'s"', "<b>&</script>.py:x", "line\nbreak.py:x", "עברית.py:x", "long.py:" + "x" * 300)


def test_foreign_names_break_no_picture_and_the_same_chart_gives_the_same_bytes(
    make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    cells = [make_cell(model=name) for name in NAMES]
    suite = make_suite(*cells)
    outcomes = {cell.id: complete(cell, 90.0 + place) for place, cell in enumerate(cells)}
    chart = make_charts(Report(tables=build_tables(suite, outcomes), suites=(suite,)))[0]
    light = to_svg(chart)
    texts = [element.text or "" for element in ElementTree.fromstring(light).iter() if element.tag.endswith("text")]
    assert "<b>&</script>.py:x" in texts
    assert "line break.py:x" in texts
    assert max(map(len, texts)) < 120
    assert "http" not in light.replace("http://www.w3.org/", "")
    assert to_svg(chart) == light
