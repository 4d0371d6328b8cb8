"""Test a net and keep what a finished cell leaves behind: weights, predictions, speed and memory.

Shapes: N images, K classes.
"""

import hashlib
import io
import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from bench.values import Cell, Mode
from bench.worker.data.dataset import TestingBatches
from bench.worker.step import Record, Work, memory_format, record_graph
from bench.workspace.events import Summarised
from bench.workspace.files import write_atomically
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

TOP_CLASSES = 5


@dataclass(frozen=True)
class EpochTiming:
    """Wall times of what this attempt ran of one epoch, in seconds."""

    train_s: float
    total_s: float
    images: int


class Evaluator:
    """Tests a net on every test image, a batch at a time; of a captured mode, full batches are replays of one graph."""

    __test__ = False  # or pytest takes it for a class of tests

    _replay: Work | None = None
    _images: Tensor
    _scores: Tensor

    def __init__(
        self,
        net: nn.Module,
        batches: TestingBatches,
        *,
        mode: Mode,
        beat: Callable[[], None],
        record: Record = record_graph,
    ) -> None:
        """``beat`` is called after every batch, to show that the process lives."""
        self._net, self._batches, self._mode, self._beat, self._record = net, batches, mode, beat, record

    # not inference_mode: the tensors of a generator that is first recorded in it could not be changed outside of it
    @torch.no_grad()
    def __call__(self) -> tuple[dict[str, float], Tensor]:
        """Returns the metrics (loss; top-1 and top-5 in percent) and the scores (N, K) float32."""
        self._net.eval()
        scored = []
        for images in self._batches:
            scored.append(self._score(images))
            self._beat()
        scores, labels = torch.cat(scored), self._batches.labels
        hits = scores.topk(min(TOP_CLASSES, scores.shape[1]), dim=1).indices == labels[:, None]
        metrics = {
            "test/loss": F.cross_entropy(scores, labels).item(),
            "test/top1": 100.0 * hits[:, 0].sum().item() / len(labels),
            "test/top5": 100.0 * hits.any(dim=1).sum().item() / len(labels),
        }
        return metrics, scores

    def _score(self, images: Tensor) -> Tensor:
        """Scores (N, K) float32 of a batch (N, C, H, W) uint8, on the device and unread."""
        if not self._mode.captured or len(images) < self._batches.batch_size:
            return self._forward(images)
        if self._replay is None:
            self._images = images.clone()
            self._scores = self._forward(self._images)
            self._replay = self._record(lambda: self._scores.copy_(self._forward(self._images)), lambda: None)
        self._images.copy_(images)
        self._replay()
        return self._scores.clone()

    def _forward(self, images: Tensor) -> Tensor:
        normalised = self._batches.normalise(images).contiguous(memory_format=memory_format(self._mode))
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._mode.precision == "bf16"):
            scores: Tensor = self._net(normalised)
        return scores.float()


def keep_predictions(scores: Tensor, labels: "np.ndarray[tuple[int], np.dtype[np.int64]]", folder: CellFolder) -> None:
    """Write the five likeliest classes of every test image, in the order of the test set, with the true ones.

    The file holds ``labels`` (N,) int64, ``classes`` (N, 5) uint16 and ``probabilities`` (N, 5) float32.
    """
    top = scores.softmax(dim=1).topk(min(TOP_CLASSES, scores.shape[1]), dim=1)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        labels=np.asarray(labels),
        classes=top.indices.cpu().numpy().astype(np.uint16),
        probabilities=top.values.cpu().numpy(),
    )
    write_atomically(folder.predictions, content.getvalue())


def keep_weights(net: nn.Module, cell: Cell, folder: CellFolder) -> str:
    """Write the weights as safetensors and return the file's SHA-256."""
    weights = {name: value.detach().clone().contiguous().cpu() for name, value in net.state_dict().items()}
    # one key and no more: safetensors writes several in any order, and equal weights would have other digests
    content = save(weights, metadata={"cell": cell.id})
    write_atomically(folder.weights, content)
    return hashlib.sha256(content).hexdigest()


def journal_summary(timings: list[EpochTiming], device: torch.device, total_s: float, journal: Journal) -> None:
    """Journal speed and memory. The first epoch warms caches and kernels up and does not count for speed."""
    metrics = {"memory/peak_mb": peak_mb(device), "time/total_s": round(total_s, 3)}
    if settled := timings[1:] or timings:
        train_s = sum(timing.train_s for timing in settled)
        metrics["speed/images_per_s"] = round(sum(timing.images for timing in settled) / train_s, 1)
        metrics["speed/epoch_s"] = round(statistics.median(timing.total_s for timing in settled), 4)
    journal.write(Summarised(metrics=metrics))


def peak_mb(device: torch.device) -> float:
    """Most memory in use so far, in megabytes: of the GPU's allocator, or of the process on the CPU."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
