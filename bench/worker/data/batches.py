"""Batches for training and testing: the data set stays on the device as uint8, all else happens a batch at a time.

What a batch holds depends on the seed, the epoch and the step alone, on every device:

- the order of an epoch on (seed, epoch);
- the augmentations of a step on (seed, epoch, step).

Both come from generators on the CPU, seeded by :func:`derived_seed`, so that an epoch that goes on at some step gives
the batches that the undisturbed one would have given, to the bit.
"""

import hashlib
import importlib
import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt
import torch
from torch import Generator, Tensor

from bench.catalog.training import AUGMENTATIONS
from bench.values import Component
from bench.worker.data.augment import Augmentation
from bench.worker.data.pack import PackedDataset

NET_CHANNELS = 3
Batch = tuple[Tensor, Tensor]
"""Images (N, 3, H, W) float32, normalised; labels (N,) int64."""


def derived_seed(stream: str, *numbers: int) -> int:
    """A 63-bit seed out of the SHA-256 of ``stream`` and the numbers, as decimals joined by colons."""
    text = ":".join([stream, *map(str, numbers)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class StepInputs(Protocol):
    """What a step's batch is made of, in tensors on the device, of the same shapes in every step."""

    def clone(self) -> "StepInputs":
        """The same in tensors of their own."""

    def copy_from(self, other: Any) -> None:
        """Overwrite it with another step's."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The random choices of an epoch's steps, on the device; the whole epoch's at once, so that no step waits."""

    order: Tensor
    """(steps, N) int64, places in the training set."""
    values: tuple[Tensor, ...]
    """Random values of each augmentation, (steps, values an image, N)."""

    def __len__(self) -> int:
        return len(self.order)

    def step(self, index: int) -> "Draw":
        """The choices of one step: ``order`` (N,), ``values`` (values an image, N) each."""
        return Draw(order=self.order[index], values=tuple(values[index] for values in self.values))

    def clone(self) -> "Draw":
        """The same choices in tensors of their own."""
        return Draw(order=self.order.clone(), values=tuple(values.clone() for values in self.values))

    def copy_from(self, other: "Draw") -> None:
        """Overwrite these choices with others of the same shapes."""
        self.order.copy_(other.order)
        for mine, its in zip(self.values, other.values, strict=True):
            mine.copy_(its)


class TrainBatches:
    """The training set, shuffled anew each epoch and augmented."""

    def __init__(
        self, packed: PackedDataset, *, batch_size: int, augment: Sequence[Component], seed: int, device: torch.device
    ) -> None:
        self.batch_size = min(batch_size, len(packed.train_labels))
        """Images a step: as asked, or the whole set where it is smaller than that."""
        self._images = _resident(packed.train_images, device)
        self._labels = _resident(packed.train_labels, device)
        self._normalise = Normalise(packed.mean, packed.std, device)
        self._augment = [build_augmentation(choice, mean_colour(packed.mean)) for choice in augment]
        self._seed, self._device = seed, device

    def __len__(self) -> int:
        """Steps an epoch; the last, smaller batch is dropped."""
        return len(self._labels) // self.batch_size

    def draw(self, epoch: int, start_step: int = 0) -> Draw:
        """The random choices of an epoch (from 0 on), from a step (from 0 on) to its last."""
        order = torch.randperm(len(self._labels), generator=generator("order", self._seed, epoch))
        order = order[: len(self) * self.batch_size].view(len(self), self.batch_size)[start_step:]
        drawn = []
        for step in range(start_step, len(self)):
            seeded = generator("augment", self._seed, epoch, step)
            drawn.append([change.draw(self.batch_size, seeded) for change in self._augment])
        return Draw(
            order=upload(order, self._device),
            values=tuple(upload(torch.stack(values), self._device) for values in zip(*drawn, strict=True)),
        )

    def assemble(self, chosen: Draw) -> Batch:
        """The batch of a step's choices: work for the device alone, of the same shapes in every step."""
        # index_select and not [...]: measured 20 times quicker on the CPU
        images = self._images.index_select(0, chosen.order)
        for change, values in zip(self._augment, chosen.values, strict=True):
            images = change(images, values)
        return self._normalise(images), self._labels.index_select(0, chosen.order)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (from 0 on), from a step (from 0 on) to its last."""
        yield from map(self.assemble, self.choices(epoch, start_step))

    def choices(self, epoch: int, start_step: int = 0) -> Iterator[Draw]:
        """The random choices of an epoch's steps, one after the other."""
        drawn = self.draw(epoch, start_step)
        return (drawn.step(index) for index in range(len(drawn)))


class TestBatches:
    """The test set in its own order, whole: the last batch may be smaller."""

    __test__ = False  # or pytest takes it for a class of tests

    def __init__(self, packed: PackedDataset, *, batch_size: int, device: torch.device) -> None:
        self.batch_size = batch_size
        self._images = _resident(packed.test_images, device)
        self.labels = _resident(packed.test_labels, device)
        """(N,) int64, of the whole set."""
        self.normalise: Callable[[Tensor], Tensor] = Normalise(packed.mean, packed.std, device)
        """What makes a batch ready for a net."""

    def __len__(self) -> int:
        """Batches of a pass."""
        return math.ceil(len(self.labels) / self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Images (N, C, H, W) uint8, not normalised, as they lie in the set."""
        return iter(torch.split(self._images, self.batch_size))


class Normalise:
    """(N, C, H, W) uint8 to (N, 3, H, W) float32, mean 0 and deviation 1 over the training set; grey is repeated."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        middle, spread = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))
        self._scale = (1 / (255 * spread)).float().view(1, -1, 1, 1).to(device)
        self._shift = (-middle / spread).float().view(1, -1, 1, 1).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise."""
        normalised = images.float().mul_(self._scale).add_(self._shift)
        return normalised.expand(-1, NET_CHANNELS, -1, -1)


def _resident(array: "npt.NDArray[Any]", device: torch.device) -> Tensor:
    """The array on the device; on the CPU without a copy, so that processes share the pages of a mapped file."""
    with warnings.catch_warnings():
        # torch warns that writing to a read-only array is undefined; nothing here writes to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)


def generator(stream: str, *numbers: int) -> Generator:
    """A generator on the CPU, seeded by :func:`derived_seed`."""
    return Generator().manual_seed(derived_seed(stream, *numbers))


def upload(values: Tensor, device: torch.device) -> Tensor:
    """Values on the device; a GPU takes them from pinned memory while the host goes on."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def mean_colour(mean: Sequence[float]) -> tuple[float, ...]:
    """A data set's mean as a colour of uint8 images."""
    return tuple(float(round(255 * value)) for value in mean)


def build_augmentation(choice: Component, fill: tuple[float, ...]) -> Augmentation:
    """The augmentation with its options, and the mean colour where it takes one as ``fill``."""
    module, _, name = AUGMENTATIONS[choice.name].target.partition(":")
    made = getattr(importlib.import_module(module), name)
    options: dict[str, Any] = choice.as_dict()
    if "fill" in inspect.signature(made).parameters:
        options["fill"] = fill
    augmentation: Augmentation = made(**options)
    return augmentation
