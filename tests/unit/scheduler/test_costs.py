"""Costs: measured once per net, kept in BENCH_HOME, and measured again when what decides them changes."""

import json
from importlib import metadata
from pathlib import Path

import pytest
from helpers.cells import MakeCell

from bench.scheduler.costs import costs_of, measure_all
from bench.values import Cost, Failure
from bench.workspace.paths import costs_file
from bench.workspace.requests import Measure

COST = Cost(params=10, flops=20, conv_linear_macs=20, torch_macs=20, uncounted=("sin x 1",))


class FakeWorker:
    """Measures every net but those called broken."""

    def __init__(self) -> None:
        self.asked: list[Measure] = []

    def __call__(self, requests: list[Measure], *, threads: int, limit_s: float | None) -> list[Cost | Failure]:
        assert threads > 0
        assert limit_s is None
        self.asked += requests
        return [Failure(error="it broke") if request.model == "broken" else COST for request in requests]


def net(model: str, input_size: int = 32) -> Measure:
    return Measure(model=model, stem="small", input_size=input_size, num_classes=10)


class TestMeasureAll:
    def test_what_was_measured_before_is_not_measured_again(self, tmp_path: Path) -> None:
        worker = FakeWorker()
        assert measure_all([net("a"), net("b"), net("a")], tmp_path, ask=worker) == [COST] * 3
        assert measure_all([net("b"), net("a", 64)], tmp_path, ask=worker) == [COST] * 2
        assert worker.asked == [net("a"), net("b"), net("a", 64)]

    def test_a_folder_that_cannot_be_written_keeps_nobody_from_looking(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert measure_all([net("a")], tmp_path / "file", ask=FakeWorker()) == [COST]

    def test_a_failure_is_reported_and_tried_again(self, tmp_path: Path) -> None:
        worker = FakeWorker()
        for _ in range(2):
            assert measure_all([net("broken"), net("a")], tmp_path, ask=worker) == [Failure(error="it broke"), COST]
        assert worker.asked == [net("broken"), net("a"), net("broken")]

    def test_another_version_of_a_library_measures_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        worker = FakeWorker()
        measure_all([net("a")], tmp_path, ask=worker)
        monkeypatch.setattr(metadata, "version", lambda _: "99")
        measure_all([net("a")], tmp_path, ask=worker)
        assert worker.asked == [net("a")] * 2

    def test_another_content_of_a_models_file_measures_again_and_a_missing_file_is_asked_for(
        self, project: Path
    ) -> None:
        worker = FakeWorker()
        for content in ("one", "one", "two", None):
            Path("nets.py").write_text(content) if content else Path("nets.py").unlink()
            measure_all([net("nets.py:net")], project, ask=worker)
        assert len(worker.asked) == 3

    def test_a_damaged_file_is_measured_again(self, tmp_path: Path) -> None:
        worker = FakeWorker()
        costs_file(tmp_path).write_text("{")
        assert measure_all([net("a")], tmp_path, ask=worker) == [COST]
        assert json.loads(costs_file(tmp_path).read_text())

    def test_figures_of_older_versions_are_read(self, tmp_path: Path) -> None:
        measure_all([net("a")], tmp_path, ask=FakeWorker())
        [(key, entry)] = json.loads(costs_file(tmp_path).read_text()).items()
        request = {"model": "a", "stem": "small", "input_size": 32, "num_classes": 10}
        costs_file(tmp_path).write_text(json.dumps({key: {**request, **entry}}))
        worker = FakeWorker()
        assert measure_all([net("a")], tmp_path, ask=worker) == [COST]
        assert worker.asked == []
        assert json.loads(key)[:4] == [32, "a", 10, "small"], "the format of keys that are on disk"


class TestCostsOf:
    def test_cells_of_one_net_are_measured_once_and_failures_are_by_cell(
        self, tmp_path: Path, make_cell: MakeCell
    ) -> None:
        worker = FakeWorker()
        cells = [make_cell("a", seed=0), make_cell("a", seed=1), make_cell("broken")]
        found, errors = costs_of(cells, lambda _: 10, tmp_path, ask=worker)
        assert found == {cells[0].id: COST, cells[1].id: COST}
        assert errors == {cells[2].id: Failure(error="it broke")}
        assert len(worker.asked) == 2

    def test_nets_of_a_data_set_that_is_not_here_are_left_out(self, tmp_path: Path, make_cell: MakeCell) -> None:
        worker = FakeWorker()
        assert costs_of([make_cell("a")], lambda _: None, tmp_path, ask=worker) == ({}, {})
        assert worker.asked == []
