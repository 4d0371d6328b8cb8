"""The HTML format: one page with everything in it, which asks no server for anything.

Every table stands in the page as other formats draw it (:func:`bench.report.grid.make_grids`), readable without the
script. ``templates/report.js`` adds sorting, a filter, the other columns, the details of a row and charts; what it
needs beside the tables lies in the page as JSON. The same runs give the same bytes.
"""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.report.against_grid import against_grid, against_sentences
from bench.report.embedded import Charts, page_charts
from bench.report.grid import STALE_MARK, Entry, Grid, Heading, Line, make_grids
from bench.report.jinja import fill, read
from bench.report.legend import decays, devices, figures, recipes, row_notes, speeds, stale_rows
from bench.report.model import Report, Row
from bench.report.page_data import table_data
from bench.report.page_runs import RUN_HEADINGS, run_texts
from bench.text import counted, one_line

if TYPE_CHECKING:
    from markupsafe import Markup

STATES = ("failed", "diverged", "interrupted", "running", "missing", "stale")
"""What is said of a row without a figure that counts, the worst first; also classes of the style sheet."""

ROWS_AT_FIRST = 1_000
"""Rows that a browser lays out at once. More take seconds, so the script shows them when it is asked to."""
SHORT = 24
"""Up to so many characters, the texts of a column are not broken into lines."""


def html(report: Report) -> str:
    """A report as one HTML page.

    Raises:
        UsageError: There is no such column.
        BenchError: A template is missing or wrong.
    """
    grids = make_grids(report)
    sections = [_section(grid, f"table-{index}", report) for index, grid in enumerate(grids, 1)]
    charts = page_charts(report) if report.charts else Charts()
    rows = [row for table in report.tables for row in table.rows]
    states = [state for row in rows for state in _states(row)]
    values = {
        "title": report.layout.title or ", ".join(suite.name for suite in report.suites) or "Results",
        "suites": report.suites,
        "total": len(rows),
        "states": [(state, states.count(state)) for state in ("complete", *STATES) if state in states],
        "sections": sections,
        "changed": against_grid(report),
        "compared": against_sentences(report),
        "figures": figures(report, grids),
        "recipes": recipes(report.tables),
        "decays": decays(report.tables),
        "devices": devices(report.tables),
        "speeds": speeds(report, grids),
        "run_headings": RUN_HEADINGS,
        "rows_at_first": ROWS_AT_FIRST,
        "galleries": charts.galleries,
        "missing": charts.missing,
        "drawings": charts.drawings,
        "libraries": charts.libraries,
        "style": _raw(read("report.css")),
        "script": _raw(read("report.js")),
        "data": _json({"tables": [section.data for section in sections]}),
    }
    return fill(
        "report.html.j2", values, {"name": name, "clean": one_line, "counted": counted, "raw": _raw}, escape=True
    )


def name(text: str) -> "Markup":
    """A foreign text on one line, escaped, that cannot change the direction of what stands around it."""
    from markupsafe import Markup, escape

    if isinstance(text, Markup):
        return text
    return Markup("<bdi>{}</bdi>").format(one_line(text)) if not text.isascii() else escape(one_line(text))


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """An entry as it stands in the page."""

    html: "Markup"
    look: str
    """A class of the style sheet: ``n`` for numbers, ``k`` for texts that stay on one line; empty for others."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line of a table."""

    id: str
    """Of the runs behind it, for links."""
    state: str
    """One of :data:`STATES`; empty if all its runs are complete."""
    badge: str
    """Its state in words, where no entry says it."""
    entries: tuple[_Drawn, ...]
    runs: tuple[tuple[str, tuple[str, ...]], ...]
    """The row and the texts under :data:`RUN_HEADINGS` of each of its runs."""


@dataclass(frozen=True, kw_only=True)
class _Section:
    """A table of the page, and what the script needs of it."""

    id: str
    title: str
    finished: bool
    """Whether any run has a result."""
    headings: tuple[Heading, ...]
    lines: tuple[_Line, ...]
    notes: Sequence[tuple[str, str]]
    stale: Sequence[tuple[str, str]]
    data: Mapping[str, object]


def _section(grid: Grid, section_id: str, report: Report) -> _Section:
    texts = [[line.entries[place].text for line in grid.lines] for place in range(len(grid.headings))]
    looks = [
        "n" if heading.numeric else "k" if max(map(len, own), default=0) <= SHORT else ""
        for heading, own in zip(grid.headings, texts, strict=True)
    ]
    spreads = {place for line in grid.lines for place, entry in enumerate(line.entries) if " ± " in entry.text}
    lines = tuple(
        _line(line, f"{section_id}-{index}", looks, spreads, report) for index, line in enumerate(grid.lines, 1)
    )
    return _Section(
        id=section_id,
        title=grid.title,
        finished=any(row.top1 or row.best for line in grid.lines for row in line.rows),
        headings=grid.headings,
        lines=lines,
        notes=row_notes(grid.tables),
        stale=stale_rows(grid.tables),
        data=table_data(grid, report),
    )


def _line(line: Line, line_id: str, looks: Sequence[str], spreads: Container[int], report: Report) -> _Line:
    states = [state for row in line.rows for state in _states(row)]
    said = {word for row in line.rows for word in (row.state, STALE_MARK if row.stale else "") if word}
    state = min((state for state in states if state in STATES), key=STATES.index, default="")
    shows = [any(word in entry.text for entry in line.entries) for word in said - {"complete"}]
    return _Line(
        id=line_id,
        state=state,
        badge="" if all(shows) else ", ".join(sorted(said - {"complete"})),
        entries=tuple(
            _Drawn(html=_entry(entry, entry.rows, spreads=place in spreads), look=looks[place])
            for place, entry in enumerate(line.entries)
        ),
        runs=tuple((f"{row.label}, {row.schedule}", run_texts(run, report)) for row in line.rows for run in row.runs),
    )


def _entry(entry: Entry, rows: Sequence[Row], *, spreads: bool) -> "Markup":
    """An entry, its state and its mark as badges; with ``spreads`` aligned as its column's means and deviations are."""
    from markupsafe import Markup

    text, badges = entry.text, []
    for word in (STALE_MARK, *(row.state for row in rows if row.state != "complete")):
        head, found, _ = text.rpartition(word)
        if found and text.endswith(word):
            text = head.rstrip(", ")
            kind = "stale" if word == STALE_MARK else _kind(word)
            kind += " long" if len(word) > SHORT else ""
            badges.append(Markup('<span class="state {}">{}</span>').format(kind, name(word.strip("()"))))
    mean, sign, spread = text.partition(" ± ")
    shown = Markup("<b>{}</b>").format(name(mean)) if entry.bold else name(mean)
    if spreads:
        shown += Markup('<span class="spread">{}</span>').format(name(f"± {spread}") if sign else "")
    return Markup(" ").join([*badges, shown] if text or spreads else badges)


def _states(row: Row) -> list[str]:
    """What can be said of a row in one word each."""
    return [_kind(row.state) or "complete", *(["stale"] if row.stale else [])]


def _kind(state: str) -> str:
    """The worst of :data:`STATES` in a state in words; empty if it is complete."""
    return next((kind for kind in STATES if kind in state), "")


def _json(value: object) -> "Markup":
    """JSON that can stand in a script element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return _raw(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _raw(text: str) -> "Markup":
    from markupsafe import Markup

    return Markup(text)  # files of this package, JSON and URLs without a sign that HTML knows
