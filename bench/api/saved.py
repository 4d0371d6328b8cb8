"""Reports from a JSON file that ``bench report`` saved, in place of runs: ``bench report --from FILE.json``."""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.report.model import Layout, Report


def saved_report(path: str, names: Collection[str], best: bool, layout: "Layout") -> "tuple[Report, int]":
    """The report in a file, and how many of its cells have no result.

    Args:
        path: Of the JSON.
        names: Suites whose tables are asked for; empty: all of them.
        best: Whether accuracies of best epochs were asked for.
        layout: How the tables are laid out.

    Raises:
        UsageError: The file is no report, lacks a suite, or is about other epochs.
    """
    from bench.report.saved import read_report

    report = read_report(path)
    if best and not report.best:
        raise UsageError(f"{path} has the accuracies of last epochs: --best needs the runs, or JSON saved with --best")
    held = [suite.name for suite in report.suites]
    if unknown := [name for name in names if name not in held]:
        raise UsageError(f"{path} has no suite {', '.join(unknown)}; it has: {', '.join(held)}")
    tables = [table for table in report.tables if not names or table.suite in names]
    suites = [suite for suite in report.suites if not names or suite.name in names]
    cells = {run.cell_id: run.state for table in tables for row in table.rows for run in row.runs}
    missing = sum(state != "complete" for state in cells.values())
    return replace(report, tables=tuple(tables), suites=tuple(suites), layout=layout, charts=True), missing
