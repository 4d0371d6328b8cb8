"""The learning curves of a suite's cells as CSV, from the journals on this machine.

Read by :mod:`bench.report.frame` for the Python API, and kept in the suite's own MLflow run.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from bench.catalog.labels import variants
from bench.recipe import Recipe, keys_of, recipe_values
from bench.report.render import spreadsheet_safe
from bench.values import Cell, Suite
from bench.workspace.events import EpochDone, Started
from bench.workspace.journal import read_cell
from bench.workspace.paths import CellFolder

METRIC_COLUMNS = ("train/loss", "train/lr", "test/loss", "test/top1", "test/top5")

TYPES: dict[str, type] = {"seed": int, "epoch": int, "seconds": float, **dict.fromkeys(METRIC_COLUMNS, float)}
"""Column -> type; the others are texts."""


def curve_records(suites: Iterable[Suite], home: Path) -> list[dict[str, str]]:
    """The rows of :func:`curves` of several suites, all values as texts; a cell of two suites once."""
    records: dict[tuple[str, str], dict[str, str]] = {}
    for suite in suites:
        for record in csv.DictReader(io.StringIO(curves(suite, home))):
            records.setdefault((record["cell"], record["epoch"]), record)
    return list(records.values())


def curves(suite: Suite, home: Path) -> str:
    """The metrics of every epoch of every cell that ran below a BENCH_HOME, one row per epoch.

    ``seconds`` is the wall time of the epoch, evaluation included; ``epochs`` to ``augment`` are keys of the recipe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    axes = ("cell", "model", "dataset", "schedule", "seed")
    keys = (*keys_of(Recipe), "lr")
    writer.writerow((*axes, "epoch", *METRIC_COLUMNS, "seconds", "suite", "variant", "decay", *keys, "device"))
    for cell, variant in zip(suite.cells, variants(suite.cells), strict=True):
        names = (cell.id, cell.model, cell.dataset, cell.schedule_name, cell.seed)
        values = recipe_values(cell.recipe)
        rest = (suite.name, variant, cell.schedule, *(values.get(key) for key in keys))
        epochs, device = _epochs(cell, home)
        for epoch, event in sorted(epochs.items()):
            metrics = [event.metrics.get(name, "") for name in METRIC_COLUMNS]
            row = (*names, epoch, *metrics, event.epoch_s, *rest, device)
            writer.writerow([spreadsheet_safe(value) for value in row])
    return stream.getvalue()


def _epochs(cell: Cell, home: Path) -> tuple[dict[int, EpochDone], str]:
    """The epochs of a cell by number, the last attempt's where several did one, and the device of the last attempt."""
    epochs: dict[int, EpochDone] = {}
    device = ""
    for event in read_cell(CellFolder.of(home, cell.id)):
        if isinstance(event, EpochDone):
            epochs[event.epoch] = event
        elif isinstance(event, Started):
            device = event.device_name or event.device
    return epochs, device
