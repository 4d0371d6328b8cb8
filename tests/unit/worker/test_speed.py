"""Measuring the speed of a cell."""

from dataclasses import asdict

import pytest
from conftest import MakeCell
from helpers.streaming import FLIP, RESIZED_CROP

from bench.worker import speed


def test_measure_gives_the_speed_of_a_cell_on_streamed_images(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WARM_UP_STEPS", "MIN_STEPS"):
        monkeypatch.setattr(speed, name, 1)
    cell = make_cell(dataset="imagenet", augment=(RESIZED_CROP, FLIP), input_size=32, batch_size=4, stem="standard")
    mode = {"threads": 1}
    request = {"cell": asdict(cell), "num_classes": 10, "mode": mode, "device": "cpu", "deterministic": False}
    assert speed.measure(request, None).keys() == {"images_per_s", "warm_up_s", "peak_mb"}
