"""Batches from image files that are too many or too large to keep decoded: read, decoded and cut out as they are used.

Threads decode a few batches ahead; neither decoder needs the interpreter's lock, so nothing is copied between
processes. What a batch holds depends on the seed, the epoch and the step alone, whatever the number of threads:

- the order of an epoch on (seed, epoch);
- the views of a step on (seed, epoch, step), drawn for the whole batch before any of it is decoded.

So an epoch that goes on at some step gives the batches that the undisturbed one would have given, to the bit.

Odd files are decoded by what they hold, whatever their names say: grey and CMYK become RGB, a PNG named .JPEG is a PNG.
A training image that cannot be decoded is replaced, with its label, by the next one of the training set that can, in
the same view, so by one of the same class nearly always. A test image that cannot is an error. All of these are
counted. A file that cannot even be read (gone, no permission, a disk that fails) is always an error.

A batch is images (N, 3, S, S) uint8 in RGB, laid out channels last, and labels (N,) int64, both on the CPU. Whoever
trains moves and normalises it a batch at a time: uint8 is a quarter of the bytes.
"""

import math
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Generator, Tensor

from bench.errors import DataError
from bench.worker.data.batches import derived_seed
from bench.worker.data.crops import NUMBERS, Crop, centre_crop, random_resized_crop
from bench.worker.data.decode import BrokenImageError, Choose, Decoder, Member, Pixels

AHEAD = 3
"""Batches that are decoded or being decoded beside the one that was handed out."""
PORTION = 8
"""Images that a thread takes at once."""

ByteBatch = tuple[Tensor, Tensor]
"""Images (N, 3, S, S) uint8, not normalised; labels (N,) int64."""
LabelledFile = tuple[Path | Member, int]
Item = tuple[Path | Member, int, Choose, int]
"""One place of a batch: a file, its label, which view of it, and its place in the data set."""
SUBSTITUTES = 16
"""Images in a row that may be broken before training ends."""


class CropOf(Protocol):
    """Height and width of an image, the input size and ``NUMBERS`` random numbers to a view."""

    def __call__(self, height: int, width: int, *, size: int, numbers: Sequence[float]) -> Crop:
        """The view."""


class TrainFiles:
    """Files for training, shuffled anew each epoch, each in a view of its own."""

    def __init__(
        self,
        files: Sequence[LabelledFile],
        *,
        size: int,
        batch_size: int,
        seed: int,
        workers: int,
        ahead: int = AHEAD,
        view: CropOf = random_resized_crop,
    ) -> None:
        self.batch_size = min(batch_size, len(files))
        """Images a step: as asked, or the whole set where it is smaller than that."""
        self.odd: Counter[str] = Counter()
        """Odd and ``broken`` files that were read so far, by kind; see :class:`bench.worker.data.decode.Decoder`."""
        self._files, self._size, self._seed, self._view = files, size, seed, view
        self._workers, self._ahead = workers, ahead

    def __len__(self) -> int:
        """Steps an epoch; the last, smaller batch is dropped."""
        return len(self._files) // self.batch_size

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[ByteBatch]:
        """The batches of an epoch (from 0 on), from a step (from 0 on) to its last.

        Raises:
            DataError: A file cannot be read, or too many in a row are broken; raised when its batch is due.
        """
        items = self._items(epoch, start_step)
        return _decoded(items, self._size, workers=self._workers, ahead=self._ahead, odd=self.odd, among=self._files)

    def _items(self, epoch: int, start_step: int) -> Iterator[list[Item]]:
        order = torch.randperm(len(self._files), generator=_generator("order", self._seed, epoch))
        for step in range(start_step, len(self)):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size].tolist()
            # float64: in float32 the greatest number below 1 times a count could round up to the count
            drawn = torch.rand(
                (self.batch_size, NUMBERS), generator=_generator("view", self._seed, epoch, step), dtype=torch.float64
            ).tolist()
            yield [
                (*self._files[place], partial(self._view, size=self._size, numbers=numbers), place)
                for place, numbers in zip(chosen, drawn, strict=True)
            ]


class TestFiles:
    """Files for testing in their own order, whole: the centre of each; the last batch may be smaller."""

    __test__ = False  # or pytest takes it for a class of tests

    def __init__(
        self, files: Sequence[LabelledFile], *, size: int, batch_size: int, workers: int, ahead: int = AHEAD
    ) -> None:
        self.batch_size = batch_size
        self.odd: Counter[str] = Counter()
        """Odd files that were read so far, by kind."""
        self._files, self._size = files, size
        self._workers, self._ahead = workers, ahead

    def __len__(self) -> int:
        """Batches of a pass."""
        return math.ceil(len(self._files) / self.batch_size)

    def __iter__(self) -> Iterator[ByteBatch]:
        return _decoded(self._items(), self._size, workers=self._workers, ahead=self._ahead, odd=self.odd)

    def _items(self) -> Iterator[list[Item]]:
        choose = partial(centre_crop, size=self._size)
        for first in range(0, len(self._files), self.batch_size):
            places = range(first, min(first + self.batch_size, len(self._files)))
            yield [(*self._files[place], choose, place) for place in places]


def _decoded(
    batches: Iterable[list[Item]],
    size: int,
    *,
    workers: int,
    ahead: int,
    odd: Counter[str],
    among: Sequence[LabelledFile] | None = None,
) -> Iterator[ByteBatch]:
    """Decode batches in their order by ``workers`` threads, at most ``ahead`` beside the one that is handed out.

    Args:
        batches: What to decode.
        size: Side of the images in pixels.
        workers: Threads.
        ahead: Batches.
        odd: Counts odd files.
        among: What replaces broken files; None: nothing does.
    """
    mine, counting = threading.local(), threading.Lock()

    def start() -> None:
        mine.decoder = Decoder()

    def decode(items: Sequence[Item], out: Pixels, labels: Tensor) -> None:
        decoder: Decoder = mine.decoder
        for number, (file, _, choose, place) in enumerate(items):
            try:
                decoder.read(file, choose, out[number])
            except BrokenImageError as error:
                if among is None:
                    raise
                decoder.odd["broken"] += 1
                labels[number] = replace_broken(decoder, place, choose, out[number], among, error)
        if decoder.odd:
            with counting:
                odd.update(decoder.odd)
            decoder.odd.clear()

    def begin(items: list[Item]) -> tuple[ByteBatch, list[Future[None]]]:
        images = torch.empty((len(items), size, size, 3), dtype=torch.uint8)
        out = images.numpy()
        labels = torch.tensor([label for _, label, _, _ in items], dtype=torch.int64)
        portions = (slice(first, first + PORTION) for first in range(0, len(items), PORTION))
        decoding = [pool.submit(decode, items[portion], out[portion], labels[portion]) for portion in portions]
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


def replace_broken(
    decoder: Decoder, place: int, choose: Choose, out: Pixels, among: Sequence[LabelledFile], error: DataError
) -> int:
    """Read the next file behind a broken one that is whole instead, in the same view. Returns its label.

    Raises:
        DataError: The next ``SUBSTITUTES`` files are broken too.
    """
    for step in range(1, SUBSTITUTES + 1):
        file, label = among[(place + step) % len(among)]
        try:
            decoder.read(file, choose, out)
        except BrokenImageError:
            continue
        return label
    raise DataError(f"{error}, and so are the {SUBSTITUTES} training images behind it")


def _generator(stream: str, *numbers: int) -> Generator:
    return Generator().manual_seed(derived_seed(stream, *numbers))
