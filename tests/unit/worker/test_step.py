"""Steps and tests that are recorded and replayed, on the CPU: work that is done anew stands in for a graph."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, with_defaults
from bench.errors import ModelError
from bench.values import Mode
from bench.worker import checkpoint
from bench.worker.data.batches import PackedInputs, TestBatches, TrainBatches
from bench.worker.data.pack import PackedDataset
from bench.worker.evaluate import Evaluator
from bench.worker.optim import build_optimizer
from bench.worker.speed import random_dataset
from bench.worker.step import WARM_UP, CapturedStep, Snapshot, Step, Work, host_rng_state
from bench.workspace.paths import CellFolder

CPU = torch.device("cpu")
RATE = 0.0625
"""A power of two: the same as the float32 of a captured step and as the float64 of a plain one."""
OPTIMIZER_OPTIONS: list[tuple[str, dict[str, object]]] = [
    ("sgd", {"nesterov": True, "weight_decay": 5e-4}),
    ("sgd", {"momentum": 0.0}),
    ("adamw", {}),
]


class Net(nn.Module):
    """Everything that training changes: weights, batch statistics, a buffer that is not saved, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3))
        self.head = nn.Linear(8 * 6 * 6, 10)
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.add_(1)
        scores: Tensor = self.head(self.layers(images)) * (1 + 0.01 * self.seen)
        return scores


def do_again(work: Work, ready: Work) -> Work:
    """In place of a graph: the same warm-up, and a replay that does the work itself."""
    for _ in range(WARM_UP):
        work()
    ready()
    return work


class Side:
    """A net in training in one form of step."""

    def __init__(self, form: Callable[..., Step], optimizer: str, options: dict[str, object], **others: object) -> None:
        torch.manual_seed(0)
        self.net = Net().train()
        choice = with_defaults(optimizer, options, OPTIMIZERS[optimizer].options)  # type: ignore[arg-type]
        self.optimizer = build_optimizer(self.net.parameters(), choice)
        augment = tuple(
            with_defaults(name, {}, spec.options) for name, spec in AUGMENTATIONS.items() if not spec.of_files
        )
        data = random_dataset(images=64, size=8, classes=10)
        self.batches = TrainBatches(data, batch_size=16, augment=augment, seed=0, device=CPU)
        self.step = form(
            self.net, self.optimizer, self.batches.assemble,
            mode=Mode(threads=1), device=CPU, label_smoothing=0.1, **others,
        )  # fmt: skip

    def train(self, epochs: Sequence[int]) -> list[float]:
        losses = []
        for epoch in epochs:
            self.step.set_rate(RATE / 2**epoch)
            for number, inputs in enumerate(self.batches.epoch_inputs(epoch)):
                losses.append(self.step(inputs, 100 * epoch + number).item())
        return losses

    def content(self) -> list[Tensor]:
        """Weights, buffers and the optimizer's state."""
        states = [value for state in self.optimizer.state.values() for value in state.values()]
        return [*self.net.parameters(), *self.net.buffers(), *states]


def equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZER_OPTIONS)
def test_a_captured_step_trains_as_a_plain_one_to_the_bit(optimizer: str, options: dict[str, object]) -> None:
    plain, captured = Side(Step, optimizer, options), Side(CapturedStep, optimizer, options, record=do_again)
    assert plain.train([0, 1, 2]) == captured.train([0, 1, 2])
    assert equal(plain.content(), captured.content())


@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZER_OPTIONS)
def test_a_captured_step_that_goes_on_from_a_checkpoint_trains_as_one_that_was_not_interrupted(
    optimizer: str, options: dict[str, object], tmp_path: Path
) -> None:
    undisturbed = Side(CapturedStep, optimizer, options, record=do_again)
    undisturbed.train([0, 1, 2])
    before = Side(CapturedStep, optimizer, options, record=do_again)
    before.train([0])
    folder = CellFolder(tmp_path)
    folder.root.mkdir(exist_ok=True)
    checkpoint.save(
        folder,
        {
            "net": before.net.state_dict(),
            "optimizer": before.optimizer.state_dict(),
            "epochs_done": 1,
            "steps_done": 0,
            "fingerprint": {},
        },
    )
    state = checkpoint.load(folder, {})
    assert state is not None
    after = Side(CapturedStep, optimizer, options, record=do_again)
    after.net.load_state_dict(state["net"])
    after.net.seen.copy_(before.net.seen)
    after.optimizer.load_state_dict(state["optimizer"])
    after.train([1, 2])
    assert equal(undisturbed.content(), after.content())


def test_nothing_is_changed_by_the_warm_up_of_a_step() -> None:
    side = Side(CapturedStep, "sgd", {}, record=do_again)
    before = [value.clone() for value in [*side.net.parameters(), *side.net.buffers()]]
    side.step.set_rate(RATE)
    assert isinstance(side.step, CapturedStep)
    side.step._capture(next(iter(side.batches.epoch_inputs(0))))
    assert equal(before, [*side.net.parameters(), *side.net.buffers()])
    assert all(parameter.grad is None for parameter in side.net.parameters())
    assert all(not state["momentum_buffer"].any() for state in side.optimizer.state.values())


def test_weights_stay_where_they_are_when_they_are_restore() -> None:
    side = Side(Step, "adamw", {})
    side.train([0])
    places = [value.data_ptr() for value in side.content()]
    before, kept = Snapshot(side.net, side.optimizer), [value.clone() for value in side.content()]
    side.train([1])
    assert not equal(kept, side.content())
    before.restore()
    assert equal(kept, side.content())
    assert [value.data_ptr() for value in side.content()] == places


def test_the_rate_of_a_captured_step_changes_in_place() -> None:
    side = Side(CapturedStep, "adamw", {}, record=do_again)
    side.step.set_rate(0.1)
    [group] = side.optimizer.param_groups
    rate = group["lr"]
    assert rate.dtype == torch.float32
    side.step.set_rate(0.25)
    assert group["lr"] is rate
    assert rate.item() == 0.25


def test_adamw_is_capturable_only_once_its_step_is_recorded() -> None:
    seen: list[bool] = []

    def record(work: Work, ready: Work) -> Work:
        seen.append(side.optimizer.param_groups[0]["capturable"])
        ready()
        seen.append(side.optimizer.param_groups[0]["capturable"])
        return work

    side = Side(CapturedStep, "adamw", {}, record=record)
    side.optimizer.param_groups[0]["capturable"] = True  # as a checkpoint has it
    side.train([0])
    assert seen == [False, True]


def test_a_net_that_draws_on_the_host_is_not_recorded() -> None:
    def records(work: Work, ready: Work) -> Work:
        ready()
        work()
        return work

    class Layerdrop(Net):
        def forward(self, images: Tensor) -> Tensor:
            scores = super().forward(images)
            return scores if random.random() < 0.5 else 2 * scores

    side = Side(CapturedStep, "sgd", {}, record=records)
    side.net.__class__ = Layerdrop
    with pytest.raises(ModelError, match="on the host"):
        side.train([0])


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: torch.rand(1)])
def test_every_draw_on_the_host_shows(draw: Callable[[], object]) -> None:
    gpu = torch.device("cuda")
    before = host_rng_state(gpu)
    assert host_rng_state(gpu) == before
    draw()
    assert host_rng_state(gpu) != before


def test_choices_are_copied_in_place() -> None:
    mine = PackedInputs(order=torch.zeros(2, dtype=torch.int64), values=(torch.zeros(1, 2),))
    other = PackedInputs(order=torch.tensor([3, 4]), values=(torch.tensor([[0.5, 0.25]]),))
    places = (mine.order.data_ptr(), mine.values[0].data_ptr())
    mine.copy_from(other)
    assert torch.equal(mine.order, other.order)
    assert torch.equal(mine.values[0], other.values[0])
    assert (mine.order.data_ptr(), mine.values[0].data_ptr()) == places


@pytest.mark.parametrize("batch_size", [16, 64, 100], ids=["a smaller rest", "one batch", "less than a batch"])
def test_a_recorded_test_gives_the_scores_of_a_plain_one(batch_size: int) -> None:
    torch.manual_seed(0)
    data: PackedDataset = random_dataset(images=60 if batch_size == 16 else 64, size=8, classes=10)
    batches = TestBatches(data, batch_size=batch_size, device=CPU)
    net = Net()
    replays: list[int] = []

    def counted(work: Work, ready: Work) -> Work:
        do_again(work, ready)

        def replay() -> None:
            work()
            replays.append(1)

        return replay

    plain = Evaluator(net, batches, mode=Mode(threads=1), beat=lambda: None)
    recorded = Evaluator(net, batches, mode=Mode(threads=1, captured=True), beat=lambda: None, record=counted)
    for _ in range(2):
        metrics, scores = plain()
        again, same = recorded()
        assert again == metrics
        assert torch.equal(scores, same)
        net.head.weight.data.mul_(1.5)  # the next pass reads the weights as they are then
    assert len(replays) == 2 * (len(data.test_labels) // batch_size)


def test_a_test_says_after_every_batch_that_it_lives() -> None:
    beats: list[int] = []
    batches = TestBatches(random_dataset(images=64, size=8, classes=10), batch_size=20, device=CPU)
    Evaluator(Net(), batches, mode=Mode(threads=1), beat=lambda: beats.append(1))()
    assert len(beats) == 4
