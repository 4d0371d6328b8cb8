"""Decode batches of image files in threads, a few batches ahead of the consumer.

Called by :mod:`bench.worker.data.stream`, which decides what is in a batch. Neither decoder needs the interpreter's
lock, so that threads suffice and nothing is copied between processes. The result does not depend on the number of
threads.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from bench.errors import DataError
from bench.worker.data.decode import BrokenImageError, CropFn, Decoder, Member, Pixels

AHEAD = 3
"""Batches that are decoded or being decoded in addition to the one handed out."""
PORTION = 8
"""Images per task of a thread."""
MAX_SUBSTITUTES = 16
"""Consecutive images that may be broken before training fails."""

ByteBatch = tuple[Tensor, Tensor]
"""Images (N, 3, S, S) uint8 in RGB, channels last, not normalised; labels (N,) int64. Both on the CPU."""
LabelledFile = tuple[Path | Member, int]


class Item(NamedTuple):
    """One image of a batch."""

    file: Path | Member
    label: int
    crop_fn: CropFn
    position: int
    """Its index in the data set."""


class PendingBatch(NamedTuple):
    """A batch that is being decoded."""

    batch: ByteBatch
    tasks: list[Future[None]]


class DecodePool:
    """Threads that decode the images of batches in place."""

    def __init__(
        self,
        size: int,
        *,
        workers: int,
        nonstandard: Counter[str],
        substitutes: Sequence[LabelledFile] | None = None,
        problems: list[str] | None = None,
    ) -> None:
        """Start with no thread; they start as tasks come.

        Args:
            size: Side of the decoded images, S, in pixels.
            workers: Threads.
            nonstandard: Counts non-standard and ``broken`` images by kind.
            substitutes: The data set, whose next whole image replaces a broken one; None: a broken image is an error.
            problems: Takes what is wrong with images that cannot be read, in no order, in place of an error.
        """
        self._size, self._nonstandard, self._substitutes = size, nonstandard, substitutes
        self._problems = problems
        self._thread, self._counting = threading.local(), threading.Lock()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode", initializer=self._start_thread)

    def submit(self, items: Sequence[Item]) -> PendingBatch:
        """Start to decode a batch."""
        images = torch.empty((len(items), self._size, self._size, 3), dtype=torch.uint8)
        out = images.numpy()
        labels = torch.tensor([item.label for item in items], dtype=torch.int64)
        portions = (slice(first, first + PORTION) for first in range(0, len(items), PORTION))
        tasks = [
            self._threads.submit(self._decode, items[portion], out[portion], labels[portion]) for portion in portions
        ]
        return PendingBatch((images.permute(0, 3, 1, 2), labels), tasks)

    def result(self, pending: PendingBatch) -> ByteBatch:
        """Wait for a batch.

        Raises:
            DataError: One of its files cannot be read, or is broken and is not replaced.
        """
        for task in pending.tasks:
            task.result()
        return pending.batch

    def close(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._threads.shutdown(cancel_futures=True)

    def _start_thread(self) -> None:
        self._thread.decoder = Decoder()  # its buffers are not thread-safe

    def _decode(self, items: Sequence[Item], out: Pixels, labels: Tensor) -> None:
        """Decode into ``out`` (n, S, S, 3); a replaced image overwrites its label, (n,) int64."""
        decoder: Decoder = self._thread.decoder
        for number, item in enumerate(items):
            try:
                decoder.read(item.file, item.crop_fn, out[number])
            except DataError as error:
                if self._problems is not None:
                    self._problems.append(str(error))
                    continue
                if self._substitutes is None or not isinstance(error, BrokenImageError):
                    raise
                decoder.nonstandard["broken"] += 1
                labels[number] = _read_substitute(decoder, item, out[number], self._substitutes, error)
        if decoder.nonstandard:  # rare: the lock is taken only for portions that have such images
            with self._counting:
                self._nonstandard.update(decoder.nonstandard)
            decoder.nonstandard.clear()


def decoded(batches: Iterable[Sequence[Item]], pool: DecodePool, *, ahead: int) -> Iterator[ByteBatch]:
    """Decode batches in their order, at most ``ahead`` in addition to the one handed out; closes the pool at the end.

    Raises:
        DataError: See :meth:`DecodePool.result`; raised when the batch is due.
    """
    pending: deque[PendingBatch] = deque()
    remaining = iter(batches)
    try:
        while True:
            while len(pending) <= ahead and (items := next(remaining, None)) is not None:
                pending.append(pool.submit(items))
            if not pending:
                return
            yield pool.result(pending.popleft())
    finally:  # also when the consumer stops early or a file is broken: no thread keeps decoding
        pool.close()


def _read_substitute(decoder: Decoder, item: Item, out: Pixels, files: Sequence[LabelledFile], error: DataError) -> int:
    """Read the next whole image after a broken one in its place, with the same crop. Returns its label.

    Raises:
        DataError: The next ``MAX_SUBSTITUTES`` files are broken too.
    """
    for step in range(1, MAX_SUBSTITUTES + 1):
        file, label = files[(item.position + step) % len(files)]
        try:
            decoder.read(file, item.crop_fn, out)
        except BrokenImageError:
            continue
        return label
    raise DataError(f"{error}, and so are the {MAX_SUBSTITUTES} training images after it")
