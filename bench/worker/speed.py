"""Measure how fast a net trains in a mode, in a second or two: real steps on random images, nothing kept.

Called by :mod:`bench.worker.main`, in as many processes at once as cells would run side by side, so that what they
take from each other (cores, caches, memory bandwidth) is in the figure.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from bench.catalog.training import AUGMENTATIONS
from bench.values import Cell, Mode, from_dict
from bench.worker import models
from bench.worker.data.batches import TestBatches, TrainBatches
from bench.worker.data.pack import PackedDataset
from bench.worker.evaluate import TEST_BATCH, Evaluator
from bench.worker.optim import build_optimizer
from bench.worker.results import peak_mb
from bench.worker.state import prepare_device
from bench.worker.step import make_step, memory_format

WINDOW_S = 0.5
"""Least time that is measured."""
MIN_STEPS = 2
"""Least number of steps that are measured."""
WARM_UP_S, WARM_UP_STEPS = 0.2, 2
"""What goes before: at least so long or so many steps."""
BARRIER_S = 300.0
"""How long a process waits for the others to be warm; to compile a large net takes minutes."""


def measure(request: Mapping[str, Any], barrier: "threading.Barrier | None") -> dict[str, Any]:
    """Answer ``{"cell", "num_classes", "mode", "device", "deterministic"}`` with what was measured, or an ``error``.

    The answer holds ``images_per_s``, ``warm_up_s`` and ``peak_mb``; see :class:`bench.scheduler.modes.Measurement`.
    ``meet`` is passed
    by all processes that are measured together when they are warm. What fails here is no reason to fail a cell: a mode
    that cannot be used, or that has too little memory, is one that is not chosen.
    """
    try:
        return _measure(request, barrier)
    except Exception as error:
        if barrier is not None:
            barrier.abort()
        return {"error": f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0][:300]}"}


def _measure(request: Mapping[str, Any], barrier: "threading.Barrier | None") -> dict[str, Any]:
    began = time.perf_counter()
    cell, mode = from_dict(Cell, request["cell"]), from_dict(Mode, request["mode"])
    device = prepare_device(mode, request["device"], deterministic=request["deterministic"])
    torch.manual_seed(0)
    recipe, classes = cell.recipe, int(request["num_classes"])
    net = models.build(cell.model, stem=recipe.stem, num_classes=classes)
    net = models.place(net, device, memory_format(mode)).train()
    images = max(recipe.batch_size, TEST_BATCH) if device.type == "cuda" else recipe.batch_size
    data = random_dataset(images=images, size=recipe.input_size, classes=classes)
    # which part of a file is decoded is no work of the device's, and has no form for batches
    augment = [choice for choice in recipe.augment if not AUGMENTATIONS[choice.name].of_files]
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

    def steps(least_s: float, least: int) -> tuple[int, float]:
        """Train until both are reached. Returns steps and seconds."""
        start, count = time.perf_counter(), 0
        while count < least or time.perf_counter() - start < least_s:
            step(inputs, count)
            count += 1
            if device.type == "cuda" and count % 10 == 0:
                torch.cuda.synchronize()  # or the host would count steps that the device has not begun
        if device.type == "cuda":
            torch.cuda.synchronize()
        return count, time.perf_counter() - start

    steps(WARM_UP_S, WARM_UP_STEPS)
    warm_up_s = time.perf_counter() - began
    if device.type == "cuda":
        # testing takes memory of its own, which must fit too
        Evaluator(net, TestBatches(data, batch_size=TEST_BATCH, device=device), mode=mode, beat=lambda: None)()
        net.train()
        torch.cuda.empty_cache()  # what cuDNN tried its kernels in, which training does not need
        torch.cuda.reset_peak_memory_stats()
    if barrier is not None:
        barrier.wait(BARRIER_S)
    count, elapsed_s = steps(WINDOW_S, MIN_STEPS)
    return {
        "images_per_s": count * recipe.batch_size / elapsed_s,
        "warm_up_s": warm_up_s,
        "peak_mb": reserved_mb(device),
    }


def reserved_mb(device: torch.device) -> float:
    """Most memory that is taken from others, in megabytes.

    More than what tensors take: a CUDA graph keeps its own memory between replays, and the allocator whole blocks.
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
