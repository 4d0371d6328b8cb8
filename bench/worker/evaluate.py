"""Test a net on the whole test set: loss, top-1 and top-5.

Called by :mod:`bench.worker.train` after each epoch. Changes no weight, no statistic and no random state.

Shapes: N images per batch or of the test set, K classes.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from bench.values import Mode
from bench.worker.data.dataset import EpochBatches, TestingBatches, test_batches
from bench.worker.models.scores import main_scores
from bench.worker.settling import settled
from bench.worker.state import Training
from bench.worker.step import Record, Work, memory_format, record_graph

TEST_BATCH = 500
"""Images per test batch. A streamed test takes fewer, see :func:`bench.worker.data.dataset.test_batches`."""
TOP_CLASSES = 5
"""The K of top-K; also how many classes a prediction holds."""
PART = 8192
"""Images whose scores are ranked at a time."""


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
        settle: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Prepare to test.

        Args:
            net: What is tested.
            batches: The test set.
            mode: How it is computed.
            beat: Called after each batch, to show that the process is alive.
            record: Records a batch as a CUDA graph.
            settle: Entered for each test; see :func:`bench.worker.settling.settled`.
        """
        self._settle = settle
        self._net, self._batches, self._mode, self._beat, self._record = net, batches, mode, beat, record

    # no_grad and not inference_mode: a CUDA generator that is first recorded in inference mode has state tensors that
    # training could not change afterwards
    @torch.no_grad()
    def __call__(self) -> tuple[dict[str, float], Tensor]:
        """Returns the metrics (loss; top-1 and top-5 in percent) and the scores (N, K) float32, on the device."""
        batch_scores = []
        with self._settle(), exact_head(self._net, self._mode):
            self._net.eval()  # no dropout, and batch norm uses its running statistics: no score depends on its batch
            for images in self._batches:
                # scores stay on the device until the end, so that the device never waits for the host
                batch_scores.append(self._score(images))
                self._beat()
        scores, labels = torch.cat(batch_scores), self._batches.labels
        before = ranks(scores, labels)
        metrics = {
            # without label smoothing, which is a regulariser of training: losses of different recipes compare
            "test/loss": F.cross_entropy(scores, labels).item(),
            # sums of booleans are exact integers; a mean of float32 would round
            "test/top1": 100.0 * (before < 1).sum().item() / len(labels),
            "test/top5": 100.0 * (before < TOP_CLASSES).sum().item() / len(labels),
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
            scores = main_scores(self._net(normalised))
        return scores.float()  # bf16 has 8 bits of precision: softmax and ties of top-5 want more


@contextmanager
def exact_head(net: nn.Module, mode: Mode) -> Iterator[None]:
    """Has the last linear layer of a net in bf16 compute in fp32.

    Rounded to bf16, the two highest scores of one test image in 150 are equal.
    """
    layers = [layer for layer in net.modules() if type(layer) is nn.Linear]
    if mode.precision != "bf16" or not layers:
        yield
        return
    hook = layers[-1].register_forward_hook(_in_fp32)
    try:
        yield
    finally:
        hook.remove()


def _in_fp32(layer: nn.Module, inputs: tuple[Tensor, ...], _: object) -> Tensor:
    assert isinstance(layer, nn.Linear)
    with torch.autocast(inputs[0].device.type, enabled=False):
        return F.linear(inputs[0].float(), layer.weight, layer.bias)


def ranks(scores: Tensor, labels: Tensor) -> Tensor:
    """How many classes come before the true one, (N,) int64, for scores (N, K) and labels (N,).

    Equal scores are in the order of the classes, as for ``argmax``; NaN comes last. :func:`top_classes` has the same
    order.
    """
    found = []
    for part, truth in zip(_ordered(scores), torch.split(labels[:, None], PART), strict=True):
        score, classes = part.gather(1, truth), torch.arange(part.shape[1], device=part.device)
        found.append(((part > score) | ((part == score) & (classes < truth))).sum(dim=1))
    return torch.cat(found)


def top_classes(scores: Tensor) -> Tensor:
    """The likeliest classes of each image, (N, up to TOP_CLASSES) int64, for scores (N, K)."""
    # sorted and not topk, which leaves the order of equal scores open
    parts = [part.sort(dim=1, descending=True, stable=True).indices[:, :TOP_CLASSES] for part in _ordered(scores)]
    return torch.cat(parts)


def _ordered(scores: Tensor) -> Iterator[Tensor]:
    """Scores in parts of :data:`PART` images, which need little memory, with NaN below all numbers."""
    return (part.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf) for part in torch.split(scores, PART))


def make_evaluator(training: Training, train_batches: EpochBatches) -> Evaluator:
    """The evaluator of a cell in training; see :mod:`bench.worker.settling` for what it needs training images for."""
    batches = test_batches(
        training.data,
        training.cell.recipe,
        batch_size=TEST_BATCH,
        device=training.device,
        workers=training.attempt.mode.threads,
    )
    return Evaluator(
        training.net,
        batches,
        mode=training.attempt.mode,
        beat=training.journal.beat,
        settle=partial(settled, training, train_batches),
    )
