"""Testing a net: its metrics by hand, and tests that are recorded and replayed, with a stand-in for a CUDA graph."""

import math

import pytest
import torch
from torch import Tensor, nn

from bench.values import Mode
from bench.worker.data.batches import TestBatches
from bench.worker.data.pack import PackedDataset
from bench.worker.evaluate import Evaluator
from bench.worker.speed import random_dataset
from bench.worker.step import Work

CPU = torch.device("cpu")


class Net(nn.Module):
    """A small net with batch statistics and dropout, which a test must not use."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3))
        self.head = nn.Linear(8 * 6 * 6, 10)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(self.layers(images))
        return scores


@pytest.mark.parametrize("batch_size", [16, 64, 100], ids=["a smaller rest", "one batch", "less than a batch"])
def test_evaluator_replays_give_the_scores_of_a_plain_test(batch_size: int) -> None:
    torch.manual_seed(0)
    data: PackedDataset = random_dataset(images=60 if batch_size == 16 else 64, size=8, classes=10)
    batches = TestBatches(data, batch_size=batch_size, device=CPU)
    net = Net()
    replays: list[int] = []

    def recorder(work: Work, prepare: Work) -> Work:
        prepare()

        def replay() -> None:
            work()
            replays.append(1)

        return replay

    plain = Evaluator(net, batches, mode=Mode(threads=1), beat=lambda: None)
    recorded = Evaluator(net, batches, mode=Mode(threads=1, captured=True), beat=lambda: None, record=recorder)
    for _ in range(2):
        metrics, scores = plain()
        again, same = recorded()
        assert again == metrics
        assert torch.equal(scores, same)
        net.head.weight.data.mul_(1.5)  # the next pass reads the weights as they are then
    assert len(replays) == 2 * (len(data.test_labels) // batch_size)


def test_evaluator_beats_after_each_batch() -> None:
    beats: list[int] = []
    batches = TestBatches(random_dataset(images=64, size=8, classes=10), batch_size=20, device=CPU)
    Evaluator(Net(), batches, mode=Mode(threads=1), beat=lambda: beats.append(1))()
    assert len(beats) == 4


class Fixed(nn.Module):
    """Gives the same scores for each image, whatever it shows."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = torch.tensor(scores)

    def forward(self, images: Tensor) -> Tensor:
        return self.scores.expand(len(images), -1)


def test_evaluator_metrics_are_those_of_their_definitions() -> None:
    batches = TestBatches(random_dataset(images=64, size=8, classes=10), batch_size=20, device=CPU)
    scores = [float(number) for number in range(10)]  # the likeliest class is 9, the five likeliest are 5 to 9
    metrics, _ = Evaluator(Fixed(scores), batches, mode=Mode(threads=1), beat=lambda: None)()
    labels = batches.labels.tolist()
    total = math.log(sum(map(math.exp, scores)))
    assert metrics["test/loss"] == pytest.approx(sum(total - scores[label] for label in labels) / 64)
    assert metrics["test/top1"] == 100 * labels.count(9) / 64
    assert metrics["test/top5"] == 100 * sum(label >= 5 for label in labels) / 64


def test_evaluator_counts_every_class_as_a_hit_where_there_are_fewer_than_five() -> None:
    batches = TestBatches(random_dataset(images=16, size=8, classes=3), batch_size=20, device=CPU)
    metrics, scores = Evaluator(Fixed([0.0, 1.0, 2.0]), batches, mode=Mode(threads=1), beat=lambda: None)()
    assert metrics["test/top5"] == 100.0
    assert scores.shape == (16, 3)


def test_evaluator_changes_no_buffer_and_no_random_state() -> None:
    batches = TestBatches(random_dataset(images=16, size=8, classes=10), batch_size=20, device=CPU)
    net = Net().train()
    buffers, state = [buffer.clone() for buffer in net.buffers()], torch.get_rng_state()
    Evaluator(net, batches, mode=Mode(threads=1), beat=lambda: None)()
    assert all(map(torch.equal, buffers, net.buffers()))
    assert torch.equal(state, torch.get_rng_state())
