"""Reports against an older one: ``bench report --against PREVIOUS.json`` and ``--fail-below POINTS``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.errors import BenchError, UsageError
from bench.text import counted

if TYPE_CHECKING:
    from bench.report.model import Report


def check_options(against: str | None, fail_below: float | None, format_: str) -> None:
    """Refuse what cannot be compared before anything is read.

    Raises:
        UsageError: There is nothing to compare with, the points are no number, or the format has no place for it.
    """
    if fail_below is not None and against is None:
        raise UsageError("--fail-below compares with an older report: name it with --against PREVIOUS.json")
    if fail_below is not None and not 0 <= fail_below <= 100:
        raise UsageError(f"--fail-below {fail_below:g}: percentage points of top-1, 0 to 100")
    if against is not None and format_ == "csv":
        raise UsageError("csv has one line per row and no place for --against; --format json has it")


def compare(reports: "Sequence[Report]", path: str, *, partial: bool) -> "list[Report]":
    """The reports with the older one that they are compared with.

    Args:
        reports: Of suites as they are now.
        path: Of the older report's JSON.
        partial: Whether the reports leave out cells that were not asked for.

    Raises:
        UsageError: The file is no report, or is about other suites or other epochs.
    """
    from bench.report.model import Against
    from bench.report.saved import read_report

    older = read_report(path)
    names = [suite.name for report in reports for suite in report.suites]
    held = [suite.name for suite in older.suites]
    if {*names}.isdisjoint(held):
        raise UsageError(f"{path} is about {', '.join(held)}, and not about {', '.join(dict.fromkeys(names))}")
    for report in reports:
        if report.best != older.best:
            words = ["best epochs" if best else "last epochs" for best in (older.best, report.best)]
            hint = "leave --best out" if report.best else "add --best"
            raise UsageError(f"{path} has accuracies of {words[0]}, and this report those of {words[1]}: {hint}")
    return [replace(report, against=Against(path=path, report=older, partial=partial)) for report in reports]


def check_fall(reports: "Sequence[Report]", points: float) -> None:
    """Fail where the mean top-1 of a row fell by more than some percentage points, or where it has none any more.

    Raises:
        BenchError: Which rows these are.
    """
    from bench.report.against import changes, fallen

    lines = list(dict.fromkeys(line for report in reports for line in fallen(changes(report), points)))
    if lines:
        path = reports[0].against.path if reports[0].against else ""
        listed = "".join(f"\n  {line}" for line in lines)
        rows = counted(len(lines), "row")
        raise BenchError(f"{rows} fell by more than {points:g} points against {path}, or without a result now:{listed}")
