"""Tables as lines of texts: what the formats for people (markdown, plain, LaTeX, HTML) have in common.

Made from a :class:`bench.report.model.Report` by :func:`make_grids`, the one place that knows of its layout: which
columns there are, in which order lines stand, what is bold, and what a pivot puts into one line. Texts are raw; each
format escapes and aligns them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.report.columns import Column, Value, find_column
from bench.report.layout import chosen_columns
from bench.report.model import Layout, Report, Row, Table
from bench.report.order import best_positions, sorted_positions

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
    rows = [(table, row) for table in tables for row in table.rows]
    names = _names(tables, report)
    slots = list(dict.fromkeys(_slot(table, row, layout) for table, row in rows)) if layout.pivot else []
    places = _places(names, slots)
    holder = next((name for name in ("top1", "best", "top5") if name in names), "")
    lines = [
        Line(
            rows=tuple(row for _, row in group),
            entries=tuple(_entry(group, place, holder, layout) for place in places),
        )
        for group in _grouped(rows, layout)
    ]
    if layout.sort:
        lines = _sorted(lines, _own_name(layout.sort, report), descending=layout.descending)
    if layout.highlight:
        lines = _highlighted(lines, places)
    results = dict.fromkeys(place.column.heading for place in places if place.slot is not None)
    title = ", ".join(results) if layout.pivot == "dataset" else tables[0].title
    return Grid(
        title=f"{title}: {', '.join(results)}" if layout.pivot == "schedule" else title,
        tables=tables,
        headings=tuple(Heading(name=each.name, text=each.heading, numeric=each.column.numeric) for each in places),
        lines=tuple(lines),
    )


def _names(tables: Sequence[Table], report: Report) -> list[str]:
    """The names of the columns, where one of a pivot stands for the columns of all data sets or schedules."""
    pivot, top1 = report.layout.pivot, "best" if report.best else "top1"
    identity = [name for table in tables for name in identity_columns(table)]
    identity = [name for name in ("model", "schedule", "recipe", "suite") if name in identity and name != pivot]
    if pivot == "dataset":
        default = [*identity, *(["input"] if _sizes_differ(tables) else []), top1]
    else:
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


def _slot(table: Table, row: Row, layout: Layout) -> str:
    """The data set or the schedule that a row has its column under."""
    return table.title if layout.pivot == "dataset" else row.schedule


def _sizes_differ(tables: Sequence[Table]) -> bool:
    """Whether rows of one data set differ in nothing but the size of the input."""
    return any(len({(row.name, row.schedule, row.variant) for row in table.rows}) < len(table.rows) for table in tables)


def _grouped(rows: Sequence[tuple[Table, Row]], layout: Layout) -> list[list[tuple[Table, Row]]]:
    """The rows of each line."""
    tables = {table.title: table for table, _ in rows}.values()
    schedules = layout.pivot == "dataset" and any(len({row.schedule for row in each.rows}) > 1 for each in tables)
    sizes = layout.pivot == "schedule" or _sizes_differ(list(tables))
    groups: dict[object, list[tuple[Table, Row]]] = {}
    for number, (table, row) in enumerate(rows):
        key: object = number
        if layout.pivot:
            key = (row.name, row.variant, row.schedule if schedules else "", row.input_size if sizes else 0)
            slot = _slot(table, row, layout)
            if any(_slot(*other, layout) == slot for other in groups.get(key, ())):
                key = number  # a column holds one figure, so a second one gets a line of its own
        groups.setdefault(key, []).append((table, row))
    return list(groups.values())


def _entry(group: Sequence[tuple[Table, Row]], place: _Place, holder: str, layout: Layout) -> Entry:
    """What a line has in a column; the first column of accuracies (``holder``) says the state of a row too."""
    rows = [row for table, row in group if place.slot is None or _slot(table, row, layout) == place.slot]
    texts = dict.fromkeys(_text(row, place.column, with_state=place.name == holder) for row in rows)
    value = next((value for row in rows if (value := place.column.value(row)) is not None), None)
    return Entry(text=" / ".join(texts) or "-", value=value, rows=tuple(rows))


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
