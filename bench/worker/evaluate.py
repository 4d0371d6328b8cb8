"""Test a net on the whole test set: loss, top-1 and top-5.

Called by :mod:`bench.worker.train` after each epoch. Changes no weight and no random state.

Shapes: N images per batch or of the test set, K classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from bench.values import Mode
from bench.worker.data.dataset import TestingBatches, test_batches
from bench.worker.state import Training
from bench.worker.step import Record, Work, memory_format, record_graph

TEST_BATCH = 500
"""Images per test batch. A streamed test takes fewer, see :func:`bench.worker.data.dataset.test_batches`."""
TOP_CLASSES = 5
"""The K of top-K; also how many classes a prediction holds."""


class Evaluator:
    """Tests a net on each image of the test set, once.

    In a captured mode the first full batch records a CUDA graph, and every full batch after it replays that graph.
    """

    _replay: Work | None = None
    _images: Tensor
    """The graph's own input, (N, C, H, W) uint8."""
    _scores: Tensor
    """The graph's own output, (N, K) float32."""

    def __init__(
        self,
        net: nn.Module,
        batches: TestingBatches,
        *,
        mode: Mode,
        beat: Callable[[], None],
        record: Record = record_graph,
    ) -> None:
        """``beat`` is called after each batch, to show that the process is alive."""
        self._net, self._batches, self._mode, self._beat, self._record = net, batches, mode, beat, record

    # no_grad and not inference_mode: a CUDA generator that is first recorded in inference mode has state tensors that
    # training could not change afterwards
    @torch.no_grad()
    def __call__(self) -> tuple[dict[str, float], Tensor]:
        """Returns the metrics (loss; top-1 and top-5 in percent) and the scores (N, K) float32, on the device."""
        self._net.eval()  # no dropout, and BatchNorm uses its running statistics: a score must not depend on its batch
        batch_scores = []
        for images in self._batches:
            # scores stay on the device until the end, so that the device never waits for the host
            batch_scores.append(self._score(images))
            self._beat()
        scores, labels = torch.cat(batch_scores), self._batches.labels
        hits = scores.topk(min(TOP_CLASSES, scores.shape[1]), dim=1).indices == labels[:, None]
        metrics = {
            # without label smoothing, which is a regulariser of training: losses of different recipes compare
            "test/loss": F.cross_entropy(scores, labels).item(),
            # sums of booleans are exact integers; a mean of float32 would round
            "test/top1": 100.0 * hits[:, 0].sum().item() / len(labels),
            "test/top5": 100.0 * hits.any(dim=1).sum().item() / len(labels),
        }
        return metrics, scores

    def _score(self, images: Tensor) -> Tensor:
        """Scores (N, K) float32 of a batch (N, C, H, W) uint8, on the device; does not wait for them."""
        # a graph has fixed shapes, so the smaller last batch is computed as it comes: every image counts in a test
        if not self._mode.captured or len(images) < self._batches.batch_size:
            return self._forward(images)
        if self._replay is None:
            self._images = images.clone()
            self._scores = self._forward(self._images)
            self._replay = self._record(lambda: self._scores.copy_(self._forward(self._images)), lambda: None)
        self._images.copy_(images)
        self._replay()
        return self._scores.clone()  # the next replay overwrites them

    def _forward(self, images: Tensor) -> Tensor:
        # never the compiled net: eval mode and another batch size would each be compiled once more
        normalised = self._batches.normalise(images).contiguous(memory_format=memory_format(self._mode))
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._mode.precision == "bf16"):
            scores: Tensor = self._net(normalised)
        return scores.float()  # bf16 has 8 bits of precision: softmax and ties of top-5 want more


def make_evaluator(training: Training) -> Evaluator:
    """The evaluator of a cell in training."""
    batches = test_batches(
        training.data,
        training.cell.recipe,
        batch_size=TEST_BATCH,
        device=training.device,
        workers=training.attempt.mode.threads,
    )
    return Evaluator(training.net, batches, mode=training.attempt.mode, beat=training.journal.beat)
