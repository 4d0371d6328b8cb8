"""The training loop, in this process, on noise."""

import json
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.errors import DivergedError, InterruptedTrainingError
from bench.values import Attempt, Cell, Mode
from bench.worker import state, train
from bench.worker.data.batches import StepInputs, TestBatches, TrainBatches
from bench.worker.evaluate import Evaluator
from bench.worker.speed import random_dataset
from bench.worker.state import Training
from bench.worker.step import Step
from bench.worker.train import QueueLimiter, mean_loss, save_when_due, train_and_test, train_epoch
from bench.workspace.journal import Journal

CPU = torch.device("cpu")
MakeCell = Callable[..., Cell]
Side = tuple[Training, TrainBatches, Step]


@contextmanager
def in_training(
    cell: Cell, folder: Path, *, device: torch.device = CPU, stop: Callable[[], bool] = lambda: False
) -> Iterator[Side]:
    """A net before its first step, on four batches of noise per epoch; no checkpoint falls due."""
    torch.manual_seed(0)
    data = random_dataset(images=64, size=8, classes=10)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 6 * 6, 10)).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    attempt = Attempt(
        cell=cell, number=1, folder=str(folder), data_home="", device=device.type, mode=Mode(threads=1), suite="",
        series="", created_ms=0,
    )  # fmt: skip
    batches = TrainBatches(data, batch_size=16, augment=(), seed=0, device=device)
    step = Step(net, optimizer, batches.assemble, mode=attempt.mode, device=device, label_smoothing=0.0)
    with Journal(folder / "journal.jsonl") as journal:
        training = Training(
            attempt=attempt, data=data, device=device, journal=journal, stop=stop, net=net, optimizer=optimizer,
            fingerprint={}, save_after=math.inf,
        )  # fmt: skip
        yield training, batches, step


def events(folder: Path) -> list[dict[str, Any]]:
    """All but progress, which a slow machine writes and a fast one does not."""
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] != "progress"]


class NotingStep(Step):
    """Notes the learning rate of each step."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rates: list[float] = []

    def __call__(self, inputs: StepInputs, seed: int) -> Tensor:
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return super().__call__(inputs, seed)


class TestTrainEpoch:
    def test_an_epoch_on_a_device_reads_nothing_back_before_its_end(
        self, make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # tensors on the meta device have no values: whatever asks for one raises
        monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
        monkeypatch.setattr(train, "mean_loss", lambda losses, epoch: losses)
        meta = torch.device("meta")
        with in_training(make_cell(augment=()), tmp_path, device=meta) as (training, batches, step):
            train_epoch(training, batches, step, [0.01])
        assert training.steps_done == 4
        assert training.losses.device == meta

    def test_it_returns_the_mean_of_the_losses_of_its_steps(self, make_cell: MakeCell, tmp_path: Path) -> None:
        with in_training(make_cell(), tmp_path) as (training, batches, step):
            mean = train_epoch(training, batches, step, [0.01])
        assert training.losses.shape == (4,)
        assert mean == pytest.approx(training.losses.double().mean().item())

    def test_a_loss_that_is_not_finite_ends_it_at_once_on_the_cpu(self, make_cell: MakeCell, tmp_path: Path) -> None:
        with (
            in_training(make_cell(), tmp_path) as (training, batches, step),
            # the update of the first step makes every weight infinite or NaN
            pytest.raises(DivergedError, match="in epoch 1, step 2; a smaller lr"),
        ):
            train_epoch(training, batches, step, [math.inf])
        assert training.steps_done == 2

    def test_a_resumed_epoch_gives_the_weights_of_an_undisturbed_one(self, make_cell: MakeCell, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with in_training(make_cell(), tmp_path / "a") as (whole, batches, step):
            expected = train_epoch(whole, batches, step, [0.01])
        asked = iter([False, False, True])
        with in_training(make_cell(), tmp_path / "b", stop=lambda: next(asked, False)) as (parts, batches, step):
            with pytest.raises(InterruptedTrainingError):
                train_epoch(parts, batches, step, [0.01])
            assert parts.steps_done == 3
            assert train_epoch(parts, batches, step, [0.01]) == expected
        for name, value in whole.net.state_dict().items():
            assert torch.equal(value, parts.net.state_dict()[name]), name

    def test_in_warm_up_every_step_has_its_own_rate_also_in_an_epoch_that_resumes(
        self, make_cell: MakeCell, tmp_path: Path
    ) -> None:
        with in_training(make_cell(), tmp_path) as (training, batches, step):
            noting = NotingStep(
                step.net, step.optimizer, batches.assemble, mode=step.mode, device=CPU, label_smoothing=0.0
            )
            train_epoch(training, batches, noting, [0.1, 0.2, 0.3, 0.4])
            training.steps_done = 2
            train_epoch(training, batches, noting, [0.1, 0.2, 0.3, 0.4])
        assert noting.rates == [0.1, 0.2, 0.3, 0.4, 0.3, 0.4]

    def test_a_resumed_attempt_repeats_what_a_net_draws_from_python_and_numpy(
        self, make_cell: MakeCell, tmp_path: Path
    ) -> None:
        def draw(_: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            return (inputs[0] * (random.random() + np.random.rand()),)

        weights = []
        for name, endings in (("whole", [False] * 9), ("parts", [False, True])):
            (tmp_path / name).mkdir()
            asked = iter(endings)
            while True:
                random.seed()  # as in a new process
                stop = partial(next, asked, False)
                with in_training(make_cell(), tmp_path / name, stop=stop) as (parts, batches, step):
                    parts.net.register_forward_pre_hook(draw)
                    state.resume(parts)
                    with suppress(InterruptedTrainingError):
                        train_epoch(parts, batches, step)
                        break
            weights.append(list(parts.net.parameters()))
        assert all(map(torch.equal, *weights))


class TestTrainAndTest:
    def test_it_journals_metrics_and_speed_and_counts_the_epoch(self, make_cell: MakeCell, tmp_path: Path) -> None:
        with in_training(make_cell(), tmp_path) as (training, batches, step):
            evaluator = Evaluator(
                training.net,
                TestBatches(random_dataset(images=64, size=8, classes=10), batch_size=32, device=CPU),
                mode=Mode(threads=1),
                beat=lambda: None,
            )
            train_and_test(training, batches, step, evaluator, [0.01])
        [event] = events(tmp_path)
        assert (event["event"], event["epoch"], event["metrics"]["train/lr"]) == ("epoch", 1, 0.01)
        assert event["metrics"].keys() == {"train/loss", "train/lr", "test/loss", "test/top1", "test/top5"}
        assert (training.epochs_done, training.steps_done) == (1, 0)
        assert training.timings[0].images == 64
        assert training.scores is not None
        assert training.scores.shape == (64, 10)

    def test_a_test_loss_that_is_not_finite_is_journaled_and_training_goes_on(
        self, make_cell: MakeCell, tmp_path: Path
    ) -> None:
        with in_training(make_cell(), tmp_path) as (training, batches, step):
            scores = torch.full((64, 10), math.nan)
            metrics = {"test/loss": math.nan, "test/top1": 0.0, "test/top5": 0.0}
            evaluator: Any = lambda: (metrics, scores)  # noqa: E731 - stands for an Evaluator
            train_and_test(training, batches, step, evaluator, [0.01])
        [event] = events(tmp_path)
        assert event["event"] == "epoch"
        assert math.isnan(event["metrics"]["test/loss"])
        assert training.epochs_done == 1

    def test_a_smaller_last_batch_counts_as_what_it_has(self, make_cell: MakeCell, tmp_path: Path) -> None:
        with in_training(make_cell(), tmp_path) as (training, _, step):
            data = random_dataset(images=60, size=8, classes=10)
            kept = TrainBatches(data, batch_size=16, augment=(), seed=0, device=CPU, drop_last=False)
            train_and_test(training, kept, step, evaluator_unused(training), [0.01])
        assert training.timings[0].images == 60
        assert training.losses.shape == (4,)

    def test_a_diverged_epoch_leaves_a_point_of_nan(self, make_cell: MakeCell, tmp_path: Path) -> None:
        with in_training(make_cell(), tmp_path) as (training, batches, step), pytest.raises(DivergedError):
            train_and_test(training, batches, step, evaluator_unused(training), [math.inf])
        [event] = events(tmp_path)
        assert (event["event"], event["epoch"]) == ("diverged", 1)
        assert training.epochs_done == 0


def evaluator_unused(training: Training) -> Evaluator:
    data = random_dataset(images=64, size=8, classes=10)
    return Evaluator(
        training.net, TestBatches(data, batch_size=32, device=CPU), mode=Mode(threads=1), beat=lambda: None
    )


class TestSaveWhenDue:
    def test_nothing_is_written_before_its_time(self, make_cell: MakeCell, tmp_path: Path) -> None:
        with in_training(make_cell(), tmp_path) as (training, _, _):
            save_when_due(training)
            assert not training.folder.checkpoints()

    def test_a_checkpoint_that_is_due_is_written_and_the_next_one_waits(
        self, make_cell: MakeCell, tmp_path: Path
    ) -> None:
        with in_training(make_cell(), tmp_path) as (training, _, _):
            training.save_after = -math.inf
            save_when_due(training)
            save_when_due(training)
            assert len(training.folder.checkpoints()) == 1

    def test_a_worker_that_is_asked_to_end_saves_first(self, make_cell: MakeCell, tmp_path: Path) -> None:
        with in_training(make_cell(), tmp_path, stop=lambda: True) as (training, _, _):
            with pytest.raises(InterruptedTrainingError):
                save_when_due(training)
            assert len(training.folder.checkpoints()) == 1


class TestMeanLoss:
    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_the_first_loss_that_is_not_finite_is_named(self, value: float) -> None:
        with pytest.raises(DivergedError, match=f"became {value} in epoch 3, step 2;"):
            mean_loss(torch.tensor([1.0, value, math.nan]), epoch=2)

    def test_the_mean_is_taken_in_float64(self) -> None:
        losses = torch.full((100_000,), 0.1)
        assert mean_loss(losses, epoch=0) == pytest.approx(float(torch.tensor(0.1)), rel=1e-12)


def test_queue_limiter_does_nothing_on_a_cpu() -> None:
    queue = QueueLimiter(CPU)
    for _ in range(1000):
        queue.limit()
