"""All charts of a report, in the order in which they are shown."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.report.charts.accuracy import accuracy_charts
from bench.report.charts.chart import Chart, distinct, slug
from bench.report.model import Report


def make_charts(report: Report, curves: Sequence[Mapping[str, object]] = ()) -> tuple[Chart, ...]:
    """The charts of each table; none for a table without a figure.

    Args:
        report: The tables.
        curves: One mapping per cell and epoch, with the columns of :mod:`bench.report.curves`.
    """
    charts = (make() for make in chart_makers(report, curves))
    return tuple(chart for chart in charts if chart is not None)


def chart_makers(report: Report, curves: Sequence[Mapping[str, object]] = ()) -> Iterator[Callable[[], Chart | None]]:
    """What makes each chart, so that one that fails costs no other. None: there is nothing to draw."""
    del curves  # not drawn yet
    names = distinct([slug(table.dataset) for table in report.tables])
    for place, (table, name) in enumerate(zip(report.tables, names, strict=True)):
        yield from accuracy_charts(table, name=slug(name), place=place, best=report.best)
