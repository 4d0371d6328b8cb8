"""Calibration errors of the rows of tables, from the predictions of their runs: only where the column is asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.api.run_files import FinishedRun, MissingFileError
from bench.api.run_predictions import read_predictions

if TYPE_CHECKING:
    from bench.report.model import Layout, Row, Table
    from bench.tracking import Store
    from bench.values import Cell, Outcome

COLUMN = "ece"


def wants_calibration(layout: "Layout") -> bool:
    """Whether a layout has the column, or sorts by it."""
    return layout.sort == COLUMN or COLUMN in [name.removeprefix("+") for name in layout.columns]


def with_calibration(
    tables: "Sequence[Table]", cells: "Mapping[str, Cell]", outcomes: "Mapping[str, Outcome]", store: "Store | None"
) -> "tuple[Table, ...]":
    """Tables with the expected calibration error of each row; a row's note says where one is missing, and of bf16.

    Args:
        tables: The tables.
        cells: The cells of their runs, by id.
        outcomes: What is known of them, by id.
        store: The store, if there is one.

    Raises:
        TrackingError: The store cannot be read.
    """

    def calibrated(row: "Row") -> "Row":
        from bench.report.predictions import calibration_error, statistic

        errors, missing = [], 0
        complete = [run for run in row.runs if run.state == "complete"]
        for run in complete:
            try:
                found = read_predictions(_finished(cells[run.cell_id], outcomes[run.cell_id], store))
            except MissingFileError:
                missing += 1
                continue
            errors.append(calibration_error(found.labels, found.classes, found.scores))
        missing += sum(not math.isfinite(error) for error in errors)
        notes = [row.note] if row.note else []
        if missing:
            notes.append(f"no ECE for {missing} of {len(complete)} runs, whose predictions are missing or not numbers")
        if errors and any(", bf16" in run.mode for run in complete):
            notes.append("ECE is of probabilities in bf16")
        return replace(row, ece=statistic(errors), note="; ".join(notes))

    return tuple(replace(table, rows=tuple(calibrated(row) for row in table.rows)) for table in tables)


def _finished(cell: "Cell", outcome: "Outcome", store: "Store | None") -> FinishedRun:
    from bench.workspace.paths import CellFolder, bench_home

    return FinishedRun(cell=cell, outcome=outcome, folder=CellFolder.of(bench_home(), cell.id), store=store)
