"""Plain and captured steps, on the CPU: a replay that repeats the work stands in for a CUDA graph."""

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
from bench.worker.data.batches import TrainBatches
from bench.worker.optim import build_optimizer
from bench.worker.speed import random_dataset
from bench.worker.step import WARM_UP, CapturedStep, Snapshot, Step, Work, host_rng_state, make_step
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


def repeat(work: Work, prepare: Work) -> Work:
    """In place of a graph: the same warm-up, and a replay that repeats the work."""
    for _ in range(WARM_UP):
        work()
    prepare()
    return work


class Side:
    """A net in training in one form of step."""

    def __init__(
        self,
        form: Callable[..., Step],
        optimizer: str,
        options: dict[str, object],
        *,
        images: int = 64,
        **others: object,
    ) -> None:
        torch.manual_seed(0)
        self.net = Net().train()
        choice = with_defaults(optimizer, options, OPTIMIZERS[optimizer].options)  # type: ignore[arg-type]
        self.optimizer = build_optimizer(self.net.parameters(), choice)
        augment = tuple(
            with_defaults(name, {}, spec.options) for name, spec in AUGMENTATIONS.items() if not spec.of_files
        )
        data = random_dataset(images=images, size=8, classes=10)
        self.batches = TrainBatches(data, batch_size=16, augment=augment, seed=0, device=CPU, drop_last=False)
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
def test_captured_step_trains_as_a_plain_one_to_the_bit(optimizer: str, options: dict[str, object]) -> None:
    plain, captured = Side(Step, optimizer, options), Side(CapturedStep, optimizer, options, record=repeat)
    assert plain.train([0, 1, 2]) == captured.train([0, 1, 2])
    assert equal(plain.content(), captured.content())


@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZER_OPTIONS)
@pytest.mark.parametrize("images", [40, 33])
def test_captured_step_trains_on_a_smaller_last_batch_as_a_plain_one(
    optimizer: str, options: dict[str, object], images: int
) -> None:
    plain, captured = (
        Side(form, optimizer, options, images=images, batch_size=16, **others)
        for form, others in ((Step, {}), (CapturedStep, {"record": repeat}))
    )
    assert plain.train([0, 1]) == captured.train([0, 1])
    assert equal(plain.content(), captured.content())


def test_a_smaller_last_batch_is_never_compiled_anew() -> None:
    side = Side(Step, "sgd", {}, images=40, batch_size=16)
    seen: list[int] = []

    def compiled(images: Tensor) -> Tensor:
        seen.append(len(images))
        scores: Tensor = side.net(images)
        return scores

    side.step._forward = compiled
    assert len(side.train([0])) == 3
    assert seen == [16, 16]


@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZER_OPTIONS)
def test_captured_step_that_resumes_trains_as_one_that_was_not_interrupted(
    optimizer: str, options: dict[str, object], tmp_path: Path
) -> None:
    undisturbed = Side(CapturedStep, optimizer, options, record=repeat)
    undisturbed.train([0, 1, 2])
    before = Side(CapturedStep, optimizer, options, record=repeat)
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
    after = Side(CapturedStep, optimizer, options, record=repeat)
    after.net.load_state_dict(state["net"])
    after.net.seen.copy_(before.net.seen)
    after.optimizer.load_state_dict(state["optimizer"])
    after.train([1, 2])
    assert equal(undisturbed.content(), after.content())


def test_capture_changes_nothing_by_its_warm_up() -> None:
    side = Side(CapturedStep, "sgd", {}, record=repeat)
    before = [value.clone() for value in [*side.net.parameters(), *side.net.buffers()]]
    side.step.set_rate(RATE)
    assert isinstance(side.step, CapturedStep)
    side.step._capture(next(iter(side.batches.epoch_inputs(0))))
    assert equal(before, [*side.net.parameters(), *side.net.buffers()])
    assert all(parameter.grad is None for parameter in side.net.parameters())
    assert all(not state["momentum_buffer"].any() for state in side.optimizer.state.values())


def test_snapshot_restore_overwrites_in_place() -> None:
    side = Side(Step, "adamw", {})
    side.train([0])
    places = [value.data_ptr() for value in side.content()]
    before, expected = Snapshot(side.net, side.optimizer), [value.clone() for value in side.content()]
    side.train([1])
    assert not equal(expected, side.content())
    before.restore()
    assert equal(expected, side.content())
    assert [value.data_ptr() for value in side.content()] == places


def test_set_rate_of_a_captured_step_changes_in_place() -> None:
    side = Side(CapturedStep, "adamw", {}, record=repeat)
    side.step.set_rate(0.1)
    [group] = side.optimizer.param_groups
    rate = group["lr"]
    assert rate.dtype == torch.float32
    side.step.set_rate(0.25)
    assert group["lr"] is rate
    assert rate.item() == 0.25


def test_capture_makes_adamw_capturable_only_while_recording() -> None:
    seen: list[bool] = []

    def record(work: Work, prepare: Work) -> Work:
        seen.append(side.optimizer.param_groups[0]["capturable"])
        prepare()
        seen.append(side.optimizer.param_groups[0]["capturable"])
        return work

    side = Side(CapturedStep, "adamw", {}, record=record)
    side.optimizer.param_groups[0]["capturable"] = True  # as a checkpoint has it
    side.train([0])
    assert seen == [False, True]


def test_capture_refuses_a_net_that_draws_on_the_host() -> None:
    def records(work: Work, prepare: Work) -> Work:
        prepare()
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
def test_host_rng_state_shows_every_draw(draw: Callable[[], object]) -> None:
    gpu = torch.device("cuda")
    before = host_rng_state(gpu)
    assert host_rng_state(gpu) == before
    draw()
    assert host_rng_state(gpu) != before


@pytest.mark.parametrize(("captured", "form"), [(False, Step), (True, CapturedStep)])
def test_make_step_gives_the_form_that_the_mode_asks_for(captured: bool, form: type[Step]) -> None:
    net = nn.Linear(2, 2)
    step = make_step(
        net, torch.optim.SGD(net.parameters(), lr=0.1), lambda _: (torch.zeros(1, 2), torch.zeros(1)),
        mode=Mode(threads=1, captured=captured), device=CPU, label_smoothing=0.0,
    )  # fmt: skip
    assert type(step) is form
