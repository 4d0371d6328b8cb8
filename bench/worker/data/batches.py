"""Batches of a packed data set: all images stay on the device as uint8; the rest happens one batch at a time.

What a batch holds depends on the seed, the epoch and the step alone, on every device:

- the order of an epoch on (seed, epoch);
- the augmentations of a step on (seed, epoch, step).

Both come from CPU generators (:mod:`bench.worker.seeds`), so that an epoch that resumes at some step gives the batches
that the undisturbed one would have given, to the bit. :mod:`bench.worker.data.stream` has the batches of data sets that
are too large for this.

Shapes: N images per batch, C channels (1 or 3), H and W pixels.
"""

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Protocol, Self

import torch
from torch import Tensor

from bench.catalog.training import AUGMENTATIONS
from bench.values import Component
from bench.worker.data.augment import Augmentation
from bench.worker.data.pack import PackedDataset
from bench.worker.data.raw import Images, Labels
from bench.worker.seeds import stream_generator

NET_CHANNELS = 3
Batch = tuple[Tensor, Tensor]
"""Images (N, 3, H, W) float32, normalised; labels (N,) int64."""


class StepInputs(Protocol):
    """What a step's batch is assembled from: tensors on the device, of the same shapes for every full batch."""

    def __len__(self) -> int:
        """Images of the batch."""

    def clone(self) -> Self:
        """A copy in tensors of its own."""

    def copy_from(self, other: Self) -> None:
        """Overwrite these tensors with another step's, so that a recorded CUDA graph reads them."""


@dataclass(frozen=True, kw_only=True)
class PackedInputs:
    """Indices and random values of one step, or, with one more axis in front, of all steps of an epoch."""

    order: Tensor
    """(N,) int64, indices into the training set."""
    values: tuple[Tensor, ...]
    """Random values of each augmentation, (values per image, N)."""

    def __len__(self) -> int:
        """Images of a step; steps, where these are the inputs of an epoch."""
        return len(self.order)

    def step(self, index: int) -> "PackedInputs":
        """The inputs of one step of an epoch."""
        return PackedInputs(order=self.order[index], values=tuple(values[index] for values in self.values))

    def clone(self) -> "PackedInputs":
        """See :class:`StepInputs`."""
        return PackedInputs(order=self.order.clone(), values=tuple(values.clone() for values in self.values))

    def copy_from(self, other: "PackedInputs") -> None:
        """See :class:`StepInputs`."""
        self.order.copy_(other.order)
        copy_all(self.values, other.values)


class TrainBatches:
    """The training set, reshuffled every epoch and augmented."""

    def __init__(
        self,
        packed: PackedDataset,
        *,
        batch_size: int,
        augment: Sequence[Component],
        seed: int,
        device: torch.device,
        drop_last: bool = True,
    ) -> None:
        self.batch_size, self.images = split_epoch(len(packed.train_labels), batch_size, drop_last=drop_last)
        self._images = _resident(packed.train_images, device)
        self._labels = _resident(packed.train_labels, device)
        self._normalise = Normalise(packed.mean, packed.std, device)
        self._augment = [build_augmentation(component, mean_colour(packed.mean)) for component in augment]
        self._seed, self._device = seed, device

    def __len__(self) -> int:
        """Steps per epoch."""
        return math.ceil(self.images / self.batch_size)

    def draw(self, epoch: int, start_step: int = 0) -> PackedInputs:
        """The inputs of all full batches of an epoch (from 0 on), from ``start_step`` (from 0 on) to the last."""
        return self._draw(epoch, range(start_step, self.images // self.batch_size), self.batch_size)

    def _draw(self, epoch: int, steps: range, count: int) -> PackedInputs:
        """The inputs of some steps of an epoch, each with ``count`` images."""
        # the order of the whole epoch is drawn even when it resumes late: a shorter draw would give another order
        order = torch.randperm(len(self._labels), generator=stream_generator("order", self._seed, epoch))
        first = steps.start * self.batch_size
        order = order[first : first + len(steps) * count].view(len(steps), count)
        drawn = []
        for step in steps:
            generator = stream_generator("augment", self._seed, epoch, step)
            drawn.append([augmentation.draw(count, generator) for augmentation in self._augment])
        # one upload per epoch instead of one per step, so that no step waits for the host
        return PackedInputs(
            order=upload(order, self._device),
            values=tuple(upload(torch.stack(values), self._device) for values in zip(*drawn, strict=True)),
        )

    def epoch_inputs(self, epoch: int, start_step: int = 0) -> Iterator[PackedInputs]:
        """The inputs of an epoch's steps, one after the other; see :meth:`draw`."""
        full, rest = divmod(self.images, self.batch_size)
        drawn = self.draw(epoch, start_step)
        yield from (drawn.step(index) for index in range(len(drawn)))
        if rest and start_step <= full:
            yield self._draw(epoch, range(full, full + 1), rest).step(0)

    def assemble(self, inputs: PackedInputs) -> Batch:
        """The batch of one step: work for the device alone, with the same shapes for every full batch."""
        # index_select is 20 times faster than [...] on the CPU
        images = self._images.index_select(0, inputs.order)
        images = augmented(images, self._augment, inputs.values)
        return self._normalise(images), self._labels.index_select(0, inputs.order)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (from 0 on), from ``start_step`` (from 0 on) to its last."""
        yield from map(self.assemble, self.epoch_inputs(epoch, start_step))


def split_epoch(images: int, batch_size: int, *, drop_last: bool) -> tuple[int, int]:
    """Images per step, which is at most the whole set, and images per epoch of a training set.

    A last batch of a single image is dropped in any case: batch normalisation cannot be trained on it.
    """
    size = min(batch_size, images)
    rest = images % size
    return size, images - (rest if drop_last or rest == 1 else 0)


class TestBatches:
    """The whole test set in its own order; the last batch may be smaller."""

    __test__ = False  # or pytest takes it for a class of tests

    def __init__(self, packed: PackedDataset, *, batch_size: int, device: torch.device) -> None:
        self.batch_size = batch_size
        self._images = _resident(packed.test_images, device)
        self.labels = _resident(packed.test_labels, device)
        """(N,) int64, of the whole set."""
        self.normalise: Callable[[Tensor], Tensor] = Normalise(packed.mean, packed.std, device)
        """Prepares a batch for a net."""

    def __len__(self) -> int:
        """Batches per pass."""
        return math.ceil(len(self.labels) / self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Images (N, C, H, W) uint8 as stored, not normalised."""
        return iter(torch.split(self._images, self.batch_size))


class Normalise:
    """(N, C, H, W) uint8 to (N, 3, H, W) float32, mean 0 and deviation 1 over the training set; grey is repeated."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        centre, spread = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))
        # (x / 255 - mean) / std as one multiplication and one addition, its constants rounded once
        self._scale = (1 / (255 * spread)).float().view(1, -1, 1, 1).to(device)
        self._shift = (-centre / spread).float().view(1, -1, 1, 1).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise."""
        normalised = images.float().mul_(self._scale).add_(self._shift)
        return normalised.expand(-1, NET_CHANNELS, -1, -1)


def augmented(images: Tensor, augmentations: Sequence[Augmentation], values: Sequence[Tensor]) -> Tensor:
    """Images (N, C, H, W) uint8 after each augmentation with its drawn values, (values per image, N)."""
    for augmentation, drawn in zip(augmentations, values, strict=True):
        images = augmentation(images, drawn)
    return images


def copy_all(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Overwrite each tensor in place with another of its shape."""
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)


def upload(values: Tensor, device: torch.device) -> Tensor:
    """Copy values to the device; from pinned memory a GPU fetches them while the host continues."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def mean_colour(mean: Sequence[float]) -> tuple[float, ...]:
    """A data set's mean as a colour of uint8 images."""
    return tuple(float(round(255 * value)) for value in mean)


def build_augmentation(component: Component, fill: tuple[float, ...]) -> Augmentation:
    """The augmentation that a recipe names, with its options; ``fill`` is its colour where it takes one."""
    target = resolve_name(AUGMENTATIONS[component.name].target)
    options: dict[str, object] = dict(component.as_dict())
    if "fill" in inspect.signature(target).parameters:
        options["fill"] = fill
    augmentation: Augmentation = target(**options)
    return augmentation


def _resident(array: Images | Labels, device: torch.device) -> Tensor:
    """The array on the device; on the CPU without a copy, so that processes share the pages of a mapped file."""
    with warnings.catch_warnings():
        # torch warns that writing to a read-only array is undefined; nothing here writes to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)
