"""All charts of a report, in the order in which they are shown."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from bench.report.charts.accuracy import accuracy_charts
from bench.report.charts.bars import schedule_bars
from bench.report.charts.chart import Chart, distinct, slug
from bench.report.charts.curves import curve_charts, curves_by_cell
from bench.report.model import Report
from bench.text import one_line

Maker = Callable[[], Chart | None]
"""Makes a chart; None if there is nothing to draw."""


def make_charts(
    report: Report, curves: Sequence[Mapping[str, object]] = (), warn: Callable[[str], None] = lambda _: None
) -> tuple[Chart, ...]:
    """The charts of each table; none for a table without a figure.

    Args:
        report: The tables.
        curves: One mapping per cell and epoch, with the columns of :mod:`bench.report.curves`.
        warn: Takes a sentence about a chart that could not be made; it costs no other.
    """
    charts = []
    for table, make in chart_makers(report, curves):
        try:
            charts.append(make())
        except Exception as error:  # a chart is worth less than the report that it would end
            warn(failed(f"a chart of {table}", error))
    return tuple(chart for chart in charts if chart is not None)


def failed(what: str, error: Exception) -> str:
    """What to say of a chart that could not be made or drawn."""
    return one_line(f"{what} is left out: {type(error).__name__}: {str(error)[:300]}")


def chart_makers(report: Report, curves: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, Maker]]:
    """The title of the table and what makes the chart, for each chart that a report may have."""
    names = distinct([slug(table.dataset) for table in report.tables])
    by_cell = curves_by_cell(curves)
    for place, (table, name) in enumerate(zip(report.tables, map(slug, names), strict=True)):
        makers: tuple[Maker, ...] = (
            *accuracy_charts(table, name=name, place=place, best=report.best),
            partial(schedule_bars, table, name=name, place=place, best=report.best),
            *curve_charts(table, by_cell, name=name, place=place),
        )
        yield from ((table.title, make) for make in makers)
