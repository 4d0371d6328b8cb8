"""Cells that are complete on this machine, with predictions, without a training."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.values import Cell, Suite
from bench.workspace.cells import keep_suite
from bench.workspace.events import DataLoaded, Ended, EpochDone
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder


def finish_suite(suite: Suite, home: Path) -> None:
    """Write complete cells without predictions to a BENCH_HOME."""
    keep_suite(suite, home)
    for cell in suite.cells:
        finish_cell(cell, home)


def finish_cell(cell: Cell, home: Path, *, top1: float = 90.0) -> CellFolder:
    """Write a complete cell, one attempt long, to a BENCH_HOME."""
    folder = CellFolder.of(home, cell.id)
    attempt = folder.attempt(1)
    attempt.root.mkdir(parents=True)
    metrics = {"test/top1": top1, "test/top5": 99.0, "test/loss": 0.5, "train/loss": 0.4, "train/lr": 0.1}
    with Journal(attempt.journal) as journal:
        journal.write(
            DataLoaded(dataset=cell.dataset, digest="", classes=10, train_images=1, test_images=1, fingerprint={})
        )
        journal.write(EpochDone(epoch=cell.recipe.epochs, metrics=metrics, epoch_s=1.0, images_per_s=10.0))
        journal.write(Ended(state="complete", kind="", reason="", fingerprint={}))
    folder.result.write_text(json.dumps({"cell": cell.id}))
    return folder


def write_npz(
    folder: CellFolder, labels: Sequence[int], predicted: Sequence[int], *, names: Sequence[str] = tuple("0123456789")
) -> None:
    """Predictions of two classes per image, the first with 80%, the second of them the class after it."""
    np.savez(
        folder.predictions,
        labels=np.array(labels),
        classes=np.array([[label, (label + 1) % len(names)] for label in predicted], dtype=np.uint16),
        probabilities=np.array([[0.8, 0.2]] * len(predicted), dtype=np.float32),
        names=np.array(names),
    )
