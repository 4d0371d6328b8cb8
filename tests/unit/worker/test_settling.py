"""Statistics of batch norm that are settled for a test and leave training as it was."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from helpers.cells import MakeCell
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.values import Attempt, Mode
from bench.worker.data.batches import TrainBatches
from bench.worker.evaluate import make_evaluator
from bench.worker.settling import settled, unsettled
from bench.worker.speed import random_dataset
from bench.worker.state import Training
from bench.worker.step import Step
from bench.worker.train import train_epoch
from bench.workspace.journal import Journal

CPU = torch.device("cpu")


class Net(nn.Module):
    """A convolution, a batch norm of a momentum, dropout and a head."""

    def __init__(self, momentum: float | None) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=momentum)
        self.rest = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Linear(8 * 6 * 6, 10))

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.rest(self.norm(self.conv(images)))
        return scores

    def statistics(self) -> tuple[Tensor, Tensor, int]:
        mean, variance, count = self.norm.running_mean, self.norm.running_var, self.norm.num_batches_tracked
        assert mean is not None
        assert variance is not None
        assert count is not None
        return mean, variance, int(count)


def net_of(momentum: float | None) -> Net:
    torch.manual_seed(0)
    return Net(momentum)


@contextmanager
def in_training(net: nn.Module, make_cell: MakeCell, folder: Path) -> Iterator[tuple[Training, TrainBatches]]:
    data = random_dataset(images=64, size=8, classes=10)
    attempt = Attempt(
        cell=make_cell(), number=1, folder=str(folder), data_home="", device="cpu", mode=Mode(threads=1), suite="",
        series="", created_ms=0,
    )  # fmt: skip
    with Journal(folder / "journal.jsonl") as journal:
        training = Training(
            attempt=attempt, data=data, device=CPU, journal=journal, stop=lambda: False, net=net,
            optimizer=torch.optim.SGD(net.parameters(), lr=0.01), fingerprint={}, save_after=math.inf,
        )  # fmt: skip
        yield training, TrainBatches(data, batch_size=16, augment=(), seed=0, device=CPU)


@given(momentum=st.floats(0.0001, 1.0), steps=st.integers(0, 100_000))
def test_unsettled_is_where_the_initial_values_weigh_more_than_a_hundredth(momentum: float, steps: int) -> None:
    assert bool(unsettled(net_of(momentum), steps)) == ((1 - momentum) ** steps > 0.01)


def test_unsettled_leaves_out_what_training_does_not_move() -> None:
    assert unsettled(net_of(None), 1) == []
    assert unsettled(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), 1) == []

    class Frozen(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> "Frozen":
            super().train(False)
            return self

    assert unsettled(nn.Sequential(Frozen(3, momentum=0.001)), 1) == []


def test_settled_statistics_are_the_average_over_the_training_batches(make_cell: MakeCell, tmp_path: Path) -> None:
    net = net_of(0.001)
    with in_training(net, make_cell, tmp_path) as (training, batches):
        with torch.no_grad():
            features = [net.conv(images) for images, _ in batches.epoch(0)]
        means = torch.stack([each.mean(dim=(0, 2, 3)) for each in features]).mean(dim=0)
        variances = torch.stack([each.var(dim=(0, 2, 3)) for each in features]).mean(dim=0)
        with settled(training, batches):
            assert not any(layer.training for layer in net.modules())
            mean, variance, _ = net.statistics()
            torch.testing.assert_close(mean, means)
            torch.testing.assert_close(variance, variances)
        mean, _, count = net.statistics()
        assert torch.equal(mean, torch.zeros(8)), "they are training's own again"
        assert (net.norm.momentum, count) == (0.001, 0)


def test_a_failing_net_gets_its_statistics_back(make_cell: MakeCell, tmp_path: Path) -> None:
    net = net_of(0.001)
    with in_training(net, make_cell, tmp_path) as (training, batches):
        net.rest.append(nn.Linear(3, 3))
        with pytest.raises(RuntimeError), settled(training, batches):
            pass
        assert (net.norm.momentum, net.statistics()[2]) == (0.001, 0)


@pytest.mark.parametrize("momentum", [0.1, 0.001])
def test_no_bit_of_training_depends_on_tests(make_cell: MakeCell, tmp_path: Path, momentum: float) -> None:
    found = []
    for tests in (0, 2):
        net, folder = net_of(momentum), tmp_path / str(tests)
        with in_training(net, make_cell, folder) as (training, batches):
            step = Step(net, training.optimizer, batches.assemble, mode=Mode(threads=1), device=CPU, label_smoothing=0)
            evaluator = make_evaluator(training, batches)
            for epoch in range(2):
                training.epochs_done, training.steps_done = epoch, 0
                train_epoch(training, batches, step, [0.01])
                for _ in range(tests):
                    evaluator()
        found.append(net.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_a_net_whose_statistics_hardly_move_is_tested_with_what_it_trains_with(
    make_cell: MakeCell, tmp_path: Path
) -> None:
    found = {}
    for momentum in (None, 0.0003):
        net = net_of(momentum)
        nn.init.constant_(net.conv.weight, 1.0)  # far from the mean of 0 that running statistics start with
        folder = tmp_path / str(momentum)
        with in_training(net, make_cell, folder) as (training, batches):
            step = Step(net, training.optimizer, batches.assemble, mode=Mode(threads=1), device=CPU, label_smoothing=0)
            train_epoch(training, batches, step, [0.0])
            metrics, _ = make_evaluator(training, batches)()
        found[momentum] = metrics["test/loss"]
    assert found[0.0003] == pytest.approx(found[None], rel=0.01)
