"""The data set of a cell and its batches, whichever way its images come: packed and resident, or streamed from files.

Called by :mod:`bench.worker.train`. Both ways give batches of images (N, 3, S, S) float32, normalised, and labels (N,)
int64, on the device; what a batch holds depends on the seed, the epoch and the step alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from bench.catalog.training import AUGMENTATIONS
from bench.datasets.manual import rank
from bench.datasets.prepared import limited_digest, streams
from bench.values import Component, DataKey, Recipe
from bench.worker.data.batches import (
    Batch,
    Normalise,
    StepInputs,
    TestBatches,
    TrainBatches,
    build_augmentation,
    generator,
    mean_colour,
    upload,
)
from bench.worker.data.crops import Crop, centre_crop, random_resized_crop
from bench.worker.data.image_folder import Labels
from bench.worker.data.index import IndexedDataset, index, open_index
from bench.worker.data.pack import PackedDataset, open_pack, pack
from bench.worker.data.stream import CropOf, TestFiles, TrainFiles

STREAMED_TEST_BATCH = 100
"""Images a test batch at most, where they are large: what a net computes of 500 of them would fill a GPU."""

Dataset = PackedDataset | IndexedDataset


class EpochBatches(Protocol):
    """The training set, batch by batch."""

    batch_size: int
    """Images a step."""

    def __len__(self) -> int:
        """Steps an epoch."""

    def choices(self, epoch: int, start_step: int = 0) -> Iterator[StepInputs]:
        """What the batches of an epoch (from 0 on) are made of, from a step (from 0 on) to its last."""

    def assemble(self, chosen: Any) -> Batch:
        """The batch that is made of it: work for the device alone, of the same shapes in every step."""


class TestingBatches(Protocol):
    """The test set, batch by batch, each in its own order."""

    batch_size: int
    """Images a batch; the last may be smaller."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64, of the whole set."""

    @property
    def normalise(self) -> Callable[[Tensor], Tensor]:
        """What makes a batch ready for a net."""

    def __len__(self) -> int:
        """Batches of a pass."""

    def __iter__(self) -> Iterator[Tensor]:
        """Images (N, C, S, S) uint8 on the device, not normalised."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A streamed batch before it is changed: on the device."""

    images: Tensor
    """(N, 3, S, S) uint8."""
    labels: Tensor
    """(N,) int64."""
    values: tuple[Tensor, ...]
    """Random values of each augmentation, (values an image, N)."""

    def clone(self) -> "Decoded":
        """The same in tensors of their own."""
        return Decoded(
            images=self.images.clone(), labels=self.labels.clone(), values=tuple(each.clone() for each in self.values)
        )

    def copy_from(self, other: "Decoded") -> None:
        """Overwrite it with another batch of the same shapes."""
        self.images.copy_(other.images)
        self.labels.copy_(other.labels)
        for mine, its in zip(self.values, other.values, strict=True):
            mine.copy_(its)


def load(key: DataKey, home: Path, *, workers: int, folder: Path | None = None) -> Dataset:
    """The data set, packed or indexed now if it has not been before.

    Args:
        key: Its name, the input size, and images of each class at most.
        home: The data folder.
        workers: Threads that may decode.
        folder: Where it lies ready, if that is known: the files that it was made of are not looked at again then.

    Raises:
        DataError: It is missing, incomplete or broken, or the disk refuses.
    """
    dataset, input_size, limit = key
    if folder is not None and (found := open_index(folder, dataset) or open_pack(folder, dataset)):
        return found if limit is None or isinstance(found, IndexedDataset) else limited(found, limit)
    if streams(dataset, input_size):
        return index(dataset, limit, home, workers=workers)
    packed = pack(dataset, input_size, home)
    return packed if limit is None else limited(packed, limit)


def limited(packed: PackedDataset, limit: int) -> PackedDataset:
    """The first images of each class by :func:`bench.datasets.manual.rank`, at most ``limit`` of each split; copied.

    Packed images have no names: the place in the split, in decimal, stands for one.
    """
    parts = {split: _first(packed, split, limit) for split in ("train", "test")}
    return replace(
        packed,
        train_images=packed.train_images[parts["train"]],
        train_labels=packed.train_labels[parts["train"]],
        test_images=packed.test_images[parts["test"]],
        test_labels=packed.test_labels[parts["test"]],
        digest=limited_digest(packed.digest, limit),
    )


def _first(packed: PackedDataset, split: str, limit: int) -> Labels:
    """Places in the split, rising, (M,) int64."""
    labels: Labels = getattr(packed, f"{split}_labels")
    chosen: list[int] = []
    for label, name in enumerate(packed.classes):
        places = np.flatnonzero(labels == label).tolist()
        chosen += sorted(places, key=lambda place: rank(split, name, str(place)))[:limit]
    return np.array(sorted(chosen), dtype=np.int64)


def train_batches(data: Dataset, recipe: Recipe, *, seed: int, device: torch.device, workers: int) -> EpochBatches:
    """The training batches of a cell; ``workers`` threads decode where images are streamed."""
    if isinstance(data, PackedDataset):
        return TrainBatches(data, batch_size=recipe.batch_size, augment=recipe.augment, seed=seed, device=device)
    return StreamedTrainBatches(data, recipe, seed=seed, device=device, workers=workers)


def test_batches(
    data: Dataset, recipe: Recipe, *, batch_size: int, device: torch.device, workers: int
) -> TestingBatches:
    """The test batches of a cell, of ``batch_size`` images at most."""
    if isinstance(data, PackedDataset):
        return TestBatches(data, batch_size=batch_size, device=device)
    small = min(batch_size, STREAMED_TEST_BATCH)
    return StreamedTestBatches(data, recipe.input_size, batch_size=small, device=device, workers=workers)


test_batches.__test__ = False  # type: ignore[attr-defined] # or pytest takes it for a test


def nonstandard_images(batches: object) -> dict[str, int]:
    """Odd and broken images that batches have read since this was asked last, by kind; see :mod:`.stream`."""
    files = getattr(batches, "files", None)
    if files is None:
        return {}
    found = dict(sorted(files.odd.items()))
    files.odd.clear()
    return found


class StreamedTrainBatches:
    """Files, shuffled anew each epoch, decoded by threads, augmented and normalised on the device.

    The first augmentation of a recipe decides which part of an image is seen, if it is one of files; else it is the
    centre. The others change the batch, as they do where images are resident.
    """

    def __init__(self, data: IndexedDataset, recipe: Recipe, *, seed: int, device: torch.device, workers: int) -> None:
        of_files = [choice for choice in recipe.augment if AUGMENTATIONS[choice.name].of_files]
        rest = [choice for choice in recipe.augment if not AUGMENTATIONS[choice.name].of_files]
        self.files = TrainFiles(
            data.train,
            size=recipe.input_size,
            batch_size=recipe.batch_size,
            seed=seed,
            workers=workers,
            view=_view_of(of_files),
        )
        self.batch_size = self.files.batch_size
        self._augment = [build_augmentation(choice, mean_colour(data.mean)) for choice in rest]
        self._normalise = Normalise(data.mean, data.std, device)
        self._seed, self._device = seed, device

    def __len__(self) -> int:
        """Steps an epoch; the last, smaller batch is dropped."""
        return len(self.files)

    def choices(self, epoch: int, start_step: int = 0) -> Iterator[Decoded]:
        """See :class:`EpochBatches`.

        Raises:
            DataError: See :meth:`bench.worker.data.stream.TrainFiles.epoch`.
        """
        for step, batch in enumerate(self.files.epoch(epoch, start_step), start=start_step):
            images, labels = (upload(part, self._device) for part in batch)
            drawn = generator("augment", self._seed, epoch, step)
            values = tuple(upload(change.draw(self.batch_size, drawn), self._device) for change in self._augment)
            yield Decoded(images=images, labels=labels, values=values)

    def assemble(self, chosen: Decoded) -> Batch:
        """See :class:`EpochBatches`."""
        images = chosen.images
        for change, values in zip(self._augment, chosen.values, strict=True):
            images = change(images, values)
        return self._normalise(images), chosen.labels

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (from 0 on), from a step (from 0 on) to its last."""
        return map(self.assemble, self.choices(epoch, start_step))


class StreamedTestBatches:
    """Files in their own order, whole: the centre of each."""

    def __init__(
        self, data: IndexedDataset, input_size: int, *, batch_size: int, device: torch.device, workers: int
    ) -> None:
        self.batch_size = batch_size
        self.files = TestFiles(data.test, size=input_size, batch_size=batch_size, workers=workers)
        self.labels = torch.from_numpy(np.array(data.test_labels)).to(device)
        self.normalise = Normalise(data.mean, data.std, device)
        self._device = device

    def __len__(self) -> int:
        """Batches of a pass."""
        return len(self.files)

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self.files:
            yield upload(batch[0], self._device)


def _view_of(of_files: Sequence[Component]) -> CropOf:
    """What the recipe says of the part that is seen."""
    if not of_files:
        return _centre
    area, ratio = of_files[0]["area"], of_files[0]["ratio"]
    return partial(random_resized_crop, area=tuple(area), ratio=tuple(ratio), mirror=0.0)


def _centre(height: int, width: int, *, size: int, numbers: Sequence[float]) -> Crop:  # noqa: ARG001 - a CropOf
    return centre_crop(height, width, size=size)
