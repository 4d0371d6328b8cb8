"""Modes: chosen by measured speed, the default unless another is clearly faster."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.scheduler.devices import Slot
from bench.scheduler.modes import Measurement, allocate, best, candidates, default_mode, fits, is_allowed, levels
from bench.values import Cell, Execution, Mode

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


def test_the_default_is_tried_first_with_the_threads_of_the_slot(make_cell: Callable[..., Cell]) -> None:
    for slot in (CPU, GPU):
        cell = make_cell(precision="auto")
        assert candidates(cell, slot, Execution())[0] == replace(default_mode(cell, slot), threads=slot.threads)


def test_the_default_mode_on_a_cpu_has_one_thread_whatever_share_of_the_cores_a_slot_has(
    make_cell: Callable[..., Cell],
) -> None:
    modes = {default_mode(make_cell(), replace(CPU, threads=threads)) for threads in (1, 2, 64)}
    assert {mode.threads for mode in modes} == {1}


def test_is_allowed_leaves_what_the_suite_decides_to_the_suite() -> None:
    mode = Mode(threads=2, memory_format="contiguous", compiled=True)
    assert is_allowed(mode, Execution())
    assert is_allowed(mode, Execution(memory_format="contiguous", compile="always"))
    assert not is_allowed(mode, Execution(memory_format="channels_last"))
    assert not is_allowed(mode, Execution(compile="never"))


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
    ("device", "max_concurrency", "expected"), [("cpu", 6, [4, 2, 1]), ("cuda", 4, [1, 2, 4]), ("cpu", 1, [1])]
)
def test_numbers_of_cells_side_by_side_are_powers_of_two_the_default_first(
    device: str, max_concurrency: int, expected: list[int]
) -> None:
    assert levels(device, max_concurrency=max_concurrency) == expected
