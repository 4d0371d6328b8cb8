"""Measure how fast a finished net answers: the latency of one image, and the throughput of a batch.

Called by :mod:`bench.worker.main` while nothing else of bench uses the device. The net is computed as a test computes
it (eval mode, its memory format and precision), on noise and with the weights that it starts with: arithmetic takes as
long on them. What is timed begins with float32 images on the device and ends with the scores; warm-up is not timed.

Shapes: N images per batch, H = W = input size.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from bench.values import NetSpeed
from bench.worker import models
from bench.worker.evaluate import exact_head
from bench.worker.models.own_code import own_code, run_once
from bench.worker.models.scores import main_scores
from bench.worker.state import prepare_device
from bench.worker.step import memory_format
from bench.workspace.requests import TimeNet

BATCH = 64
"""Images per batch of the throughput."""
WINDOW_S = 1.0
"""Minimum measured time, in seconds, of the latency and of the throughput."""
MIN_REPEATS = 5
"""Minimum number of measured passes."""
WARM_UP_S = 0.3
"""Minimum time before the measurement, in seconds: caches fill, cuDNN chooses its kernels, clocks rise."""


def measure(request: TimeNet) -> NetSpeed:
    """Time a net; ``request`` says on what device and how.

    Raises:
        ModelError: The net cannot be built, or cannot take such images.
    """
    mode, size = request.mode, request.input_size
    device = prepare_device(mode, request.device, deterministic=False)
    torch.manual_seed(0)
    net = models.build(request.model, stem=request.stem, num_classes=request.num_classes, input_size=size)
    net.eval()
    with torch.inference_mode():
        run_once(request.model, net, size)
    net = models.place(net, device, memory_format(mode))

    @torch.inference_mode()
    def seconds(batch: int) -> list[float]:
        """The times of single passes of a batch."""
        images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=memory_format(mode))

        def forward() -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=mode.precision == "bf16"):
                main_scores(net(images))

        with own_code(request.model, f"run on {batch} images of {size}x{size}", hint=""), exact_head(net, mode):
            _times(forward, device, at_least_s=WARM_UP_S, at_least=1)
            return _times(forward, device, at_least_s=WINDOW_S, at_least=MIN_REPEATS)

    latencies, batches = np.array(seconds(1)) * 1e3, np.array(seconds(BATCH))
    return NetSpeed(
        latency_ms=float(np.median(latencies)),
        latency_iqr_ms=_iqr(latencies),
        images_per_s=float(np.median(BATCH / batches)),
        images_per_s_iqr=_iqr(BATCH / batches),
        batch=BATCH,
        repeats=len(batches),
        device=request.hardware,
        precision=mode.precision,
        threads=mode.threads,
    )


def _times(work: Callable[[], None], device: torch.device, *, at_least_s: float, at_least: int) -> list[float]:
    """Seconds of single calls, until both minimums are reached."""
    times: list[float] = []
    while len(times) < at_least or sum(times) < at_least_s:
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()  # the call returns before the device has begun
        times.append(time.perf_counter() - start)
    return times


def _iqr(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, [25, 75])
    return float(high - low)
