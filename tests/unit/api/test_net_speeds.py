"""Speeds of nets from the command to the columns of a table; a function stands for the worker."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.cells import suite_text

from bench.api import net_speeds
from bench.api.measuring import is_suite, try_models
from bench.api.net_speeds import SpeedOptions, time_nets
from bench.api.reports import render_suites
from bench.errors import BenchError, UsageError
from bench.report.model import Layout
from bench.scheduler import costs
from bench.scheduler import net_speeds as kept
from bench.suite import load_suite
from bench.values import Cost, Failure, NetSpeed
from bench.workspace.locks import shared_use
from bench.workspace.paths import devices_lock
from bench.workspace.requests import Measure, TimeNet

CPU = SpeedOptions(device="cpu")


def answer(requests: Sequence[TimeNet], **_: object) -> list[NetSpeed | Failure]:
    """What a worker answers, for whom vgg11 is broken."""
    [request] = requests
    if request.model == "vgg11":
        return [Failure(error="vgg11 could not be run")]
    return [
        NetSpeed(
            latency_ms=1.5,
            latency_iqr_ms=0.1,
            images_per_s=1234.0,
            images_per_s_iqr=9.0,
            batch=64,
            repeats=5,
            device="a processor",
            precision=request.mode.precision,
            threads=request.mode.threads,
        )
    ]


@pytest.fixture
def file(project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A suite of two nets; workers are replaced."""
    monkeypatch.setattr(kept, "call_worker", answer)
    cost = Cost(params=1, flops=1, conv_linear_macs=1, torch_macs=1)
    monkeypatch.setattr(costs, "call_worker", lambda requests, **_: [cost for _ in requests])
    (project / "two.yaml").write_text(suite_text(["resnet18", "vgg11"], name="two"))
    return "two.yaml"


def test_a_suite_is_measured_and_one_net_that_fails_does_not_stop_others(file: str) -> None:
    nets, failures = try_models([file, "resnet18"], speed=CPU)
    assert [(net.model, net.input_size, bool(net.speed)) for net in nets] == [
        ("resnet18", 8, True),
        ("vgg11", 8, False),
        ("resnet18", 224, True),
    ]
    assert [str(failure) for failure in failures.values()] == ["vgg11 could not be run"]


def test_the_input_of_a_suite_s_nets_is_that_of_the_suite(file: str) -> None:
    assert is_suite(file)
    with pytest.raises(UsageError, match=r"two.yaml says the input of its nets"):
        try_models([file], input_size=64)


def test_the_report_shows_what_was_measured_where_and_what_was_not(file: str) -> None:
    suite, layout = load_suite(file), Layout(columns=("model", "latency", "throughput"))
    before, _ = render_suites([suite], None, "markdown", False, layout=layout)
    assert "bench measure two.yaml --speed measures them here" in before
    try_models([file], speed=CPU)
    for format_, figure in (("markdown", "1 234"), ("plain", "1 234"), ("latex", r"1\,234"), ("html", "1 234")):
        text, _ = render_suites([suite], None, format_, False, layout=layout)
        assert "1.50" in text
        assert figure in text
        assert "Latency and throughput: median of repeats in eval mode, alone on a processor, 1 thread, fp32." in text
        assert "Missing latency and throughput: bench measure two.yaml" in text
    plain, _ = render_suites([suite], None, "plain", False)
    assert "atency" not in plain


def test_speed_is_not_measured_beside_a_run(file: str) -> None:
    net = Measure(model="resnet18", stem="small", input_size=8, num_classes=10)
    with (
        shared_use(devices_lock(), stopped=lambda: False, waiting=lambda: None),
        pytest.raises(BenchError, match="bench uses this machine now"),
    ):
        time_nets([(net, "fp32")], CPU)
    assert net_speeds.time_nets([(net, "fp32")], CPU)
