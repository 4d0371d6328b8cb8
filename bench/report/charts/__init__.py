"""Charts of a report as Vega-Lite specs, and the same as SVG and PNG without a browser.

:func:`make_charts` draws what a :class:`bench.report.model.Report` shows; the HTML page embeds the specs, ``--plots``
writes them as files. Specs hold their data and no colour: those are in :func:`theme`, one for light and one for dark.
altair and vl-convert are imported only while something is drawn. Nothing here reads a run.
"""

from bench.report.charts.bars import confusion_map, per_class_bars
from bench.report.charts.chart import Chart
from bench.report.charts.collect import make_charts
from bench.report.charts.drawing import theme, to_png, to_svg

__all__ = ["Chart", "confusion_map", "make_charts", "per_class_bars", "theme", "to_png", "to_svg"]
