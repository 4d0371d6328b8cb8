"""What a finished cell leaves behind."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.worker.results import journal_summary, peak_mb, write_predictions
from bench.worker.state import EpochTiming
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

CPU = torch.device("cpu")


class TestWritePredictions:
    @pytest.mark.parametrize(("classes", "columns"), [(10, 5), (3, 3)])
    def test_the_likeliest_classes_come_first_and_no_more_than_there_are(
        self, classes: int, columns: int, tmp_path: Path
    ) -> None:
        scores = torch.arange(2.0 * classes).view(2, classes)
        folder = CellFolder(tmp_path)
        write_predictions(scores, np.array([1, 2]), [*"abcdefghij"][:classes], folder)
        with np.load(folder.predictions) as content:
            assert content["labels"].tolist() == [1, 2]
            assert "".join(content["names"]) == "abcdefghij"[:classes]
            assert content["classes"].dtype == np.uint16
            assert content["classes"].tolist() == [list(range(classes - 1, classes - 1 - columns, -1))] * 2
            assert content["probabilities"].shape == (2, columns)
            assert (np.diff(content["probabilities"]) < 0).all()

    def test_classes_of_equal_probability_are_in_the_order_of_their_scores(self, tmp_path: Path) -> None:
        # exp(-200) is 0 in float32: the probabilities of all but the first are equal
        scores = torch.tensor([[1000.0, 300.0, 800.0, 500.0, 400.0, 700.0]])
        folder = CellFolder(tmp_path)
        write_predictions(scores, np.array([4]), [*"abcdef"], folder)
        with np.load(folder.predictions) as content:
            assert content["classes"].tolist() == [[0, 2, 5, 3, 4]]


class TestJournalSummary:
    def summary(self, timings: list[EpochTiming], folder: Path) -> dict[str, float]:
        with Journal(folder / "journal.jsonl") as journal:
            journal_summary(timings, CPU, 12.3456, journal)
        [line] = (folder / "journal.jsonl").read_text().splitlines()
        metrics: dict[str, float] = json.loads(line)["metrics"]
        return metrics

    def test_the_first_epoch_does_not_count_for_speed(self, tmp_path: Path) -> None:
        timings = [EpochTiming(train_s=9, total_s=10, images=100), *[EpochTiming(train_s=1, total_s=2, images=100)] * 2]
        metrics = self.summary(timings, tmp_path)
        assert (metrics["speed/images_per_s"], metrics["speed/epoch_s"]) == (100.0, 2)
        assert metrics["time/total_s"] == 12.346

    def test_an_only_epoch_counts(self, tmp_path: Path) -> None:
        assert self.summary([EpochTiming(train_s=4, total_s=5, images=100)], tmp_path)["speed/images_per_s"] == 25.0

    def test_no_epoch_gives_no_speed(self, tmp_path: Path) -> None:
        assert self.summary([], tmp_path).keys() == {"memory/peak_mb", "time/total_s"}


def test_peak_mb_grows_with_what_the_process_touches() -> None:
    before = peak_mb(CPU)
    block = np.ones(int(before * 1e6 * 1.2 / 8))  # more than all that the process has had so far
    assert peak_mb(CPU) > before
    del block
