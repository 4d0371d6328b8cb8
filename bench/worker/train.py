"""The training loop of one cell: train each epoch, test it, journal it, save it.

Called by :mod:`bench.worker.main`. Never talks to a tracking store and never reads a suite. Where to read on: one step
(forward, loss, backward, update) is in :mod:`bench.worker.step`, what a batch is made of in
:mod:`bench.worker.data.batches`, the state of a cell in :mod:`bench.worker.state`, the test in
:mod:`bench.worker.evaluate`, and what a finished cell leaves behind in :mod:`bench.worker.results`.

Every random number is a function of (seed, epoch, step), so that an attempt that resumes from a checkpoint repeats an
undisturbed run to the bit.

Shapes: N images per batch, C channels, H = W = input size, K classes, S steps per epoch.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.datasets.prepared import data_key
from bench.errors import DivergedError, InterruptedTrainingError
from bench.values import Attempt
from bench.worker import results, state
from bench.worker.data.dataset import EpochBatches, load, train_batches
from bench.worker.data.stream import nonstandard_images
from bench.worker.evaluate import Evaluator, make_evaluator
from bench.worker.optim import learning_rates
from bench.worker.seeds import seed_host, step_seed
from bench.worker.state import EpochTiming, Training
from bench.worker.step import Step, make_step
from bench.workspace.events import Diverged, EpochDone, NonstandardImages, Progress
from bench.workspace.journal import Journal

PROGRESS_EVERY_S = 1.0
"""Minimum time between two progress events of an epoch."""
MAX_AHEAD = 64
"""Maximum number of steps in a GPU's queue: enough that the GPU never waits for the host, seconds of work for a large
net."""


def run(attempt: Attempt, journal: Journal, stop: Callable[[], bool]) -> None:
    """Train a cell from where its last attempt stopped to its end, and write its result.

    Raises:
        BenchError: The data set or the net cannot be used, or the loss is no longer finite.
        InterruptedTrainingError: ``stop()`` became true; the state is saved and a later attempt resumes from it.
        OSError: The cell's folder cannot be written.
    """
    began = time.monotonic()
    # before anything allocates: the memory share and the choice of algorithms hold for all that follows
    device = state.prepare_device(attempt.mode, attempt.device, deterministic=attempt.deterministic)
    ready = Path(attempt.data_folder) if attempt.data_folder else None
    data = load(data_key(attempt.cell), Path(attempt.data_home), workers=attempt.mode.threads, folder=ready)
    training = state.build(attempt, data, device, journal, stop)
    # before the first step: a cell that fails still has its cost and the digest of its data on record
    state.journal_inputs(attempt, data, training.net, journal)
    training.began = began  # loading the data counts as the cell's time
    state.resume(training)
    batches = train_batches(
        data, attempt.cell.recipe, seed=attempt.cell.seed, device=device, workers=attempt.mode.threads
    )
    train_epochs(training, batches)
    results.finish(training, batches)


def train_epochs(training: Training, batches: EpochBatches) -> None:
    """Train and test every epoch that is left.

    A test loss that is not finite stops nothing: training may be healthy, and recover.

    Raises:
        DivergedError: A training loss is not finite.
        InterruptedTrainingError: ``stop()`` became true; the state is saved.
    """
    cell = training.cell
    # plain numbers: a resumed attempt looks its rate up and needs no scheduler state
    rates = learning_rates(cell.schedule, lr=cell.recipe.optimizer["lr"], epochs=cell.recipe.epochs, steps=len(batches))
    evaluator = make_evaluator(training, batches)
    step = make_step(
        training.net,
        training.optimizer,
        batches.assemble,
        mode=training.attempt.mode,
        device=training.device,
        label_smoothing=cell.recipe.label_smoothing,
        batch_size=batches.batch_size,
    )
    while training.epochs_done < cell.recipe.epochs:
        train_and_test(training, batches, step, evaluator, rates[training.epochs_done])


def train_and_test(
    training: Training, batches: EpochBatches, step: Step, evaluator: Evaluator, rates: Sequence[float]
) -> None:
    """Train the next epoch, test the net, and journal both.

    Args:
        training: The cell.
        batches: Its training images.
        step: What trains on a batch.
        evaluator: What tests the net.
        rates: The learning rate of the epoch or, during warm-up, of each of its steps.

    Raises:
        DivergedError: A training loss is not finite.
        InterruptedTrainingError: ``stop()`` became true; the state is saved.
    """
    epoch, first_step, began = training.epochs_done, training.steps_done, time.monotonic()
    try:
        loss = train_epoch(training, batches, step, rates)
    except DivergedError:
        # a point of NaN in the curve shows when it happened; the message alone would not reach the plot
        training.journal.write(Diverged(epoch=epoch + 1, metrics={"train/loss": math.nan}))
        raise
    # honest without a synchronize: train_epoch ends by reading the losses, which waits for the device
    train_s = time.monotonic() - began
    counts = nonstandard_images(batches)  # before the test, which may read training images too
    # the net of the last epoch is what the table reports, never the best epoch on the test set
    metrics, training.scores = evaluator()
    images = batches.images - first_step * batches.batch_size  # of this attempt: a resumed epoch began in the middle
    timing = EpochTiming(train_s=train_s, total_s=time.monotonic() - began, images=images)
    training.timings.append(timing)
    # only now: a checkpoint never counts an epoch as done that was not tested
    training.epochs_done, training.steps_done = epoch + 1, 0
    if counts:
        training.journal.write(NonstandardImages(epoch=epoch + 1, counts=counts))
    training.journal.write(
        EpochDone(
            epoch=epoch + 1,
            metrics={"train/loss": loss, "train/lr": rates[-1], **metrics},
            epoch_s=round(timing.total_s, 4),
            images_per_s=round(images / train_s, 1),
        )
    )


def train_epoch(training: Training, batches: EpochBatches, step: Step, rates: Sequence[float] = ()) -> float:
    """Train the epoch after ``epochs_done``, from step ``steps_done`` on. Returns the mean loss per step.

    ``rates`` are one learning rate for all steps or one for each; without any the step keeps the one that it has.

    Raises:
        DivergedError: A loss is not finite; the message names the epoch and the step.
        InterruptedTrainingError: ``stop()`` became true; the state is saved.
    """
    device, seed = training.device, training.cell.seed
    epoch, first, steps = training.epochs_done, training.steps_done, len(batches)
    training.net.train()  # the test of the epoch before left it in eval mode
    if first == 0:  # a resumed epoch keeps the losses of its checkpoint
        # on the device: a loss that is copied to the host waits for its step, and the GPU would run dry
        training.losses = torch.zeros(steps, device=device)
        seed_host(seed, epoch + 1)
    if rates:
        step.set_rate(rates[0])
    queue = QueueLimiter(device)
    began = shown = time.monotonic()
    for number, inputs in enumerate(batches.epoch_inputs(epoch, first), start=first):
        if len(rates) > 1:  # warm-up; all other curves are defined over epochs
            step.set_rate(rates[number])
        # epoch + 1, because the initial weights were drawn from (seed, 0, 0)
        training.losses[number] = step(inputs, step_seed(seed, epoch + 1, number))
        training.steps_done = number + 1
        # a CPU has computed the loss already: looking at it is free, and saves the rest of a lost epoch. A GPU has not,
        # and .item() would wait for it in every step: there mean_loss looks at the end of the epoch
        if device.type == "cpu" and not math.isfinite(training.losses[number].item()):
            break  # mean_loss raises
        queue.limit()
        # by time and not by steps: steps take from microseconds to seconds
        if (now := time.monotonic()) - shown > PROGRESS_EVERY_S:
            shown = now
            speed = round((number + 1 - first) * batches.batch_size / (now - began), 1)
            training.journal.write(Progress(epoch=epoch + 1, step=number + 1, steps=steps, images_per_s=speed))
        # after the step was counted, or a resumed attempt would train it twice
        save_when_due(training)
    return mean_loss(training.losses, epoch)


class QueueLimiter:
    """Keeps the host at most :data:`MAX_AHEAD` steps ahead of a GPU. Does nothing on a CPU, which queues nothing.

    A host that queued a whole epoch could neither report progress nor stop when asked to. Waiting for the latest step
    would drain the queue and leave the GPU idle, so it waits for one that lies some steps back.
    """

    def __init__(self, device: torch.device) -> None:
        self._queued: deque[torch.cuda.Event] | None = deque() if device.type == "cuda" else None

    def limit(self) -> None:
        """Count a step that was just queued, and wait if there are too many."""
        if self._queued is None:
            return
        # blocking: the thread sleeps instead of spinning, and other cells on this machine get the core
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        self._queued.append(event)
        if len(self._queued) > MAX_AHEAD:
            self._queued.popleft().synchronize()


def save_when_due(training: Training) -> None:
    """Write a checkpoint if enough time has passed or the worker was asked to end.

    Raises:
        InterruptedTrainingError: The worker was asked to end; the state is saved.
        OSError: The disk is full or cannot be written; earlier checkpoints are intact.
    """
    # asked once: a signal between two looks would end the attempt without the checkpoint that it promises
    stopping = training.stop()
    if stopping or time.monotonic() > training.save_after:
        state.save(training)
    if stopping:
        raise InterruptedTrainingError


def mean_loss(losses: Tensor, epoch: int) -> float:
    """Mean of the losses of an epoch's steps, (S,) float32; waits for the device.

    Raises:
        DivergedError: One of them is not finite.
    """
    values = losses.cpu()
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        step = int(bad[0])  # the first one: NaN spreads to all that follow
        raise DivergedError(
            f"the training loss became {values[step].item()} in epoch {epoch + 1}, step {step + 1}; "
            "a smaller lr, warm-up or fp32 may help"
        )
    # in float64, so that the mean of many thousand steps is not rounded at each addition
    return float(values.double().mean())
