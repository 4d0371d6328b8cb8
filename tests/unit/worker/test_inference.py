"""Timing a finished net, on a tiny one."""

import math

import pytest
import torch

from bench.errors import ModelError
from bench.values import Mode
from bench.worker import inference
from bench.workspace.requests import TimeNet


def request(model: str = "shufflenet_v2_x0_5") -> TimeNet:
    return TimeNet(
        model=model,
        stem="small",
        input_size=8,
        num_classes=3,
        mode=Mode(threads=1),
        device="cpu",
        hardware="a processor",
    )


def test_a_net_has_a_latency_and_a_throughput_with_their_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "WINDOW_S", 0.0)
    monkeypatch.setattr(inference, "WARM_UP_S", 0.0)
    speed = inference.measure(request())
    figures = (speed.latency_ms, speed.latency_iqr_ms, speed.images_per_s, speed.images_per_s_iqr)
    assert all(math.isfinite(figure) and figure >= 0 for figure in figures)
    assert speed.latency_ms > 0
    assert (speed.batch, speed.repeats) == (64, inference.MIN_REPEATS)
    assert speed.conditions == "a processor, 1 thread, fp32"


def test_passes_are_timed_until_there_are_enough_and_they_took_long_enough() -> None:
    calls: list[int] = []
    times = inference._times(lambda: calls.append(1), torch.device("cpu"), at_least_s=0.0, at_least=4)
    assert len(times) == len(calls) == 4
    assert sum(inference._times(lambda: None, torch.device("cpu"), at_least_s=0.001, at_least=1)) >= 0.001


def test_a_net_that_cannot_run_is_named() -> None:
    with pytest.raises(ModelError, match="no_such_net"):
        inference.measure(request("no_such_net.py:net"))
