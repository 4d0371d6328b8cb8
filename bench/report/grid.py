"""Tables as lines of texts: what the formats for people (markdown, plain, LaTeX, HTML) have in common.

Made from a :class:`bench.report.model.Report` by :func:`make_grids`, the one place that knows of its layout: which
columns there are, in which order lines stand, what is bold, and what a pivot puts into one line. Texts are raw; each
format escapes and aligns them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.report.columns import Column, Value, find_column
from bench.report.layout import chosen_columns
from bench.report.model import Report, Row, Table
from bench.report.order import best_positions, sorted_positions
from bench.report.pivot import Member, Pivot, distinctions, grouped, slot_of

STALE_MARK = "(stale)"
"""Follows a number whose conditions have changed since it was made."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """The head of a column."""

    name: str
    """Of the column, in :data:`bench.report.columns.COLUMNS`. With a pivot, several headings have the same name."""
    text: str
    numeric: bool


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What stands in one column of one line."""

    text: str
    value: Value
    """What the column is sorted by; None where there is nothing."""
    bold: bool = False
    rows: tuple[Row, ...] = ()
    """The rows that it speaks of: those of its line, or one of them where a pivot has a column for it."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a grid."""

    rows: tuple[Row, ...]
    """The rows of the tables that it shows: one, or with a pivot one per data set or schedule."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """One or several tables, ready to be drawn as one."""

    title: str
    tables: tuple[Table, ...]
    """Whose rows it shows: one, or all that a pivot has columns for."""
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class _Place:
    """A column of a grid: a column of the registry, of the rows of one data set or schedule where a pivot says so."""

    name: str
    column: Column
    slot: str | None
    heading: str


def make_grids(report: Report) -> tuple[Grid, ...]:
    """The grids of a report: one per table, or one for all tables where data sets are its columns.

    Raises:
        UsageError: There is no such column, or none is left.
    """
    groups: list[tuple[Table, ...]] = [(table,) for table in report.tables]
    if groups and report.layout.pivot == "dataset":
        groups = [report.tables]
    grids = [_make(tables, report) for tables in groups]
    if title := report.layout.title:
        grids = [replace(grid, title=title if len(grids) == 1 else f"{title}: {grid.title}") for grid in grids]
    return tuple(grids)


def make_grid(table: Table, report: Report) -> Grid:
    """The grid of one table of a report.

    Raises:
        UsageError: There is no such column, or none is left.
    """
    return make_grids(replace(report, tables=(table,)))[0]


def identity_columns(table: Table) -> tuple[str, ...]:
    """The model, and the schedule, the recipe and the suite where a table needs them to tell its rows apart."""
    names = ["model"]
    if len({row.schedule for row in table.rows}) > 1:
        names.append("schedule")
    if any(row.variant for row in table.rows):
        names.append("recipe")
    if len({row.suite for row in table.rows}) > 1:
        told = {(row.name, row.schedule, row.variant, row.input_size) for row in table.rows}
        names += ["suite"] if len(told) < len(table.rows) else []
    return tuple(names)


def _make(tables: tuple[Table, ...], report: Report) -> Grid:
    layout = report.layout
    groups = grouped(tables, layout.pivot)
    slots = list(dict.fromkeys(slot_of(member, layout.pivot) for group in groups for member in group))
    names = _names(tables, report)
    places = _places(names, slots if layout.pivot else [])
    holder = next((name for name in ("top1", "best", "top5") if name in names), "")
    lines = [
        Line(
            rows=tuple(row for _, row in group),
            entries=tuple(_entry(group, place, holder, layout.pivot) for place in places),
        )
        for group in groups
    ]
    if layout.sort:
        lines = _sorted(lines, _own_name(layout.sort, report), descending=layout.descending)
    if layout.highlight:
        lines = _highlighted(lines, places)
    return Grid(
        title=_title(tables, places, layout.pivot),
        tables=tables,
        headings=tuple(Heading(name=each.name, text=each.heading, numeric=each.column.numeric) for each in places),
        lines=tuple(lines),
    )


def _title(tables: Sequence[Table], places: Sequence[_Place], pivot: Pivot) -> str:
    """The data set, or what the columns of a pivot show, or both."""
    results = ", ".join(dict.fromkeys(place.column.heading for place in places if place.slot is not None))
    return ": ".join([*([tables[0].title] if pivot != "dataset" else []), *([results] if pivot else [])])


def _names(tables: Sequence[Table], report: Report) -> list[str]:
    """The names of the columns, where one of a pivot stands for the columns of all data sets or schedules."""
    pivot, top1 = report.layout.pivot, "best" if report.best else "top1"
    if pivot == "dataset":
        told = distinctions(tables)
        default = ["model", *(name for name in ("schedule", "recipe", "input") if name in told), top1]
    else:
        identity = [name for name in identity_columns(tables[0]) if name != pivot]
        default = [*identity, "params", "flops", "input", top1, *([] if pivot or report.best else ["top5"])]
    names = [name for name in chosen_columns(report.layout.columns, default) if name != pivot]
    names = list(dict.fromkeys(_own_name(name, report) for name in names))
    if pivot and not any(find_column(name).better for name in names):
        names.append(top1)
    return names


def _own_name(name: str, report: Report) -> str:
    """A column's name; accuracies of best epochs are never shown as those of last ones."""
    return "best" if report.best and name == "top1" else name


def _places(names: Sequence[str], slots: Sequence[str]) -> list[_Place]:
    columns = {name: find_column(name) for name in names}
    results = [name for name, column in columns.items() if slots and column.better]
    places = [_Place(name, column, None, column.heading) for name, column in columns.items() if name not in results]
    for slot in slots:
        for name in results:
            heading = slot if len(results) == 1 else f"{slot} {columns[name].heading}"
            places.append(_Place(name, columns[name], slot, heading))
    return places


def _entry(group: Sequence[Member], place: _Place, holder: str, pivot: Pivot) -> Entry:
    """What a line has in a column; the first column of accuracies (``holder``) says the state of a row too."""
    rows = [member[1] for member in group if place.slot is None or slot_of(member, pivot) == place.slot]
    value = next((value for row in rows if (value := place.column.value(row)) is not None), None)
    if place.name == "recipe":
        text = _common([row.variant.split(", ") for row in rows])
    else:
        texts = dict.fromkeys(_text(row, place.column, with_state=place.name == holder) for row in rows)
        text = " / ".join(texts) or "-"
    return Entry(text=text, value=value, rows=tuple(rows))


def _common(variants: Sequence[Sequence[str]]) -> str:
    """What of their recipes the rows of a line have in common."""
    return ", ".join(part for part in variants[0] if all(part in other for other in variants))


def _text(row: Row, column: Column, *, with_state: bool) -> str:
    text = column.text(row)
    if with_state:
        state = "" if row.state == "complete" else row.state
        text = ", ".join(filter(None, ["" if text == "-" and state else text, state]))
        text += f" {STALE_MARK}" if row.stale else ""
    return text


def _sorted(lines: Sequence[Line], name: str, *, descending: bool) -> list[Line]:
    """Lines by a column, of the first of their rows that has a value."""
    value_of = find_column(name).value
    values = [next((value for row in line.rows if (value := value_of(row)) is not None), None) for line in lines]
    return [lines[position] for position in sorted_positions(values, descending=descending)]


def _highlighted(lines: Sequence[Line], places: Sequence[_Place]) -> list[Line]:
    """Lines with the best of each column bold."""
    bold: set[tuple[int, int]] = set()
    for column, place in enumerate(places):
        entries = [line.entries[column] for line in lines]
        if better := place.column.better:
            texts = ["" if entry.value is None else entry.text for entry in entries]
            bold |= {(line, column) for line in best_positions(texts, better)}
    return [
        replace(line, entries=tuple(replace(e, bold=(i, j) in bold) for j, e in enumerate(line.entries)))
        for i, line in enumerate(lines)
    ]
