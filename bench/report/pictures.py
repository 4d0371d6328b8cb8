"""Draw a report's HTML page and its charts into a folder.

:mod:`bench.api.publish` calls it in a process of its own: what draws charts is a JavaScript engine, and should that
hang or crash, a run that has ended well must not notice.
"""

import sys
from pathlib import Path

from bench.report.charts import make_charts, to_png, to_svg
from bench.report.curves import curve_records
from bench.report.embedded import SVG_POINTS
from bench.report.html import html
from bench.report.model import Report
from bench.workspace.files import write_atomically


def draw(report: Report, folder: Path) -> None:
    """Write ``report.html`` and, below ``pictures``, every chart: as SVG, or as PNG where an SVG would be large."""
    write_atomically(folder / "report.html", html(report))
    pictures = folder / "pictures"
    pictures.mkdir()
    records = curve_records(report.suites, report.home) if report.home else []
    for chart in make_charts(report, records, lambda sentence: print(sentence, file=sys.stderr)):
        small = chart.points <= SVG_POINTS
        path = pictures / f"{chart.name}.{'svg' if small else 'png'}"
        write_atomically(path, to_svg(chart) if small else to_png(chart))
