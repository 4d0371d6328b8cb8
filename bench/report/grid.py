"""A table as lines of texts: what the formats for people (markdown, plain, LaTeX, HTML) have in common.

Made from a :class:`bench.report.model.Table` by :func:`make_grid`. Texts are raw; each format escapes and aligns them.
"""

from dataclasses import dataclass

from bench.report.columns import Column, Value, find_column
from bench.report.model import Report, Row, Table

STALE_MARK = "(stale)"
"""Follows a number whose conditions have changed since it was made."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """The head of a column."""

    name: str
    """Of the column, in :data:`bench.report.columns.COLUMNS`."""
    text: str
    numeric: bool


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What stands in one column of one line."""

    text: str
    value: Value
    """What the column is sorted by; None where there is nothing."""
    bold: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a grid."""

    rows: tuple[Row, ...]
    """The rows of the table that it shows: one."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table, ready to be drawn."""

    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]


def make_grid(table: Table, report: Report) -> Grid:
    """The lines of a table in the columns that the report asks for, else in those that the table needs.

    Raises:
        UsageError: There is no such column.
    """
    names = report.layout.columns or default_columns(table, best=report.best)
    columns = {name: find_column(name) for name in names}
    holder = next((name for name in ("top1", "best", "top5") if name in columns), "")
    lines = tuple(
        Line(rows=(row,), entries=tuple(_entry(row, name, column, holder) for name, column in columns.items()))
        for row in table.rows
    )
    headings = [Heading(name=name, text=each.heading, numeric=each.numeric) for name, each in columns.items()]
    return Grid(headings=tuple(headings), lines=lines)


def default_columns(table: Table, *, best: bool) -> tuple[str, ...]:
    """The columns that say which row it is, as far as rows differ in them, then its cost and accuracy."""
    return (*identity_columns(table), "params", "flops", "input", *(["best"] if best else ["top1", "top5"]))


def identity_columns(table: Table) -> tuple[str, ...]:
    """The model, and the schedule and the recipe where a table has several."""
    names = ["model"]
    if len({row.schedule for row in table.rows}) > 1:
        names.append("schedule")
    if any(row.variant for row in table.rows):
        names.append("recipe")
    return tuple(names)


def _entry(row: Row, name: str, column: Column, holder: str) -> Entry:
    """A text, which in the first column of accuracies (``holder``) says the state of a row too."""
    text = column.text(row)
    if name == holder:
        state = "" if row.state == "complete" else row.state
        text = ", ".join(filter(None, ["" if text == "-" and state else text, state]))
        text += f" {STALE_MARK}" if row.stale else ""
    return Entry(text=text, value=column.value(row))
