"""The training loop of one cell: build, train, test each epoch, save.

Called by :mod:`bench.worker.main` with a journal; never talks to a tracking store and never reads a suite. Every
random number is a function of (seed, epoch, step), so that an attempt that goes on from a checkpoint repeats an
undisturbed run to the bit.

Shapes: N images a batch, C channels, H = W = input size, K classes.
"""

import json
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import DivergedError
from bench.values import Attempt, Cell
from bench.worker import checkpoint, models
from bench.worker.data.dataset import Dataset, EpochBatches, load, test_batches, train_batches
from bench.worker.data.stream import nonstandard_images
from bench.worker.evaluate import (
    EpochTiming,
    Evaluator,
    journal_summary,
    keep_predictions,
    keep_weights,
)
from bench.worker.measure import measure, trainable
from bench.worker.optim import build_optimizer, learning_rates
from bench.worker.seeds import step_seed
from bench.worker.step import Step, make_step, memory_format
from bench.workspace.events import (
    ArtifactWritten,
    CostMeasured,
    DataLoaded,
    Diverged,
    Ended,
    EpochDone,
    NonstandardImages,
    Progress,
    Resumed,
)
from bench.workspace.failpoint import failpoint
from bench.workspace.files import write_atomically
from bench.workspace.fingerprint import fingerprint
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

CHECKPOINT_EVERY_S = 1.0
"""Least training time between checkpoints, so that a cell that is killed loses little."""
CHECKPOINT_SHARE = 0.01
"""Largest share of the time spent on saving; a net that takes long to save is saved less often."""
PROGRESS_EVERY_S = 1.0
MAX_AHEAD = 64
"""Steps that a GPU may have in its queue: enough that it never waits for the host, seconds of work for a large net."""
TEST_BATCH = 500
"""Images a test batch."""


class InterruptedTrainingError(Exception):
    """The worker was asked to leave; its state is saved."""


@dataclass(kw_only=True)
class Training:
    """A cell in training: what stays and what changes."""

    attempt: Attempt
    data: Dataset
    device: torch.device
    journal: Journal
    stop: Callable[[], bool]
    net: nn.Module
    optimizer: torch.optim.Optimizer
    fingerprint: dict[str, str]
    epochs_done: int = 0
    steps_done: int = 0
    """Steps of the epoch after ``epochs_done``."""
    losses: Tensor = field(default_factory=lambda: torch.zeros(0))
    """Loss of every step of that epoch, (steps,) float32 on the device."""
    scores: Tensor | None = None
    """Scores of the test set (N, K) after the last epoch that was tested."""
    timings: list[EpochTiming] = field(default_factory=list)
    save_after: float = 0.0
    """Clock before which no checkpoint is written."""
    began: float = field(default_factory=time.monotonic)
    """Clock at which the cell would have begun, had it trained in one go."""

    @property
    def cell(self) -> Cell:
        """What is trained."""
        return self.attempt.cell

    @property
    def folder(self) -> CellFolder:
        """Where it is kept."""
        return CellFolder(Path(self.attempt.folder))


def run(attempt: Attempt, journal: Journal, stop: Callable[[], bool]) -> None:
    """Train a cell from where its last attempt stopped to its end, and write its result.

    Raises:
        BenchError: The data set or the net cannot be used, or the loss is no longer finite.
        InterruptedTrainingError: ``stop()`` became true; training goes on from here another time.
    """
    began = time.monotonic()
    device = prepare_device(attempt)
    ready = Path(attempt.data_folder) if attempt.data_folder else None
    data = load(attempt.cell.data_key, Path(attempt.data_home), workers=attempt.mode.threads, folder=ready)
    training = build(attempt, data, device, journal, stop)
    journal_inputs(attempt, data, training.net, journal)
    training.began = began
    resume(training)
    train_epochs(training)
    finish(training)


def prepare_device(attempt: Attempt) -> torch.device:
    """Set threads and numerics of this process and return the device to train on."""
    torch.set_num_threads(attempt.mode.threads)
    if attempt.device == "cuda":
        # TF32 is what published GPU figures are trained with
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = not attempt.deterministic
        # an operator that has no deterministic form fails the cell: a promise of equal bits is kept or not made
        torch.use_deterministic_algorithms(attempt.deterministic)
        torch.cuda.set_per_process_memory_fraction(attempt.mode.memory_share)
    return torch.device(attempt.device)


def journal_inputs(attempt: Attempt, data: Dataset, net: nn.Module, journal: Journal) -> None:
    """Write down what is trained on, and the params and FLOPs of the very net that is trained."""
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
    if cost is None or cost.params != trainable(net):
        cost = measure(cell.model, stem=recipe.stem, input_size=recipe.input_size, num_classes=classes)
    journal.write(CostMeasured(cost=cost))


def build(
    attempt: Attempt, data: Dataset, device: torch.device, journal: Journal, stop: Callable[[], bool]
) -> Training:
    """The net with its initial weights, a function of the seed, and its optimizer."""
    cell = attempt.cell
    torch.manual_seed(step_seed(cell.seed, 0, 0))
    net = models.build(cell.model, stem=cell.recipe.stem, num_classes=data.num_classes)
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
    """Go on from the newest whole checkpoint that fits, if there is one."""
    state = checkpoint.load(training.folder, training.fingerprint)
    if state is None:
        return
    training.net.load_state_dict(state["net"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.epochs_done, training.steps_done = state["epochs_done"], state["steps_done"]
    training.losses = state["losses"].to(training.device)
    training.began -= state["elapsed_s"]
    training.journal.write(Resumed(epochs_done=training.epochs_done, steps_done=training.steps_done))


def train_epochs(training: Training) -> None:
    """Train and test every epoch that is left."""
    recipe, device = training.cell.recipe, training.device
    rates = learning_rates(training.cell.schedule, lr=recipe.optimizer["lr"], epochs=recipe.epochs)
    workers = training.attempt.mode.threads
    batches = train_batches(training.data, recipe, seed=training.cell.seed, device=device, workers=workers)
    test = make_evaluator(training)
    step = make_step(
        training.net,
        training.optimizer,
        batches.assemble,
        mode=training.attempt.mode,
        device=device,
        label_smoothing=recipe.label_smoothing,
    )
    while (epoch := training.epochs_done) < recipe.epochs:
        began, first_step = time.monotonic(), training.steps_done
        try:
            step.set_rate(rates[epoch])
            loss = train_epoch(training, batches, step)
        except DivergedError:
            training.journal.write(Diverged(epoch=epoch + 1, metrics={"train/loss": math.nan}))
            raise
        train_s = time.monotonic() - began
        metrics, training.scores = test()
        images = (len(batches) - first_step) * batches.batch_size
        timing = EpochTiming(train_s=train_s, total_s=time.monotonic() - began, images=images)
        training.timings.append(timing)
        training.epochs_done, training.steps_done = epoch + 1, 0
        if odd := nonstandard_images(batches):
            training.journal.write(NonstandardImages(epoch=epoch + 1, counts=odd))
        training.journal.write(
            EpochDone(
                epoch=epoch + 1,
                metrics={"train/loss": loss, "train/lr": rates[epoch], **metrics},
                epoch_s=round(timing.total_s, 4),
                images_per_s=round(images / train_s, 1),
            )
        )
        if not math.isfinite(metrics["test/loss"]):
            raise DivergedError(f"the test loss is {metrics['test/loss']} after epoch {epoch + 1}")


def make_evaluator(training: Training) -> Evaluator:
    """What tests the net of a cell."""
    batches = test_batches(
        training.data,
        training.cell.recipe,
        batch_size=TEST_BATCH,
        device=training.device,
        workers=training.attempt.mode.threads,
    )
    return Evaluator(training.net, batches, mode=training.attempt.mode, beat=training.journal.beat)


def train_epoch(training: Training, batches: EpochBatches, step: Step) -> float:
    """Train the epoch after ``epochs_done`` from ``steps_done`` on. Returns the mean loss a step.

    Raises:
        DivergedError: A loss is not finite; the text names epoch and step.
        InterruptedTrainingError: ``stop()`` became true; the state is saved.
    """
    device, seed = training.device, training.cell.seed
    epoch, first, steps = training.epochs_done, training.steps_done, len(batches)
    training.net.train()
    if first == 0:
        training.losses = torch.zeros(steps, device=device)
    lead = QueueLimiter(device)
    clock = shown = time.monotonic()
    for number, inputs in enumerate(batches.epoch_inputs(epoch, first), start=first):
        training.losses[number] = step(inputs, step_seed(seed, epoch + 1, number))
        training.steps_done = number + 1
        if device.type == "cpu" and not math.isfinite(training.losses[number].item()):
            break  # reading a loss would stop a GPU's queue; there it waits for the end of the epoch
        lead.grows()
        if (now := time.monotonic()) - shown > PROGRESS_EVERY_S:
            shown = now
            speed = round((number + 1 - first) * batches.batch_size / (now - clock), 1)
            training.journal.write(Progress(epoch=epoch + 1, step=number + 1, steps=steps, images_per_s=speed))
        save_when_due(training)
    return mean_loss(training.losses, epoch)


class QueueLimiter:
    """How far the host is ahead of a GPU. It never waits for the step before, which would empty the device's queue.

    It waits for one some steps back: a host that queues a whole epoch at once could neither say how far the cell is nor
    leave when it is asked to. On the CPU nothing is queued.
    """

    def __init__(self, device: torch.device) -> None:
        self._queued: deque[torch.cuda.Event] | None = deque() if device.type == "cuda" else None

    def grows(self) -> None:
        """Another step was queued."""
        if self._queued is None:
            return
        # a blocking event lets the core sleep, which cells side by side have better use for
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        self._queued.append(event)
        if len(self._queued) > MAX_AHEAD:
            self._queued.popleft().synchronize()


def save_when_due(training: Training) -> None:
    """Write a checkpoint after enough time, or when asked to leave, which is then done."""
    stopping = training.stop()
    if stopping or time.monotonic() > training.save_after:
        began = time.monotonic()
        checkpoint.save(
            training.folder,
            {
                "net": training.net.state_dict(),
                "optimizer": training.optimizer.state_dict(),
                "epochs_done": training.epochs_done,
                "steps_done": training.steps_done,
                "losses": training.losses.cpu(),
                "elapsed_s": began - training.began,
                "fingerprint": training.fingerprint,
            },
        )
        cost_s = time.monotonic() - began
        training.save_after = time.monotonic() + max(CHECKPOINT_EVERY_S, cost_s / CHECKPOINT_SHARE)
    if stopping:
        raise InterruptedTrainingError


def mean_loss(losses: Tensor, epoch: int) -> float:
    """Mean of the losses of an epoch's steps, (steps,) float32.

    Raises:
        DivergedError: One of them is not finite.
    """
    values = losses.cpu()
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        step = int(bad[0])
        raise DivergedError(
            f"the training loss became {values[step].item()} in epoch {epoch + 1}, step {step + 1}; "
            "a smaller lr, warm-up or fp32 may help"
        )
    return float(values.double().mean())


def finish(training: Training) -> None:
    """Write what the cell leaves behind; the result last, by rename."""
    folder, journal = training.folder, training.journal
    if training.scores is None:  # the attempt before died between its last epoch and this line
        _, training.scores = make_evaluator(training)()
    keep_predictions(training.scores, training.data.test_labels, folder)
    journal.write(ArtifactWritten(path=folder.predictions.name))
    journal.write(ArtifactWritten(path=folder.environment.name))
    digest = keep_weights(training.net, training.cell, folder)
    if training.attempt.keep_weights == "last":
        journal.write(ArtifactWritten(path=folder.weights.name, sha256=digest))
    else:
        folder.weights.unlink()
    journal_summary(training.timings, training.device, time.monotonic() - training.began, journal)
    failpoint("before-end")
    journal.write(Ended(state="complete", kind="", reason="", fingerprint=training.fingerprint))
    result = {"cell": training.cell.id, "fingerprint": training.fingerprint, "weights_sha256": digest}
    failpoint("before-result")
    write_atomically(folder.result, json.dumps(result, sort_keys=True))
    checkpoint.clear(folder)
