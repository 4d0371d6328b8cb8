"""The tables of suites from their runs."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bench.api.calibration import wants_calibration, with_calibration
from bench.api.known import complete, known_outcomes
from bench.api.net_speeds import with_speeds
from bench.api.run_predictions import predictions_here

if TYPE_CHECKING:
    from bench.api.options import Note
    from bench.report.model import Layout, Report, Table
    from bench.tracking import Store
    from bench.values import Cell, Outcome, Suite


def render_suites(
    suites: "Sequence[Suite]",
    store: "Store | None",
    format_: str,
    best: bool,
    note: "Note" = lambda _: None,
    layout: "Layout | None" = None,
) -> tuple[str, int]:
    """The tables of suites as one text, and how many of their cells have no result; see :func:`make_reports`."""
    reports, missing = make_reports(suites, store, format_, best, note, layout)
    return draw(reports, format_), missing


def draw(reports: "Sequence[Report]", format_: str) -> str:
    """Reports as one text in a format.

    Raises:
        UsageError: There is no such format, or no such column.
    """
    from bench.report.render import find_format

    drawn = find_format(format_)
    return drawn.join([drawn.render(report) for report in reports])


def make_reports(
    suites: "Sequence[Suite]",
    store: "Store | None",
    format_: str,
    best: bool,
    note: "Note" = lambda _: None,
    layout: "Layout | None" = None,
) -> "tuple[list[Report], int]":
    """What a format draws of suites, each a text of its own, and how many of their cells have no result.

    Formats for people have one table per data set, unless the layout separates the suites; formats for programs have
    one per suite and data set. A suite that ran on this machine only with ``--set`` is shown as it ran; ``note`` takes
    a sentence that says so.
    """
    from bench.report.model import Layout, Report
    from bench.report.render import find_format
    from bench.report.table import build_merged_tables, build_tables, distinct_titles
    from bench.tracking import redact
    from bench.workspace.paths import bench_home

    layout = layout or Layout()
    drawn = find_format(format_)
    if drawn.for_programs and layout != replace(Layout(), separate=layout.separate):
        note(f"{format_} always has every figure: columns, order, pivot and title are those of tables for people")
    suites = [as_it_ran(suite, store, note) for suite in suites]
    known = [known_outcomes(store, suite).outcomes for suite in suites]
    outcomes: dict[str, Outcome] = {}
    for found in known:
        outcomes |= {cell_id: found[cell_id] for cell_id in found.keys() - complete(outcomes)}
    cells = {cell.id: cell for suite in suites for cell in suite.cells}
    missing = len(cells.keys() - complete(outcomes))
    whole = Report(
        tables=(),
        suites=tuple(suites),
        best=best,
        layout=layout,
        home=bench_home(),
        charts=True,
        predictions=predictions_here(cells.values(), outcomes) if drawn.predictions else {},
        store=redact(store.uri) if store else "",
    )
    measured = partial(_measured, cells=cells, outcomes=outcomes, store=store, layout=layout)
    if not (drawn.for_programs or layout.separate):
        merged = measured(build_merged_tables(suites, outcomes, best=best))
        return [replace(whole, tables=merged)], missing
    tables = [table for suite, own in zip(suites, known, strict=True) for table in build_tables(suite, own, best=best)]
    titled = distinct_titles(measured(tables))
    if drawn.whole:
        return [replace(whole, tables=titled)], missing
    parts = [(suite, tuple(table for table in titled if table.suite == suite.name)) for suite in suites]
    return [replace(whole, tables=own, suites=(suite,)) for suite, own in parts], missing


def _measured(
    tables: "Sequence[Table]",
    *,
    cells: "Mapping[str, Cell]",
    outcomes: "Mapping[str, Outcome]",
    store: "Store | None",
    layout: "Layout",
) -> "tuple[Table, ...]":
    """Tables with what was measured of their nets and, if that is asked for, with what only predictions say."""
    timed = with_speeds(tables)
    return with_calibration(timed, cells, outcomes, store) if wants_calibration(layout) else timed


def as_it_ran(suite: "Suite", store: "Store | None", note: "Note") -> "Suite":
    """The suite; where none of its cells ever started, the cells with the same axes that it ran with ``--set`` here."""
    from bench.workspace.cells import kept_suites
    from bench.workspace.paths import bench_home

    last = next((kept for kept in kept_suites(bench_home()) if kept.name == suite.name and kept.overrides), None)
    if last is None or suite.overrides or _started(suite, store):
        return suite
    axes = {(cell.model, cell.dataset, cell.schedule_name, cell.seed) for cell in suite.cells}
    cells = tuple(c for c in last.cells if (c.model, c.dataset, c.schedule_name, c.seed) in axes)
    ran = replace(last, cells=cells)
    if not _started(ran, store):
        return suite
    options = " ".join(f"--set {shlex.quote(each)}" for each in last.overrides)
    note(f"{suite.name}: nothing ran yet as the file says; these are the results of: bench run {suite.path} {options}")
    return ran


def _started(suite: "Suite", store: "Store | None") -> bool:
    """Whether anything is known of a cell of a suite."""
    outcomes = known_outcomes(store, suite).outcomes
    return any(cell.id in outcomes and outcomes[cell.id].state != "missing" for cell in suite.cells)
