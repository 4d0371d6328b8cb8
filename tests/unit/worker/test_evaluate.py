"""Testing a net: its metrics by hand, and tests that are recorded and replayed, with a stand-in for a CUDA graph."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.values import Mode
from bench.worker.data.batches import TestBatches
from bench.worker.data.pack import PackedDataset
from bench.worker.evaluate import Evaluator, ranks, top_classes
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


SCORES = st.integers(2, 8).flatmap(
    lambda classes: st.lists(
        st.lists(
            st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 1.0, math.inf, math.nan]), min_size=classes, max_size=classes
        ),
        min_size=1,
        max_size=6,
    )
)
"""Rows of scores of few values, so that many are equal."""


@given(rows=SCORES, data=st.data())
def test_ranks_and_top_classes_are_one_order_and_the_first_is_argmax(
    rows: list[list[float]], data: st.DataObject
) -> None:
    scores = torch.tensor(rows)
    labels = torch.tensor([data.draw(st.integers(0, scores.shape[1] - 1)) for _ in rows])
    order, found = top_classes(scores), ranks(scores, labels)
    for row, label, rank in zip(order.tolist(), labels.tolist(), found.tolist(), strict=True):
        assert (row.index(label) if label in row else None) == (rank if rank < 5 else None)
    plain = np.nan_to_num(scores.numpy(), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    assert order[:, 0].tolist() == plain.argmax(axis=1).tolist()


def test_ranks_of_a_net_that_knows_nothing_are_those_of_one_class() -> None:
    labels = torch.arange(10).repeat(3)
    assert ranks(torch.zeros(30, 10), labels).tolist() == labels.tolist()


@pytest.mark.parametrize("images", [1, 8192, 8193])
def test_ranks_are_found_in_parts(images: int) -> None:
    labels = torch.arange(images) % 3
    assert ranks(torch.eye(3)[labels], labels).sum() == 0
    assert torch.equal(top_classes(torch.eye(3)[labels])[:, 0], labels)


def test_evaluator_computes_the_head_of_a_bf16_net_in_fp32_and_leaves_the_net_as_it_was() -> None:
    torch.manual_seed(0)
    net = Net()
    batches = TestBatches(random_dataset(images=64, size=8, classes=10), batch_size=32, device=CPU)
    _, scores = Evaluator(net, batches, mode=Mode(threads=1, precision="bf16"), beat=lambda: None)()
    assert not torch.equal(scores, scores.bfloat16().float()), "more digits than bf16 has"
    _, plain = Evaluator(net, batches, mode=Mode(threads=1), beat=lambda: None)()
    torch.testing.assert_close(scores, plain, rtol=0.05, atol=0.05)
    assert not net.head._forward_hooks
