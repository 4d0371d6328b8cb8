"""Batches of image files on the CPU: which file, in which crop, at which place of which batch.

Called by :mod:`bench.worker.data.stream`, which moves batches to the device, and by :mod:`bench.worker.data.samples`.

What a batch holds depends on the seed, the epoch and the step alone, whatever the number of threads:

- the order of an epoch on (seed, epoch);
- the crops of a step on (seed, epoch, step), drawn for the whole batch before any of it is decoded.

Non-standard images are converted: grey and CMYK become RGB, a PNG named .JPEG is read as a PNG. A broken training image
is replaced, with its label, by the next whole one of the training set, in the same crop, so nearly always by one of the
same class. A broken test image is an error. All of these are counted. A file that cannot even be read (missing, no
permission, a failing disk) is always an error.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol

import torch

from bench.worker.data.batches import split_epoch
from bench.worker.data.crops import UNIFORMS, Crop, centre_crop, random_resized_crop
from bench.worker.data.decode import CropFn
from bench.worker.data.decode_pool import AHEAD, ByteBatch, DecodePool, Item, LabelledFile, decoded
from bench.worker.seeds import stream_generator


class CropSampler(Protocol):
    """A crop as a function of an image's size, the input size and ``UNIFORMS`` random numbers."""

    def __call__(self, height: int, width: int, *, size: int, numbers: Sequence[float]) -> Crop:
        """The crop."""


def sample_centre(
    height: int,
    width: int,
    *,
    size: int,
    numbers: Sequence[float],  # noqa: ARG001
    resize: int = 0,
    exact: bool = False,
) -> Crop:
    """The :class:`CropSampler` that always takes the centre."""
    return centre_crop(height, width, size=size, resize=resize, exact=exact)


class TrainFiles:
    """Training files, reshuffled every epoch, each in a crop of its own."""

    def __init__(
        self,
        files: Sequence[LabelledFile],
        *,
        size: int,
        batch_size: int,
        seed: int,
        workers: int,
        ahead: int = AHEAD,
        sampler: CropSampler = random_resized_crop,
        drop_last: bool = True,
    ) -> None:
        self.batch_size, self.images = split_epoch(len(files), batch_size, drop_last=drop_last)
        self.nonstandard: Counter[str] = Counter()
        """Non-standard and ``broken`` images read so far, by kind; see :class:`bench.worker.data.decode.Decoder`."""
        self._files, self._size, self._seed, self._sampler = files, size, seed, sampler
        self._workers, self._ahead = workers, ahead

    def __len__(self) -> int:
        """Steps per epoch."""
        return math.ceil(self.images / self.batch_size)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[ByteBatch]:
        """The batches of an epoch (from 0 on), from ``start_step`` (from 0 on) to its last.

        Raises:
            DataError: A file cannot be read, or too many in a row are broken; raised when its batch is due.
        """
        pool = DecodePool(self._size, workers=self._workers, nonstandard=self.nonstandard, substitutes=self._files)
        return decoded(self._items(epoch, start_step), pool, ahead=self._ahead)

    def _items(self, epoch: int, start_step: int) -> Iterator[list[Item]]:
        order = torch.randperm(len(self._files), generator=stream_generator("order", self._seed, epoch))
        for step in range(start_step, len(self)):
            last = min((step + 1) * self.batch_size, self.images)
            indices: list[int] = order[step * self.batch_size : last].tolist()
            # float64: in float32 the largest number below 1 times a count could round up to the count
            drawn = torch.rand(
                (len(indices), UNIFORMS),
                generator=stream_generator("view", self._seed, epoch, step),
                dtype=torch.float64,
            ).tolist()
            yield [
                Item(*self._files[index], partial(self._sampler, size=self._size, numbers=numbers), index)
                for index, numbers in zip(indices, drawn, strict=True)
            ]


class TestFiles:
    """All test files in their own order, each in its centre crop; the last batch may be smaller."""

    __test__ = False  # or pytest takes it for a class of tests

    def __init__(
        self,
        files: Sequence[LabelledFile],
        *,
        size: int,
        batch_size: int,
        workers: int,
        ahead: int = AHEAD,
        crop_fn: CropFn | None = None,
        problems: list[str] | None = None,
    ) -> None:
        """See :class:`bench.worker.data.decode_pool.DecodePool`; without ``crop_fn`` the usual centre is taken."""
        self.batch_size = batch_size
        self.nonstandard: Counter[str] = Counter()
        """Non-standard images read so far, by kind."""
        self._files, self._size = files, size
        self._workers, self._ahead = workers, ahead
        self._problems = problems
        self._crop_fn = crop_fn or partial(centre_crop, size=size)

    def __len__(self) -> int:
        """Batches per pass."""
        return math.ceil(len(self._files) / self.batch_size)

    def __iter__(self) -> Iterator[ByteBatch]:
        """The batches; a broken image raises a DataError when its batch is due."""
        pool = DecodePool(self._size, workers=self._workers, nonstandard=self.nonstandard, problems=self._problems)
        return decoded(self._items(), pool, ahead=self._ahead)

    def _items(self) -> Iterator[list[Item]]:
        for first in range(0, len(self._files), self.batch_size):
            indices = range(first, min(first + self.batch_size, len(self._files)))
            yield [Item(*self._files[index], self._crop_fn, index) for index in indices]
