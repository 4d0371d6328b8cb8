"""How cells are computed: chosen by measured speed, the default unless another is clearly faster, and kept."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import suite_text
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import cli
from bench.cli.run import Session, lay_out
from bench.datasets.prepared import Prepared
from bench.scheduler import devices, speeds, tuning
from bench.scheduler.devices import GPU_USABLE, Slot
from bench.scheduler.estimates import makespan
from bench.scheduler.modes import Allocation, Measurement, allocate, best, candidates, default_mode, fits, levels
from bench.scheduler.plan import make_plan
from bench.values import Cell, Execution, Mode, Suite

CPU = Slot(name="cpu 0", device="cpu", visible="", threads=2)
GPU = Slot(name="gpu 0", device="cuda", visible="0", threads=4)


def speed(rate: float, concurrency: int = 1, warm_up_s: float = 0.0, **mode: object) -> Measurement:
    made = Mode(**{"threads": 2, **mode})  # type: ignore[arg-type]
    return Measurement(mode=made, concurrency=concurrency, images_per_s=rate, warm_up_s=warm_up_s, peak_mb=500.0)


def test_a_recipe_that_names_its_precision_is_never_computed_in_another(make_cell: Callable[..., Cell]) -> None:
    for device in (CPU, GPU):
        modes = candidates(make_cell(precision="fp32"), device, Execution())
        assert {mode.precision for mode in modes} == {"fp32"}


def test_a_recipe_that_leaves_precision_open_is_tried_in_both(make_cell: Callable[..., Cell]) -> None:
    cell = make_cell(precision="auto")
    assert {mode.precision for mode in candidates(cell, CPU, Execution())} == {"fp32", "bf16"}
    assert default_mode(cell, CPU).precision == "fp32"
    assert default_mode(cell, GPU).precision == "bf16"


def test_the_default_is_tried_first(make_cell: Callable[..., Cell]) -> None:
    for slot in (CPU, GPU):
        cell = make_cell(precision="auto")
        assert candidates(cell, slot, Execution())[0] == default_mode(cell, slot)


def test_what_the_suite_fixes_is_not_tried(make_cell: Callable[..., Cell]) -> None:
    modes = candidates(make_cell(), CPU, Execution(memory_format="contiguous", compile="always"))
    assert [(mode.memory_format, mode.compiled) for mode in modes] == [("contiguous", True)]


def test_a_step_is_captured_on_a_gpu_only(make_cell: Callable[..., Cell]) -> None:
    assert not any(mode.captured for mode in candidates(make_cell(), CPU, Execution()))
    assert any(mode.captured for mode in candidates(make_cell(), GPU, Execution()))


def test_a_mode_that_is_hardly_faster_replaces_no_default() -> None:
    default, other = speed(100), speed(109, memory_format="contiguous")
    assert best([default, other], images=1000) == default


def test_a_mode_that_is_clearly_faster_is_chosen() -> None:
    default, other = speed(100), speed(120, memory_format="contiguous")
    assert best([default, other], images=1000) == other


def test_a_mode_that_is_slow_to_begin_is_chosen_only_for_long_cells() -> None:
    default, compiled = speed(100), speed(150, warm_up_s=60.0, compiled=True)
    assert best([default, compiled], images=1_000) == default
    assert best([default, compiled], images=1_000_000) == compiled


def test_one_cell_gets_all_cores_and_many_get_one_each() -> None:
    speeds = [speed(100, concurrency=2, threads=1), speed(180, concurrency=1)]
    one = allocate({"a": (1000, speeds)}, choices=[1], devices=1)
    many = allocate(dict.fromkeys("abcd", (1000, speeds)), choices=[2, 1], devices=1)
    assert one is not None
    assert many is not None
    assert (one.concurrency, one.modes["a"].threads) == (1, 2)
    assert (many.concurrency, many.modes["a"].threads) == (2, 1)


def test_three_cells_run_one_after_the_other_where_two_at_a_time_would_leave_a_core_idle() -> None:
    speeds = [speed(100, concurrency=2, threads=1), speed(190, concurrency=1)]
    found = allocate(dict.fromkeys("abc", (1000, speeds)), choices=[2, 1], devices=1)
    assert found is not None
    assert found.concurrency == 1, "15.8 s and not 20 s"


def test_a_number_of_cells_that_some_net_cannot_share_is_not_chosen() -> None:
    work = {"a": (1000, [speed(100), speed(90, concurrency=2)]), "b": (1000, [speed(100)])}
    found = allocate(work, choices=[1, 2], devices=1)
    assert found is not None
    assert found.concurrency == 1


def test_cells_share_a_gpu_only_where_their_peaks_fit() -> None:
    assert fits(2, peak_mb=30_000, total_mb=80_000)
    assert not fits(2, peak_mb=38_000, total_mb=80_000)


@pytest.mark.parametrize(
    ("device", "most", "expected"), [("cpu", 6, [4, 2, 1]), ("cuda", 4, [1, 2, 4]), ("cpu", 1, [1])]
)
def test_numbers_of_cells_side_by_side_are_powers_of_two_the_default_first(
    device: str, most: int, expected: list[int]
) -> None:
    assert levels(device, most=most) == expected


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=30), st.integers(1, 8))
def test_the_longest_first_ends_within_twice_the_best_that_can_be(seconds: list[float], slots: int) -> None:
    best_case = max(sum(seconds) / slots, *seconds)
    # Graham 1966: no list schedule takes longer than 2 - 1/m times the optimum
    assert best_case <= makespan(seconds, slots) * (1 + 1e-9)
    assert makespan(seconds, slots) <= (2 - 1 / slots) * best_case * (1 + 1e-9)


def choose(cells: list[Cell], cache: Path, images: float, said: list[str], **execution: object) -> object:
    return tuning.choose(
        cells,
        {cell.id: images for cell in cells},
        {cell.id: 10 for cell in cells},
        slot=CPU,
        devices=1,
        execution=Execution(**execution),  # type: ignore[arg-type]
        cache=cache,
        most=2,
        note=said.append,
    )


def test_short_cells_are_not_worth_a_trial(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    said: list[str] = []
    assert choose([make_cell()], tmp_path / "speeds.json", images=1_000, said=said) is None
    assert said == []
    assert not (tmp_path / "speeds.json").exists()


def test_speeds_are_measured_in_real_workers_and_known_the_next_time(
    make_cell: Callable[..., Cell], tmp_path: Path, project: Path, tiny_models: Path
) -> None:
    cache, said = tmp_path / "cache" / "speeds.json", []  # type: tuple[Path, list[str]]
    cells = [make_cell("nets.py:net", precision="auto", seed=seed) for seed in range(2)]
    first = choose(cells, cache, images=100_000, said=said)
    answers = json.loads(cache.read_text()).values()
    assert len(answers) == 2 * 2 * 2, "two layouts, two precisions, one cell alone and two side by side"
    assert all(answer["images_per_s"] > 0 and answer["peak_mb"] > 0 for answer in answers)
    assert len(said) == 1
    assert "8 short trials" in said[0]
    assert choose(cells, cache, images=100_000, said=said) == first
    assert len(said) == 1, "nothing is measured twice"


def test_a_net_that_fails_in_a_trial_fails_no_run(
    make_cell: Callable[..., Cell], tmp_path: Path, project: Path, tiny_models: Path
) -> None:
    cells = [make_cell("nets.py:Failing", seed=seed) for seed in range(2)]
    assert choose(cells, tmp_path / "speeds.json", images=100_000, said=[]) is None


def test_a_damaged_file_of_speeds_is_measured_anew(
    make_cell: Callable[..., Cell], tmp_path: Path, project: Path, tiny_models: Path
) -> None:
    (tmp_path / "speeds.json").write_text("{")
    assert choose([make_cell("nets.py:net")], tmp_path / "speeds.json", images=100_000, said=[]) is not None
    assert json.loads((tmp_path / "speeds.json").read_text())


class FakeWorkers:
    """Answers trials as a GPU of 80 GB would: slower beside others, out of memory beyond its share."""

    def __init__(self, peaks: dict[str, float], speedup: dict[int, float]) -> None:
        self.peaks, self.speedup = peaks, speedup
        self.asked: list[tuple[str, int, bool, str]] = []

    def __call__(
        self, command: str, request: dict[str, Any], *, concurrency: int, threads: int, visible: str
    ) -> list[dict[str, Any]]:
        model, mode = request["cell"]["model"], request["mode"]
        self.asked.append((model, concurrency, mode["captured"], visible))
        peak = self.peaks[model] * (1.5 if mode["captured"] else 1)
        if peak > mode["memory_share"] * 80_000:
            return [{"error": "OutOfMemoryError: CUDA out of memory."}] * concurrency
        rate = 1000.0 * self.speedup[concurrency] / concurrency * (1.3 if mode["captured"] else 1)
        return [{"images_per_s": rate, "warm_up_s": 1.0, "peak_mb": peak}] * concurrency


def on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: FakeWorkers, cells: list[Cell], **execution: object
) -> Allocation:
    monkeypatch.setattr(speeds, "call_workers_together", workers)
    monkeypatch.setattr(tuning, "gpu_memory_mb", lambda visible: 80_000.0)
    monkeypatch.setattr(speeds, "device_name", lambda slot: "a GPU")
    found = tuning.choose(
        cells,
        {cell.id: 1e6 for cell in cells},
        {cell.id: 10 for cell in cells},
        slot=GPU,
        devices=1,
        execution=Execution(memory_format="channels_last", compile="never", **execution),  # type: ignore[arg-type]
        cache=tmp_path / "speeds.json",
        most=4,
    )
    assert found is not None
    return found


def test_small_cells_share_a_gpu_and_each_has_its_part_of_the_memory(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = FakeWorkers({"a": 5_000}, {1: 1.0, 2: 1.8, 4: 3.0})
    cells = [make_cell("a", seed=seed, precision="bf16") for seed in range(8)]
    found = on_a_gpu(monkeypatch, tmp_path, workers, cells)
    assert found.concurrency == 4
    assert {(mode.captured, mode.memory_share) for mode in found.modes.values()} == {(True, round(GPU_USABLE / 4, 3))}


def test_fewer_cells_share_a_gpu_where_a_measured_peak_does_not_fit(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = FakeWorkers({"small": 5_000, "large": 22_000}, {1: 1.0, 2: 1.8, 4: 3.0})
    cells = [make_cell(model, seed=seed, precision="bf16") for model in ("small", "large") for seed in range(4)]
    found = on_a_gpu(monkeypatch, tmp_path, workers, cells)
    assert found.concurrency == 2
    assert ("large", 4, False, "0") not in workers.asked, "what does not fit is not tried"


def test_a_mode_that_needs_more_memory_is_judged_by_its_own_peak(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = FakeWorkers({"a": 30_000}, {1: 1.0, 2: 1.8, 4: 3.0})
    cells = [make_cell("a", seed=seed, precision="bf16") for seed in range(8)]
    found = on_a_gpu(monkeypatch, tmp_path, workers, cells)
    assert ("a", 2, False, "0") in workers.asked
    assert ("a", 2, True, "0") not in workers.asked, "two of 45 GB do not fit in 80"
    assert (found.concurrency, {mode.captured for mode in found.modes.values()}) == (2, {False})


@pytest.mark.parametrize(("images", "compiled"), [(2_000_000.0, True), (500_000.0, False)])
def test_compiling_is_tried_and_taken_where_a_cell_is_long_enough_to_earn_it_back(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: float, compiled: bool
) -> None:
    def workers(command: str, request: dict[str, Any], **_: object) -> list[dict[str, Any]]:
        fast = request["mode"]["compiled"]
        return [{"images_per_s": 1500.0 if fast else 1000.0, "warm_up_s": 60.0 if fast else 1.0, "peak_mb": 500.0}]

    monkeypatch.setattr(speeds, "call_workers_together", workers)
    said: list[str] = []
    cell = make_cell()
    found = tuning.choose(
        [cell], {cell.id: images}, {cell.id: 10}, slot=CPU, devices=1, execution=Execution(),
        cache=tmp_path / "speeds.json", most=1, note=said.append,
    )  # fmt: skip
    assert found is not None
    assert found.modes[cell.id].compiled == compiled
    assert any("torch.compile" in sentence for sentence in said) == compiled


def test_a_trial_that_failed_is_made_again_the_next_time(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = FakeWorkers({"a": 90_000}, {1: 1.0})
    cells = [make_cell("a", precision="bf16")]
    for _ in range(2):
        monkeypatch.setattr(speeds, "call_workers_together", workers)
        monkeypatch.setattr(speeds, "device_name", lambda slot: "a GPU")
        found = tuning.choose(
            cells, {cells[0].id: 1e6}, {cells[0].id: 10}, slot=GPU, devices=1, execution=Execution(),
            cache=tmp_path / "speeds.json", most=1,
        )  # fmt: skip
        assert found is None
    assert len(workers.asked) == 2 * 4


def test_cells_that_are_timed_never_share_a_gpu(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = FakeWorkers({"a": 5_000}, {1: 1.0, 2: 1.8, 4: 3.0})
    cells = [make_cell("a", seed=seed, precision="bf16") for seed in range(8)]
    found = on_a_gpu(monkeypatch, tmp_path, workers, cells, timed=True)
    assert found.concurrency == 1
    assert {concurrency for _, concurrency, _, _ in workers.asked} == {1}
    assert {mode.memory_share for mode in found.modes.values()} == {1.0}


def test_cells_that_are_timed_never_share_the_cpu(
    make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cpu_cores", lambda: 4)
    suite = make_suite(*(make_cell(seed=seed) for seed in range(4)))
    for timed, expected in ((False, 4), (True, 1)):
        asked = replace(suite, execution=Execution(timed=timed))
        session = Session(
            asked, None, make_plan(asked, {}, {}), {}, {suite.cells[0].data_key: Prepared(project, "", 1437, 10)}
        )
        assert len(lay_out(session, "cpu", None)[0]) == expected


def test_to_share_a_device_is_refused_where_speed_is_measured(project: Path) -> None:
    (project / "timed.yaml").write_text("execution: {timed: true}\n" + suite_text(["resnet18"]))
    result = CliRunner().invoke(cli, ["run", "timed.yaml", "--device", "cpu", "--slots-per-device", "2"])
    assert result.exit_code == 2
    assert "timed: true" in result.output
