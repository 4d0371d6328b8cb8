"""How cells are computed: chosen by measured speed, the default unless another is clearly faster, and kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.cells import make_small_cell, suite_text
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import cli
from bench.scheduler import speeds, tuning
from bench.scheduler.devices import GPU_USABLE, Slot
from bench.scheduler.modes import Allocation
from bench.scheduler.tuning import TuningRequest, is_large, tune
from bench.values import Cell, Execution, Failure
from bench.workspace.requests import Trial, TrialSpeed

CPU = Slot(name="cpu 0", device="cpu", visible="", threads=2)
GPU = Slot(name="gpu 0", device="cuda", visible="0", threads=4)


def request_of(
    cells: list[Cell],
    cache: Path,
    *,
    images: float,
    slot: Slot = CPU,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    max_concurrency: int = 2,
) -> TuningRequest:
    return TuningRequest(
        cells=cells,
        images={cell.id: images for cell in cells},
        train_images={cell.id: int(images) // cell.recipe.epochs for cell in cells},
        classes={cell.id: 10 for cell in cells},
        slot=slot,
        devices=1,
        execution=execution,
        cache=cache,
        max_concurrency=max_concurrency,
    )


def test_short_cells_are_not_worth_a_trial(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    said: list[str] = []
    assert tune(request_of([make_cell()], tmp_path / "speeds.json", images=1_000), note=said.append) is None
    assert said == []
    assert not (tmp_path / "speeds.json").exists()


@given(epochs=st.integers(1, 300), train_images=st.integers(1, 100_000))
def test_is_large_asks_nothing_but_the_cell(epochs: int, train_images: int) -> None:
    assert is_large(make_small_cell(epochs=epochs), train_images) == (epochs * train_images >= 100_000)


def test_a_batch_larger_than_the_set_is_tried_as_the_whole_set(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    asked: list[int] = []

    def workers(trial: Trial, *, concurrency: int, **_: object) -> list[TrialSpeed | Failure]:
        asked.append(trial.cell.recipe.batch_size)
        return [TrialSpeed(images_per_s=1000.0, warm_up_s=1.0, peak_mb=500.0)] * concurrency

    cell = make_cell(batch_size=10**12)
    assert tune(request_of([cell], tmp_path / "speeds.json", images=100_000), ask=workers) is not None
    assert set(asked) == {50_000}


def test_many_small_cells_of_one_net_are_as_small_as_one(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    cells = [make_cell(seed=seed) for seed in range(50)]
    request = request_of(cells, tmp_path / "speeds.json", images=30_000)
    assert sum(request.images.values()) > tuning.MIN_IMAGES
    assert tune(request, ask=lambda *_, **__: []) is None


def test_speeds_are_measured_in_real_workers_and_known_the_next_time(
    make_cell: Callable[..., Cell], tmp_path: Path, project: Path, tiny_models: Path
) -> None:
    cache, said = tmp_path / "cache" / "speeds.json", []  # type: tuple[Path, list[str]]
    cells = [make_cell("nets.py:net", precision="auto", seed=seed) for seed in range(2)]
    first = tune(request_of(cells, cache, images=100_000), note=said.append)
    answers = json.loads(cache.read_text()).values()
    assert len(answers) == 2 * 2 * 2, "two layouts, two precisions, one cell alone and two side by side"
    assert all(answer["images_per_s"] > 0 and answer["peak_mb"] > 0 for answer in answers)
    assert len(said) == 1
    assert "8 short trials" in said[0]
    assert tune(request_of(cells, cache, images=100_000), note=said.append) == first
    assert len(said) == 1, "nothing is measured twice"


def test_a_net_that_fails_in_a_trial_fails_no_run(
    make_cell: Callable[..., Cell], tmp_path: Path, project: Path, tiny_models: Path
) -> None:
    cells = [make_cell("nets.py:Failing", seed=seed) for seed in range(2)]
    assert tune(request_of(cells, tmp_path / "speeds.json", images=100_000)) is None


def test_a_damaged_file_of_speeds_is_measured_again(
    make_cell: Callable[..., Cell], tmp_path: Path, project: Path, tiny_models: Path
) -> None:
    (tmp_path / "speeds.json").write_text("{")
    assert tune(request_of([make_cell("nets.py:net")], tmp_path / "speeds.json", images=100_000)) is not None
    assert json.loads((tmp_path / "speeds.json").read_text())


class FakeWorkers:
    """Answers trials as a GPU of 80 GB would: slower beside others, out of memory beyond its share."""

    def __init__(self, peaks: dict[str, float], speedup: dict[int, float]) -> None:
        self.peaks, self.speedup = peaks, speedup
        self.asked: list[tuple[str, int, bool, str]] = []

    def __call__(self, trial: Trial, *, concurrency: int, threads: int, visible: str) -> list[TrialSpeed | Failure]:
        model, mode = trial.cell.model, trial.mode
        assert mode.threads == threads
        self.asked.append((model, concurrency, mode.captured, visible))
        peak = self.peaks[model] * (1.5 if mode.captured else 1)
        if peak > mode.memory_share * 80_000:
            return [Failure(error="OutOfMemoryError: CUDA out of memory.")] * concurrency
        rate = 1000.0 * self.speedup[concurrency] / concurrency * (1.3 if mode.captured else 1)
        return [TrialSpeed(images_per_s=rate, warm_up_s=1.0, peak_mb=peak)] * concurrency


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of 80 GB, as far as the driver's library is asked."""
    monkeypatch.setattr(tuning, "gpu_memory_mb", lambda visible: 80_000.0)
    monkeypatch.setattr(speeds, "device_name", lambda slot: "a GPU")


def on_a_gpu(tmp_path: Path, workers: FakeWorkers, cells: list[Cell], *, timed: bool = False) -> Allocation:
    execution = Execution(memory_format="channels_last", compile="never", timed=timed)
    request = request_of(cells, tmp_path / "speeds.json", images=1e6, slot=GPU, execution=execution, max_concurrency=4)
    found = tune(request, ask=workers)
    assert found is not None
    return found


def test_small_cells_share_a_gpu_and_each_has_its_part_of_the_memory(
    make_cell: Callable[..., Cell], tmp_path: Path, gpu: None
) -> None:
    workers = FakeWorkers({"a": 5_000}, {1: 1.0, 2: 1.8, 4: 3.0})
    cells = [make_cell("a", seed=seed, precision="bf16") for seed in range(8)]
    found = on_a_gpu(tmp_path, workers, cells)
    assert found.concurrency == 4
    assert {(mode.captured, mode.memory_share) for mode in found.modes.values()} == {(True, round(GPU_USABLE / 4, 3))}


def test_fewer_cells_share_a_gpu_where_a_measured_peak_does_not_fit(
    make_cell: Callable[..., Cell], tmp_path: Path, gpu: None
) -> None:
    workers = FakeWorkers({"small": 5_000, "large": 22_000}, {1: 1.0, 2: 1.8, 4: 3.0})
    cells = [make_cell(model, seed=seed, precision="bf16") for model in ("small", "large") for seed in range(4)]
    found = on_a_gpu(tmp_path, workers, cells)
    assert found.concurrency == 2
    assert ("large", 4, False, "0") not in workers.asked, "what does not fit is not tried"


def test_a_mode_that_needs_more_memory_is_judged_by_its_own_peak(
    make_cell: Callable[..., Cell], tmp_path: Path, gpu: None
) -> None:
    workers = FakeWorkers({"a": 30_000}, {1: 1.0, 2: 1.8, 4: 3.0})
    cells = [make_cell("a", seed=seed, precision="bf16") for seed in range(8)]
    found = on_a_gpu(tmp_path, workers, cells)
    assert ("a", 2, False, "0") in workers.asked
    assert ("a", 2, True, "0") not in workers.asked, "two of 45 GB do not fit in 80"
    assert (found.concurrency, {mode.captured for mode in found.modes.values()}) == (2, {False})


@pytest.mark.parametrize(("images", "compiled"), [(2_000_000.0, True), (500_000.0, False)])
def test_compiling_is_tried_and_taken_where_a_cell_is_long_enough_to_earn_it_back(
    make_cell: Callable[..., Cell], tmp_path: Path, images: float, compiled: bool
) -> None:
    def workers(trial: Trial, **_: object) -> list[TrialSpeed | Failure]:
        if trial.mode.compiled:
            return [TrialSpeed(images_per_s=1500.0, warm_up_s=60.0, peak_mb=500.0)]
        return [TrialSpeed(images_per_s=1000.0, warm_up_s=1.0, peak_mb=500.0)]

    said: list[str] = []
    cell = make_cell()
    request = request_of([cell], tmp_path / "speeds.json", images=images, max_concurrency=1)
    found = tune(request, phase=said.append, ask=workers)
    assert found is not None
    assert found.modes[cell.id].compiled == compiled
    assert any("torch.compile" in sentence for sentence in said) == compiled


def test_a_trial_that_failed_is_made_again_the_next_time(
    make_cell: Callable[..., Cell], tmp_path: Path, gpu: None
) -> None:
    workers = FakeWorkers({"a": 90_000}, {1: 1.0})
    cells = [make_cell("a", precision="bf16")]
    request = request_of(cells, tmp_path / "speeds.json", images=1e6, slot=GPU, max_concurrency=1)
    for _ in range(2):
        assert tune(request, ask=workers) is None
    assert len(workers.asked) == 2 * 4


def test_cells_that_are_timed_never_share_a_gpu(make_cell: Callable[..., Cell], tmp_path: Path, gpu: None) -> None:
    workers = FakeWorkers({"a": 5_000}, {1: 1.0, 2: 1.8, 4: 3.0})
    cells = [make_cell("a", seed=seed, precision="bf16") for seed in range(8)]
    found = on_a_gpu(tmp_path, workers, cells, timed=True)
    assert found.concurrency == 1
    assert {concurrency for _, concurrency, _, _ in workers.asked} == {1}
    assert {mode.memory_share for mode in found.modes.values()} == {1.0}


def test_to_share_a_device_is_refused_where_speed_is_measured(project: Path) -> None:
    (project / "timed.yaml").write_text("execution: {timed: true}\n" + suite_text(["resnet18"]))
    result = CliRunner().invoke(cli, ["run", "timed.yaml", "--device", "cpu", "--slots-per-device", "2"])
    assert result.exit_code == 2
    assert "timed: true" in result.output


def test_no_trial_begins_after_its_bound(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "MAX_TRIALS_S", -1.0)
    asked: list[Trial] = []

    def workers(trial: Trial, **_: object) -> list[TrialSpeed | Failure]:
        asked.append(trial)
        return []

    assert tune(request_of([make_cell()], tmp_path / "speeds.json", images=200_000), ask=workers) is None
    assert not asked
