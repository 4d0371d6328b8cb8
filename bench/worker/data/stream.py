"""Batches of data sets too large to keep decoded: image files are read, decoded and cropped as they are used.

:mod:`bench.worker.data.file_batches` gives uint8 batches on the CPU. They are moved to the device as such, a quarter of
the bytes of float32, and augmented and normalised there.

What a batch holds depends on the seed, the epoch and the step alone: an epoch that resumes at some step gives the
batches that the undisturbed one would have given, to the bit.

Shapes: N images per batch, S = input size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bench.catalog.training import AUGMENTATIONS
from bench.datasets.resizing import Sizes, image_sizes
from bench.values import Component, Recipe
from bench.worker.data.batches import Batch, Normalise, augmented, build_augmentation, copy_all, mean_colour, upload
from bench.worker.data.crops import centre_crop, random_resized_crop
from bench.worker.data.file_batches import CropSampler, TestFiles, TrainFiles, sample_centre
from bench.worker.data.index import IndexedDataset
from bench.worker.seeds import stream_generator


@dataclass(frozen=True, kw_only=True)
class StreamedInputs:
    """A decoded batch on the device, before it is augmented; the :class:`StepInputs` of streamed data."""

    images: Tensor
    """(N, 3, S, S) uint8."""
    labels: Tensor
    """(N,) int64."""
    values: tuple[Tensor, ...]
    """Random values of each augmentation, (values per image, N)."""

    def __len__(self) -> int:
        """See :class:`bench.worker.data.batches.StepInputs`."""
        return len(self.labels)

    def clone(self) -> "StreamedInputs":
        """See :class:`bench.worker.data.batches.StepInputs`."""
        return StreamedInputs(
            images=self.images.clone(),
            labels=self.labels.clone(),
            values=tuple(values.clone() for values in self.values),
        )

    def copy_from(self, other: "StreamedInputs") -> None:
        """See :class:`bench.worker.data.batches.StepInputs`."""
        copy_all((self.images, self.labels, *self.values), (other.images, other.labels, *other.values))


class StreamedTrainBatches:
    """Files, reshuffled every epoch, decoded by threads, augmented and normalised on the device.

    A recipe's first augmentation decides which part of an image is seen, if it is one of files; otherwise that is the
    centre. The others change the batch, as they do for packed images.
    """

    def __init__(self, data: IndexedDataset, recipe: Recipe, *, seed: int, device: torch.device, workers: int) -> None:
        of_files = [component for component in recipe.augment if AUGMENTATIONS[component.name].of_files]
        of_batches = [component for component in recipe.augment if not AUGMENTATIONS[component.name].of_files]
        self.files = TrainFiles(
            data.train,
            size=recipe.input_size,
            batch_size=recipe.batch_size,
            seed=seed,
            workers=workers,
            sampler=_sampler(of_files, image_sizes(data.name, recipe)),
            drop_last=recipe.drop_last,
        )
        self.batch_size, self.images = self.files.batch_size, self.files.images
        self._augment = [build_augmentation(component, mean_colour(data.mean)) for component in of_batches]
        self._normalise = Normalise(data.mean, data.std, device)
        self._seed, self._device = seed, device

    def __len__(self) -> int:
        """Steps per epoch."""
        return len(self.files)

    def epoch_inputs(self, epoch: int, start_step: int = 0) -> Iterator[StreamedInputs]:
        """See :class:`bench.worker.data.dataset.EpochBatches`.

        Raises:
            DataError: See :meth:`TrainFiles.epoch`.
        """
        for step, batch in enumerate(self.files.epoch(epoch, start_step), start=start_step):
            images, labels = (upload(values, self._device) for values in batch)
            generator = stream_generator("augment", self._seed, epoch, step)
            values = tuple(
                upload(augmentation.draw(len(labels), generator), self._device) for augmentation in self._augment
            )
            yield StreamedInputs(images=images, labels=labels, values=values)

    def assemble(self, inputs: StreamedInputs) -> Batch:
        """See :class:`bench.worker.data.dataset.EpochBatches`."""
        return self._normalise(augmented(inputs.images, self._augment, inputs.values)), inputs.labels

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (from 0 on), from ``start_step`` (from 0 on) to its last."""
        return map(self.assemble, self.epoch_inputs(epoch, start_step))


class StreamedTestBatches:
    """All test files in their own order, the centre of each."""

    def __init__(
        self, data: IndexedDataset, recipe: Recipe, *, batch_size: int, device: torch.device, workers: int
    ) -> None:
        self.batch_size = batch_size
        sizes = image_sizes(data.name, recipe)
        crop_fn = partial(centre_crop, size=recipe.input_size, resize=sizes.test, exact=sizes.exact)
        self.files = TestFiles(
            data.test, size=recipe.input_size, batch_size=batch_size, workers=workers, crop_fn=crop_fn
        )
        self.labels = torch.from_numpy(np.array(data.test_labels)).to(device)
        """(N,) int64, of the whole set."""
        self.normalise = Normalise(data.mean, data.std, device)
        self._device = device

    def __len__(self) -> int:
        """Batches per pass."""
        return len(self.files)

    def __iter__(self) -> Iterator[Tensor]:
        """Images (N, 3, S, S) uint8 on the device, not normalised."""
        for images, _ in self.files:
            yield upload(images, self._device)


def nonstandard_images(batches: object) -> dict[str, int]:
    """Counts of non-standard and unreadable images since the last call, by kind; empty for packed data."""
    if not isinstance(batches, StreamedTrainBatches | StreamedTestBatches):
        return {}
    counts = dict(sorted(batches.files.nonstandard.items()))
    batches.files.nonstandard.clear()
    return counts


def _sampler(of_files: Sequence[Component], sizes: Sizes) -> CropSampler:
    """The crop that a recipe asks for. It is not mirrored: that is an augmentation of its own."""
    if not of_files:
        return partial(sample_centre, resize=sizes.train, exact=sizes.exact)
    area, ratio = of_files[0]["area"], of_files[0]["ratio"]
    return partial(random_resized_crop, area=tuple(area), ratio=tuple(ratio), mirror=0.0)
