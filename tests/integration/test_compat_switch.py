"""A cell trained by a real worker with the workarounds of bench.worker.compat and without them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.runs import attempt_of

from bench.values import Cell, to_json
from bench.workspace.journal import fold, read_cell
from bench.workspace.paths import CellFolder

POOLED = '''
from torch import nn


def net(num_classes):
    """Its last convolution sees one pixel, so it is a matrix product with the workarounds. Shallow, so that rounding
    stays rounding."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 32, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32, num_classes),
    )
'''


def train(cell: Cell, home: Path, compat: str) -> tuple[float, list[float]]:
    """Train a cell in a worker. Returns its top-1 in percent and the loss of each epoch."""
    folder = CellFolder.of(home / compat, cell.id)
    attempt = folder.attempt(1)
    attempt.root.mkdir(parents=True)
    request = attempt_of(cell, folder, home / "data")
    attempt.request.write_text(to_json(request))
    done = subprocess.run(
        [sys.executable, "-m", "bench.worker", "run", str(attempt.request)], capture_output=True, text=True,
        check=False, env={**os.environ, "BENCH_COMPAT": compat},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = list(read_cell(folder))
    outcome = fold(cell.id, events)
    assert outcome.state == "complete"
    assert outcome.top1 is not None
    journal = [json.loads(line) for line in attempt.journal.read_text().splitlines()]
    return outcome.top1, [event["metrics"]["train/loss"] for event in journal if event["event"] == "epoch"]


@pytest.mark.slow
def test_a_cell_gives_the_same_accuracy_without_the_workarounds(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    file = tmp_path / "pooled.py"
    file.write_text(POOLED)
    cell = make_cell(f"{file}:net", epochs=3)
    with_top1, with_losses = train(cell, tmp_path, "1")
    without_top1, without_losses = train(cell, tmp_path, "0")
    assert with_top1 == pytest.approx(without_top1, abs=1.0)
    assert with_losses == pytest.approx(without_losses, rel=1e-3)
