"""Tables in the cell of a notebook: a fragment of HTML without style sheets or scripts, which any notebook shows.

The text around the tables is ``templates/notebook.html.j2``.
"""

from collections.abc import Sequence

from bench.report.grid import make_grids
from bench.report.jinja import fill
from bench.report.legend import figures
from bench.report.model import Report
from bench.text import one_line


def notebook_html(reports: Sequence[Report]) -> str:
    """Reports as tables with what their figures mean.

    Raises:
        UsageError: There is no such column.
        BenchError: The template is damaged.
    """
    parts = [(grids, figures(report, grids)) for report in reports for grids in [make_grids(report)]]
    return fill("notebook.html.j2", {"parts": parts}, {"one_line": one_line}, escape=True)


class ReportText(str):
    """The text of a report, which a notebook shows as tables."""

    __slots__ = ("_reports",)
    _reports: Sequence[Report]

    @classmethod
    def of(cls, text: str, reports: Sequence[Report]) -> "ReportText":
        """A text with the reports that it is of."""
        made = cls(text)
        made._reports = reports
        return made

    def _repr_html_(self) -> str:
        return notebook_html(self._reports)
