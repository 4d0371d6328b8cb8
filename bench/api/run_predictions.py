"""The predictions of finished runs: read from their files, as they were made by the net of the last epoch."""

import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from bench.api.run_files import FinishedRun, MissingFileError

if TYPE_CHECKING:
    from pandas import DataFrame

    from bench.report.predictions import Predictions
    from bench.values import Cell, Outcome


def read_predictions(run: FinishedRun) -> "Predictions":
    """The predictions of a run. Classes have their names where these are known, else their numbers.

    Raises:
        MissingFileError: They are missing or damaged.
        TrackingError: The store cannot be read.
    """
    import numpy as np

    from bench.datasets.names import class_names
    from bench.report.predictions import Predictions
    from bench.workspace.paths import data_home

    with run.file("predictions.npz") as path:
        try:
            with np.load(path) as content:
                labels, classes = content["labels"].astype(np.int64), content["classes"].astype(np.int64)
                scores = content["probabilities"].astype(np.float64)
                kept = tuple(content["names"].tolist()) if "names" in content else ()
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
            raise MissingFileError(f"the predictions of {run.title} are damaged: {path}: {error}") from None
        if not len(labels) or classes.shape != scores.shape or classes.shape[:1] != labels.shape or classes.ndim != 2:
            raise MissingFileError(f"the predictions of {run.title} are damaged: {path} has arrays of other shapes")
    names = kept or class_names(run.cell.dataset, data_home())
    count = max(int(labels.max()), int(classes.max())) + 1
    count = max(count, run.outcome.classes or 0, len(names))
    return Predictions(
        labels=labels,
        classes=classes,
        scores=scores,
        names=(*names, *(str(label) for label in range(len(names), count))),
    )


def predictions_here(cells: "Iterable[Cell]", outcomes: "Mapping[str, Outcome]") -> "dict[str, Predictions]":
    """The predictions of complete cells that lie on this machine and are whole, by cell id."""
    from bench.workspace.paths import CellFolder, bench_home

    found: dict[str, Predictions] = {}
    for cell in cells:
        outcome, folder = outcomes.get(cell.id), CellFolder.of(bench_home(), cell.id)
        if outcome and outcome.state == "complete" and folder.result.exists():
            with suppress(MissingFileError):
                found[cell.id] = read_predictions(FinishedRun(cell=cell, outcome=outcome, folder=folder, store=None))
    return found


def predictions_of(run: FinishedRun) -> "DataFrame":
    """The predictions of a run as a frame, see :func:`bench.api.predictions`.

    Raises:
        MissingFileError: They are missing or damaged.
        TrackingError: The store cannot be read.
    """
    from bench.datasets.names import test_files
    from bench.report.frame import predictions_frame
    from bench.workspace.paths import data_home

    predictions = read_predictions(run)
    return predictions_frame(predictions, test_files(run.cell, data_home(), predictions.labels.tolist()))
