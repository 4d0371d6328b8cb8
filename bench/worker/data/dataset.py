"""The data set of a cell and its batches, whichever way its images are stored: packed and resident, or streamed.

Called by :mod:`bench.worker.train`. Both kinds give batches of images (N, 3, S, S) float32, normalised, and labels
(N,) int64, on the device. What a batch holds depends on the seed, the epoch and the step alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from bench.datasets.manual import sampling_key
from bench.datasets.prepared import is_streamed, limited_digest, streamed_digest
from bench.values import DataKey, Recipe
from bench.worker.data.batches import Batch, StepInputs, TestBatches, TrainBatches
from bench.worker.data.index import IndexedDataset, index, open_index
from bench.worker.data.pack import PackedDataset, open_pack, pack
from bench.worker.data.raw import Labels
from bench.worker.data.stream import StreamedTestBatches, StreamedTrainBatches

MAX_STREAMED_TEST_BATCH = 100
"""Images per test batch of streamed data, whose images are large: the activations of 500 would fill a GPU."""

Dataset = PackedDataset | IndexedDataset


class EpochBatches(Protocol):
    """The training set, batch by batch."""

    batch_size: int
    """Images per step; the last step of an epoch may have fewer."""
    images: int
    """Images per epoch."""

    def __len__(self) -> int:
        """Steps per epoch."""

    def epoch_inputs(self, epoch: int, start_step: int = 0) -> Iterator[StepInputs]:
        """The inputs of an epoch's steps (from 0 on), from ``start_step`` (from 0 on) to its last."""

    def assemble(self, inputs: Any) -> Batch:
        """The batch of one step: work for the device alone, with the same shapes for every full batch."""


class TestingBatches(Protocol):
    """The test set, batch by batch, in its own order."""

    batch_size: int
    """Images per batch; the last may be smaller."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64, of the whole set."""

    @property
    def normalise(self) -> Callable[[Tensor], Tensor]:
        """Prepares a batch for a net."""

    def __len__(self) -> int:
        """Batches per pass."""

    def __iter__(self) -> Iterator[Tensor]:
        """Images (N, C, S, S) uint8 on the device, not normalised."""


def load(key: DataKey, home: Path, *, workers: int, folder: Path | None = None) -> Dataset:
    """The data set, packed or indexed now if that has not been done before.

    Args:
        key: Its name, the input size, and the maximum number of images per class.
        home: The data folder.
        workers: Threads that may decode.
        folder: Where it is prepared, if that is known; its source files are then not looked at again.

    Raises:
        DataError: It is missing, incomplete or broken, or a disk error.
    """
    dataset, limit = key.dataset, key.max_images_per_class
    prepared = (open_index(folder, dataset) or open_pack(folder, dataset)) if folder is not None else None
    if prepared is None and is_streamed(key):
        prepared = index(dataset, limit, home, workers=workers)
    elif prepared is None:
        prepared = pack(dataset, key.input_size, home, key.test_resize)
    if isinstance(prepared, IndexedDataset):
        return replace(prepared, digest=streamed_digest(prepared.digest, key))
    return prepared if limit is None else limited(prepared, limit)


def limited(packed: PackedDataset, limit: int) -> PackedDataset:
    """The first ``limit`` images of each class and split by :func:`bench.datasets.manual.sampling_key`, copied.

    Packed images have no names: their index in the split, in decimal, stands in for one.
    """
    train, test = (_first_per_class(packed, split, limit) for split in ("train", "test"))
    return replace(
        packed,
        train_images=packed.train_images[train],
        train_labels=packed.train_labels[train],
        test_images=packed.test_images[test],
        test_labels=packed.test_labels[test],
        digest=limited_digest(packed.digest, limit),
    )


def _first_per_class(packed: PackedDataset, split: str, limit: int) -> Labels:
    """Indices into the split, ascending, (M,) int64."""
    labels: Labels = getattr(packed, f"{split}_labels")
    taken: list[int] = []
    for label, name in enumerate(packed.classes):
        indices = np.flatnonzero(labels == label).tolist()
        taken += sorted(indices, key=lambda number: sampling_key(split, name, str(number)))[:limit]
    return np.array(sorted(taken), dtype=np.int64)


def train_batches(data: Dataset, recipe: Recipe, *, seed: int, device: torch.device, workers: int) -> EpochBatches:
    """The training batches of a cell; ``workers`` threads decode if images are streamed."""
    if isinstance(data, PackedDataset):
        return TrainBatches(
            data,
            batch_size=recipe.batch_size,
            augment=recipe.augment,
            seed=seed,
            device=device,
            drop_last=recipe.drop_last,
        )
    return StreamedTrainBatches(data, recipe, seed=seed, device=device, workers=workers)


def test_batches(
    data: Dataset, recipe: Recipe, *, batch_size: int, device: torch.device, workers: int
) -> TestingBatches:
    """The test batches of a cell, of at most ``batch_size`` images."""
    if isinstance(data, PackedDataset):
        return TestBatches(data, batch_size=batch_size, device=device)
    size = min(batch_size, MAX_STREAMED_TEST_BATCH)
    return StreamedTestBatches(data, recipe, batch_size=size, device=device, workers=workers)


test_batches.__test__ = False  # type: ignore[attr-defined] # or pytest takes it for a test
