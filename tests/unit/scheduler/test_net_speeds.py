"""What is kept of measured speeds, and which of it a table shows; a function stands for the worker."""

from collections.abc import Sequence
from pathlib import Path

from bench.scheduler.devices import Slot
from bench.scheduler.net_speeds import Conditions, known_speeds, time_net
from bench.values import Failure, NetSpeed
from bench.workspace.requests import Measure, TimeNet

NET = Measure(model="resnet18", stem="small", input_size=32, num_classes=10)
OTHER = Measure(model="vgg11", stem="small", input_size=32, num_classes=10)
SLOT = Slot(name="cpu 0", device="cpu", visible="", threads=4)


class Timer:
    """Answers like a worker, and remembers what it was asked."""

    def __init__(self, *, fails: bool = False) -> None:
        self.asked: list[TimeNet] = []
        self.fails = fails

    def __call__(self, requests: Sequence[TimeNet], *, threads: int, visible: str) -> list[NetSpeed | Failure]:
        assert (threads, visible) == (requests[0].mode.threads, "")
        self.asked += requests
        return [Failure(error="broken") if self.fails else answer_to(each, len(self.asked)) for each in requests]


def answer_to(request: TimeNet, latency_ms: float) -> NetSpeed:
    return NetSpeed(
        latency_ms=latency_ms,
        latency_iqr_ms=0.1,
        images_per_s=100.0,
        images_per_s_iqr=1.0,
        batch=64,
        repeats=5,
        device=request.hardware,
        precision=request.mode.precision,
        threads=request.mode.threads,
    )


def test_a_speed_is_measured_once_unless_it_is_asked_for_again(tmp_path: Path) -> None:
    timer, path = Timer(), tmp_path / "speeds.json"
    one = Conditions(slot=SLOT, threads=1)
    first = time_net(NET, "fp32", one, path, ask=timer)
    assert time_net(NET, "auto", one, path, ask=timer) == first, "auto is fp32 on a CPU"
    assert len(timer.asked) == 1
    assert time_net(NET, "fp32", one, path, ask=timer, again=True) != first
    time_net(NET, "fp32", Conditions(slot=SLOT, threads=2), path, ask=timer)
    time_net(NET, "bf16", one, path, ask=timer)
    time_net(OTHER, "fp32", one, path, ask=timer)
    assert len(timer.asked) == 5


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    timer, path = Timer(fails=True), tmp_path / "speeds.json"
    for _ in range(2):
        assert time_net(NET, "fp32", Conditions(slot=SLOT, threads=1), path, ask=timer) == Failure(error="broken")
    assert len(timer.asked) == 2
    assert not path.exists()


def test_a_table_shows_the_conditions_that_were_measured_last_and_never_two(tmp_path: Path) -> None:
    timer, path = Timer(), tmp_path / "speeds.json"
    assert known_speeds([(NET, "fp32")], path) == [None]
    time_net(OTHER, "fp32", Conditions(slot=SLOT, threads=1), path, ask=timer)
    time_net(NET, "fp32", Conditions(slot=SLOT, threads=2), path, ask=timer)
    shown = known_speeds([(NET, "fp32"), (OTHER, "fp32"), (NET, "auto"), (NET, "bf16")], path)
    assert [speed and speed.threads for speed in shown] == [2, None, 2, None]
