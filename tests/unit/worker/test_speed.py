"""Measuring the speed of a cell."""

import pytest
from helpers.cells import MakeCell
from helpers.streaming import FLIP, RESIZED_CROP

from bench.values import Mode
from bench.worker import speed
from bench.workspace.requests import Trial, TrialSpeed


def test_measure_gives_the_speed_of_a_cell_on_streamed_images(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WARM_UP_STEPS", "MIN_STEPS"):
        monkeypatch.setattr(speed, name, 1)
    cell = make_cell(dataset="imagenet", augment=(RESIZED_CROP, FLIP), input_size=32, batch_size=4, stem="standard")
    trial = Trial(cell=cell, num_classes=10, mode=Mode(threads=1), device="cpu", deterministic=False)
    answer = speed.measure(trial)
    assert isinstance(answer, TrialSpeed)
    assert answer.images_per_s > 0
