"""A row of a report by a name that people have of it, and what the predictions of its runs say about its classes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.api.known import known_outcomes
from bench.api.reports import as_it_ran
from bench.api.run_files import FinishedRun, MissingFileError
from bench.api.run_predictions import read_predictions
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.report.classes import ClassReport
    from bench.report.model import Row, RunReference, Table
    from bench.tracking import Store
    from bench.values import Cell, Outcome, Suite

MIN_ID = 6
"""Characters from which on a text may be the beginning of an id, and not only a part of a name."""


def class_options(
    suites: "Sequence[Suite]", store: "Store | None", per_class: str | None, confusion: str | None, format_: str
) -> str:
    """The text of the options ``--per-class`` and ``--confusion``, of which one is given; see :func:`class_text`."""
    if per_class is not None and confusion is not None:
        raise UsageError("--per-class and --confusion are two documents; ask for one of them")
    if per_class is not None:
        return class_text(suites, store, "per-class", per_class, format_)
    return class_text(suites, store, "confusion", confusion or "", format_)


def class_text(suites: "Sequence[Suite]", store: "Store | None", option: str, name: str, format_: str) -> str:
    """The text of ``bench report --per-class`` or ``--confusion``.

    Args:
        suites: Where the row is looked for.
        store: The store, if there is one.
        option: ``per-class`` or ``confusion``.
        name: The row: its label, a unique part of that, or the beginning of a cell's or a run's id.
        format_: One of :data:`bench.report.classes.CLASS_FORMATS`.

    Raises:
        UsageError: No row or several rows are meant, or there is no such format.
        MissingFileError: None of its runs has predictions.
        TrackingError: The store cannot be read.
    """
    from bench.report.classes import CLASS_TEXTS, check_class_format

    check_class_format(option, format_)
    return CLASS_TEXTS[option](class_report(suites, store, name), format_)


def class_report(suites: "Sequence[Suite]", store: "Store | None", name: str) -> "ClassReport":
    """The row that ``name`` means with the predictions of its runs; arguments and errors as in :func:`class_text`."""
    from bench.report.table import build_tables

    suites = [as_it_ran(suite, store, lambda _: None) for suite in suites]
    known = [(suite, known_outcomes(store, suite).outcomes) for suite in suites]
    tables = [(suite, table) for suite, outcomes in known for table in build_tables(suite, outcomes)]
    suite, table, row, runs = _find(tables, name)
    outcomes = next(outcomes for other, outcomes in known if other is suite)
    cells = {cell.id: cell for cell in suite.cells}
    done = [_finished(cells[run.cell_id], outcomes, store) for run in runs if run.state == "complete"]
    return make_class_report(table, row, done)


def make_class_report(table: "Table", row: "Row", done: "Sequence[FinishedRun]") -> "ClassReport":
    """A row with the predictions of some of its runs.

    Raises:
        MissingFileError: None of them has predictions.
        TrackingError: The store cannot be read.
    """
    from bench.report.classes import ClassReport

    label = row_title(row)
    if not done:
        raise MissingFileError(f"{label} has no finished run ({row.state}), so there are no predictions")
    found, missing = [], []
    for run in done:
        try:
            found.append((run, read_predictions(run)))
        except MissingFileError as error:
            missing.append(str(error))
    if not found:
        raise MissingFileError("\n".join(missing))
    first = found[0][1]
    references = {reference.cell_id: reference for reference in row.runs}
    same = [(run, each) for run, each in found if each.labels.tolist() == first.labels.tolist()]
    missing += [f"{run.title} was tested on other images." for run, _ in found if run not in [r for r, _ in same]]
    return ClassReport(
        title=table.title,
        label=label,
        runs=tuple(references[run.cell.id] for run, _ in same),
        predictions=tuple(each for _, each in same),
        missing=tuple(missing),
    )


def row_title(row: "Row") -> str:
    """What a row is called where it stands alone, e.g. ``resnet18 (8 epochs), cosine``."""
    return f"{row.label}, {row.schedule}"


def _finished(cell: "Cell", outcomes: "Mapping[str, Outcome]", store: "Store | None") -> FinishedRun:
    from bench.workspace.paths import CellFolder, bench_home

    return FinishedRun(cell=cell, outcome=outcomes[cell.id], folder=CellFolder.of(bench_home(), cell.id), store=store)


def _find(tables: "Sequence[tuple[Suite, Table]]", name: str) -> "tuple[Suite, Table, Row, Sequence[RunReference]]":
    """The row that a text means, and its runs; one of them where the text begins its id.

    Raises:
        UsageError: There is none, or there are several, which are named.
    """
    rows = [(suite, table, row) for suite, table in tables for row in table.rows]
    wanted = name.strip().casefold()
    for matches in (
        [each for each in rows if wanted in (each[2].label.casefold(), row_title(each[2]).casefold())],
        [each for each in rows if wanted and wanted in _full_title(*each).casefold()],
    ):
        if len(matches) == 1:
            suite, table, row = matches[0]
            return suite, table, row, row.runs
        if matches:
            raise UsageError(f"{len(matches)} rows are meant by {name!r}; {_listed(matches)}")
    by_id = [
        (suite, table, row, [run])
        for suite, table, row in rows
        for run in row.runs
        if len(wanted) >= MIN_ID and (run.cell_id.startswith(wanted) or run.run_id.startswith(wanted))
    ]
    if len(by_id) != 1:
        problem = f"{len(by_id)} runs' ids begin with" if by_id else "no row, cell or run is called"
        raise UsageError(f"{problem} {name!r}; {_listed(rows)}")
    return by_id[0]


def _full_title(suite: "Suite", table: "Table", row: "Row") -> str:
    return f"{suite.name}: {table.title}: {row_title(row)}"


def _listed(rows: "Sequence[tuple[Suite, Table, Row]]") -> str:
    """Rows, one per line, each with the cells' ids, which always tell them apart."""
    lines = [f"  {_full_title(*each)} ({', '.join(run.cell_id for run in each[2].runs[:3])})" for each in rows[:20]]
    more = f"\n  and {len(rows) - 20} more" if len(rows) > 20 else ""
    return "name one of these, a part of it, or a cell's id:\n" + "\n".join(lines) + more
