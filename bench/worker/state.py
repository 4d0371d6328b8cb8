"""The state of a cell in training, and how it is set up: device, net, optimizer, checkpoint.

Called by :mod:`bench.worker.train`, which changes the state, and by the benchmarks. Trains nothing itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.values import Attempt, Cell, Mode
from bench.worker import checkpoint, models
from bench.worker.data.dataset import Dataset
from bench.worker.measure import measure, trainable
from bench.worker.optim import build_optimizer
from bench.worker.seeds import host_state, seed_host, set_host_state, step_seed
from bench.worker.step import memory_format
from bench.workspace.events import CostMeasured, DataLoaded, Resumed
from bench.workspace.fingerprint import fingerprint
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

CHECKPOINT_EVERY_S = 1.0
"""Minimum training time between two checkpoints. A cell that is killed loses about that much."""
CHECKPOINT_SHARE = 0.01
"""Maximum share of the time that may go into checkpoints. A net that takes long to save is saved less often."""


@dataclass(frozen=True)
class EpochTiming:
    """Wall times, in seconds, of the part of an epoch that this attempt ran."""

    train_s: float
    total_s: float
    """Training and test."""
    images: int
    """Images trained on."""


@dataclass(kw_only=True)
class Training:
    """A cell in training: what is fixed for the attempt, and what each step changes."""

    attempt: Attempt
    data: Dataset
    device: torch.device
    journal: Journal
    stop: Callable[[], bool]
    """Whether the worker was asked to end."""
    net: nn.Module
    optimizer: torch.optim.Optimizer
    fingerprint: dict[str, str]
    """What the result depends on besides the cell; a checkpoint of another fingerprint is not continued."""
    epochs_done: int = 0
    steps_done: int = 0
    """Steps done in the epoch after ``epochs_done``."""
    losses: Tensor = field(default_factory=lambda: torch.zeros(0))
    """Loss of each step of that epoch, (S,) float32 on the device."""
    scores: Tensor | None = None
    """Scores of the test set, (images, K) float32, after the last epoch that was tested."""
    timings: list[EpochTiming] = field(default_factory=list)
    save_after: float = 0.0
    """Monotonic clock before which no checkpoint is written."""
    began: float = field(default_factory=time.monotonic)
    """Monotonic clock at which the cell would have begun if all its attempts had been one."""

    @property
    def cell(self) -> Cell:
        """What is trained."""
        return self.attempt.cell

    @property
    def folder(self) -> CellFolder:
        """Where its files are."""
        return CellFolder(Path(self.attempt.folder))


def prepare_device(mode: Mode, device: str, *, deterministic: bool) -> torch.device:
    """Set the threads and numerics of this process and return the device to train on."""
    torch.set_num_threads(mode.threads)
    if device == "cuda":
        # TF32 rounds the inputs of fp32 products to 10 bits. Published GPU figures are trained with it, and torch
        # leaves it off for matrix products by default
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        # cuDNN times its algorithms per shape and may pick another one next time, which rounds differently
        torch.backends.cudnn.benchmark = not deterministic
        # an operator without a deterministic form fails the cell: equal bits are guaranteed or not promised at all
        torch.use_deterministic_algorithms(deterministic)
        # cells that share a GPU must not take each other's memory: the one that needs more than its share fails
        torch.cuda.set_per_process_memory_fraction(mode.memory_share)
    return torch.device(device)


def journal_inputs(attempt: Attempt, data: Dataset, net: nn.Module, journal: Journal) -> None:
    """Journal the data that is trained on, and the params and FLOPs of the net that is trained."""
    cell, classes = attempt.cell, data.num_classes
    journal.write(
        DataLoaded(
            dataset=data.name,
            digest=data.digest,
            classes=classes,
            train_images=len(data.train_labels),
            test_images=len(data.test_labels),
            fingerprint=fingerprint(cell, data=data.digest, device=attempt.device),
        )
    )
    recipe, cost = cell.recipe, attempt.cost
    # the scheduler's figure may come from its cache; a model file that has changed since builds another net
    if cost is None or cost.params != trainable(net):
        cost = measure(cell.model, stem=recipe.stem, input_size=recipe.input_size, num_classes=classes)
    journal.write(CostMeasured(cost=cost))


def build(
    attempt: Attempt, data: Dataset, device: torch.device, journal: Journal, stop: Callable[[], bool]
) -> Training:
    """Build the net with its initial weights, which are a function of the cell's seed, and its optimizer.

    Raises:
        ModelError: The net cannot be built.
    """
    cell = attempt.cell
    # built on the CPU and then moved, so that one seed gives the same initial weights on every device
    torch.manual_seed(step_seed(cell.seed, 0, 0))
    seed_host(cell.seed, 0)
    net = models.build(
        cell.model, stem=cell.recipe.stem, num_classes=data.num_classes, input_size=cell.recipe.input_size
    )
    # before the optimizer is made: it refers to the parameters on the device
    net = models.place(net, device, memory_format(attempt.mode))
    return Training(
        attempt=attempt,
        data=data,
        device=device,
        journal=journal,
        stop=stop,
        net=net,
        optimizer=build_optimizer(net.parameters(), cell.recipe.optimizer),
        fingerprint=fingerprint(cell, data=data.digest, device=device.type),
        save_after=time.monotonic() + CHECKPOINT_EVERY_S,
    )


def resume(training: Training) -> None:
    """Continue from the newest valid checkpoint that has the same fingerprint, if there is one."""
    state = checkpoint.load(training.folder, training.fingerprint)
    if state is None:
        return
    # no state of torch's generators is restored: every number of theirs is a function of (seed, epoch, step)
    training.net.load_state_dict(state["net"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.epochs_done, training.steps_done = state["epochs_done"], state["steps_done"]
    seed_host(training.cell.seed, training.epochs_done + 1)
    if host := state.get("host"):  # checkpoints of older versions have none
        set_host_state(host)
    training.losses = state["losses"].to(training.device)
    training.began -= state["elapsed_s"]  # the total time counts the attempts before
    training.journal.write(Resumed(epochs_done=training.epochs_done, steps_done=training.steps_done))


def save(training: Training) -> None:
    """Write a checkpoint, and set the time of the next one by what this one took.

    Raises:
        OSError: The disk is full or cannot be written; earlier checkpoints are intact.
    """
    began = time.monotonic()
    checkpoint.save(
        training.folder,
        {
            "net": training.net.state_dict(),
            "optimizer": training.optimizer.state_dict(),
            "epochs_done": training.epochs_done,
            "steps_done": training.steps_done,
            "losses": training.losses.cpu(),  # the epoch's mean needs the steps before the interruption too
            "elapsed_s": began - training.began,
            "fingerprint": training.fingerprint,
            "host": host_state(),
        },
    )
    cost_s = time.monotonic() - began
    training.save_after = time.monotonic() + max(CHECKPOINT_EVERY_S, cost_s / CHECKPOINT_SHARE)
