"""Measure how fast a net trains in a mode, in a second or two: real steps on random images, nothing kept.

Called by :mod:`bench.worker.main`, in as many processes at once as cells would run side by side, so that what they
take from each other (cores, caches, memory bandwidth) is in the figure.
"""

import threading
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from bench.catalog.training import AUGMENTATIONS
from bench.values import Failure, Mode
from bench.worker import models
from bench.worker.data.batches import StepInputs, TestBatches, TrainBatches
from bench.worker.data.pack import PackedDataset
from bench.worker.evaluate import TEST_BATCH, Evaluator
from bench.worker.failures import first_line
from bench.worker.optim import build_optimizer
from bench.worker.results import peak_mb
from bench.worker.state import prepare_device
from bench.worker.step import Step, make_step, memory_format
from bench.workspace.requests import Trial, TrialSpeed

WINDOW_S = 0.5
"""Minimum measured time, in seconds."""
MIN_STEPS = 2
"""Minimum number of measured steps."""
WARM_UP_S, WARM_UP_STEPS = 0.2, 2
"""Minimum time, in seconds, and minimum number of steps before the measurement."""
BARRIER_S = 300.0
"""How long a process waits for the others to be warm, in seconds; compiling a large net takes minutes."""


def measure(request: Trial, barrier: "threading.Barrier | None" = None) -> TrialSpeed | Failure:
    """Time real training steps on random images.

    A failure here does not fail a cell: a mode that cannot be used, or that needs too much memory, is not chosen.

    Args:
        request: What to train and how.
        barrier: Passed by all processes that are measured together when they are warm.
    """
    try:
        return _measure(request, barrier)
    except Exception as error:
        if barrier is not None:
            barrier.abort()
        return Failure(error=f"{type(error).__name__}: {first_line(error)}")


def _measure(request: Trial, barrier: "threading.Barrier | None") -> TrialSpeed:
    began = time.perf_counter()
    trial = build_trial(request)
    trial.timed_steps(WARM_UP_S, WARM_UP_STEPS)
    warm_up_s = time.perf_counter() - began
    if trial.device.type == "cuda":
        trial.start_memory_count()
    if barrier is not None:
        barrier.wait(BARRIER_S)
    steps, elapsed_s = trial.timed_steps(WINDOW_S, MIN_STEPS)
    return TrialSpeed(
        images_per_s=steps * request.cell.recipe.batch_size / elapsed_s,
        warm_up_s=warm_up_s,
        peak_mb=reserved_mb(trial.device),
    )


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A net in training on one batch of random images."""

    net: nn.Module
    data: PackedDataset
    step: Step
    inputs: StepInputs
    """Of the one step that is repeated."""
    mode: Mode
    device: torch.device

    def timed_steps(self, min_s: float, min_steps: int) -> tuple[int, float]:
        """Train until both minimums are reached. Returns steps and seconds."""
        start, count = time.perf_counter(), 0
        while count < min_steps or time.perf_counter() - start < min_s:
            self.step(self.inputs, count)
            count += 1
            if self.device.type == "cuda" and count % 10 == 0:
                torch.cuda.synchronize()  # or the host would count steps that the device has not begun
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return count, time.perf_counter() - start

    def start_memory_count(self) -> None:
        """Begin to count the device's peak memory: of training and of testing, which takes memory of its own."""
        Evaluator(
            self.net, TestBatches(self.data, batch_size=TEST_BATCH, device=self.device), mode=self.mode, beat=_no_beat
        )()
        self.net.train()
        torch.cuda.empty_cache()  # what cuDNN tried its kernels in, which training does not need
        torch.cuda.reset_peak_memory_stats()


def build_trial(request: Trial) -> RunningTrial:
    """Build what a cell would train with, on random images."""
    cell, mode, recipe = request.cell, request.mode, request.cell.recipe
    device = prepare_device(mode, request.device, deterministic=request.deterministic)
    torch.manual_seed(0)
    net = models.build(cell.model, stem=recipe.stem, num_classes=request.num_classes, input_size=recipe.input_size)
    net = models.place(net, device, memory_format(mode)).train()
    images = max(recipe.batch_size, TEST_BATCH) if device.type == "cuda" else recipe.batch_size
    data = random_dataset(images=images, size=recipe.input_size, classes=request.num_classes)
    # which part of a file is decoded is not the device's work, and does not exist for batches
    augment = [component for component in recipe.augment if not AUGMENTATIONS[component.name].of_files]
    batches = TrainBatches(data, batch_size=recipe.batch_size, augment=augment, seed=0, device=device)
    step = make_step(
        net,
        build_optimizer(net.parameters(), recipe.optimizer),
        batches.assemble,
        mode=mode,
        device=device,
        label_smoothing=recipe.label_smoothing,
    )
    step.set_rate(1e-4)
    inputs = next(iter(batches.epoch_inputs(0)))
    return RunningTrial(net=net, data=data, step=step, inputs=inputs, mode=mode, device=device)


def _no_beat() -> None:
    """A trial has no journal."""


def reserved_mb(device: torch.device) -> float:
    """Peak memory that other processes cannot use, in MB (10**6 bytes).

    More than the tensors take: a CUDA graph keeps its own memory between replays, and the allocator whole blocks.
    """
    return torch.cuda.max_memory_reserved() / 1e6 if device.type == "cuda" else peak_mb(device)


def random_dataset(*, images: int, size: int, classes: int) -> PackedDataset:
    """A data set of noise, (N, 3, ``size``, ``size``), for training and testing alike: arithmetic takes as long on it
    as on photos.
    """
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (images, 3, size, size), dtype=np.uint8)
    labels = generator.integers(0, classes, images)
    return PackedDataset(
        name="noise",
        train_images=pixels,
        train_labels=labels,
        test_images=pixels,
        test_labels=labels,
        classes=tuple(map(str, range(classes))),
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        digest="",
    )
