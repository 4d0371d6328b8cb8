"""Batches from image files that are too many or too large to keep decoded: read, decoded and cut out as they are used.

Threads decode a few batches ahead; neither decoder needs the interpreter's lock, so nothing is copied between
processes. What a batch holds depends on the seed, the epoch and the step alone, whatever the number of threads:

- the order of an epoch on (seed, epoch);
- the views of a step on (seed, epoch, step), drawn for the whole batch before any of it is decoded.

So an epoch that goes on at some step gives the batches that the undisturbed one would have given, to the bit.

A batch is images (N, 3, S, S) uint8 in RGB, laid out channels last, and labels (N,) int64, both on the CPU. Whoever
trains moves and normalises it a batch at a time: uint8 is a quarter of the bytes.
"""

import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor

from bench.worker.data.batches import derived_seed
from bench.worker.data.decode import Choose, Decoder, Pixels
from bench.worker.data.views import NUMBERS, centre_view, random_view

AHEAD = 3
"""Batches that are decoded or being decoded beside the one that was handed out."""
PORTION = 8
"""Images that a thread takes at once."""

ByteBatch = tuple[Tensor, Tensor]
"""Images (N, 3, S, S) uint8, not normalised; labels (N,) int64."""
LabelledFile = tuple[Path, int]
Item = tuple[Path, int, Choose]
"""One place of a batch: a file, its label and which view of it."""


class TrainFiles:
    """Files for training, shuffled anew each epoch, each seen in a random part and mirrored half the time."""

    def __init__(
        self, files: Sequence[LabelledFile], *, size: int, batch_size: int, seed: int, workers: int, ahead: int = AHEAD
    ) -> None:
        self.batch_size = min(batch_size, len(files))
        """Images a step: as asked, or the whole set where it is smaller than that."""
        self._files, self._size, self._seed = files, size, seed
        self._workers, self._ahead = workers, ahead

    def __len__(self) -> int:
        """Steps an epoch; the last, smaller batch is dropped."""
        return len(self._files) // self.batch_size

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[ByteBatch]:
        """The batches of an epoch (from 0 on), from a step (from 0 on) to its last.

        Raises:
            DataError: A file cannot be read as an image; raised when its batch is due.
        """
        return _decoded(self._items(epoch, start_step), self._size, workers=self._workers, ahead=self._ahead)

    def _items(self, epoch: int, start_step: int) -> Iterator[list[Item]]:
        order = torch.randperm(len(self._files), generator=_generator("order", self._seed, epoch))
        for step in range(start_step, len(self)):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size].tolist()
            # float64: in float32 the greatest number below 1 times a count could round up to the count
            drawn = torch.rand(
                (self.batch_size, NUMBERS), generator=_generator("view", self._seed, epoch, step), dtype=torch.float64
            ).tolist()
            yield [
                (*self._files[place], partial(random_view, size=self._size, numbers=numbers))
                for place, numbers in zip(chosen, drawn, strict=True)
            ]


class TestFiles:
    """Files for testing in their own order, whole: the centre of each; the last batch may be smaller."""

    __test__ = False  # or pytest takes it for a class of tests

    def __init__(
        self, files: Sequence[LabelledFile], *, size: int, batch_size: int, workers: int, ahead: int = AHEAD
    ) -> None:
        self.batch_size = batch_size
        self._files, self._size = files, size
        self._workers, self._ahead = workers, ahead

    def __len__(self) -> int:
        """Batches of a pass."""
        return math.ceil(len(self._files) / self.batch_size)

    def __iter__(self) -> Iterator[ByteBatch]:
        return _decoded(self._items(), self._size, workers=self._workers, ahead=self._ahead)

    def _items(self) -> Iterator[list[Item]]:
        choose = partial(centre_view, size=self._size)
        for first in range(0, len(self._files), self.batch_size):
            yield [(file, label, choose) for file, label in self._files[first : first + self.batch_size]]


def _decoded(batches: Iterable[list[Item]], size: int, *, workers: int, ahead: int) -> Iterator[ByteBatch]:
    """Decode batches in their order by ``workers`` threads, at most ``ahead`` beside the one that is handed out."""
    mine = threading.local()

    def start() -> None:
        mine.decoder = Decoder()

    def decode(items: Sequence[Item], out: Pixels) -> None:
        for (file, _, choose), pixels in zip(items, out, strict=True):
            mine.decoder.read(file, choose, pixels)

    def begin(items: list[Item]) -> tuple[ByteBatch, list[Future[None]]]:
        images = torch.empty((len(items), size, size, 3), dtype=torch.uint8)
        out = images.numpy()
        portions = (slice(first, first + PORTION) for first in range(0, len(items), PORTION))
        decoding = [pool.submit(decode, items[portion], out[portion]) for portion in portions]
        labels = torch.tensor([label for _, label, _ in items], dtype=torch.int64)
        return (images.permute(0, 3, 1, 2), labels), decoding

    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode", initializer=start)
    pending: deque[tuple[ByteBatch, list[Future[None]]]] = deque()
    coming = iter(batches)
    try:
        while True:
            while len(pending) <= ahead and (items := next(coming, None)) is not None:
                pending.append(begin(items))
            if not pending:
                return
            batch, decoding = pending.popleft()
            for portion in decoding:
                portion.result()
            yield batch
    finally:  # also where the consumer leaves early or a file is broken: nothing goes on decoding
        pool.shutdown(cancel_futures=True)


def _generator(stream: str, *numbers: int) -> Generator:
    return Generator().manual_seed(derived_seed(stream, *numbers))
