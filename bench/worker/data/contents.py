"""Count what is in a data set: class balance, repeated images within a split, and images shared between splits.

Two images are equal if their decoded pixels are, to the bit; a picture that was encoded twice is not found. Images of a
folder are compared at their own sizes, as RGB, and read one by one: memory grows by their hashes only.

Called by a worker for ``bench data verify --deep``. Never changes anything.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import torch

from bench.codec import JsonObject
from bench.datasets.source import Source, open_source
from bench.datasets.splits import SPLITS, ImageFiles, SplitName
from bench.errors import DataError
from bench.worker.data.decode import BrokenImageError, Member, pixels_of
from bench.worker.data.image_folder import decoder_threads
from bench.worker.data.index import index
from bench.worker.data.raw import Images, RawDataset

EXAMPLES = 5
"""Examples that are named of each kind."""
PORTION = 1000
"""Images that are queued for threads at a time."""
FILES_PER_TASK = 256
"""Images of a folder that a thread reads at once."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a split."""

    name: str
    """Its file below the data set's folder, or its index in the split."""
    label: int
    content: bytes
    """Hash of its shape and pixels; empty if it cannot be read."""


Pair = tuple[Image, Image]


@dataclass(frozen=True)
class Contents:
    """The images of a data set and what they have in common."""

    classes: Sequence[str]
    images: dict[str, list[Image]]
    """Readable images by split."""
    unreadable: list[str]
    """Names of files that are not images."""

    @classmethod
    def of(cls, classes: Sequence[str], splits: dict[str, list[Image]]) -> "Contents":
        """Sort out what cannot be read."""
        unreadable = [image.name for images in splits.values() for image in images if not image.content]
        readable = {split: [image for image in images if image.content] for split, images in splits.items()}
        return cls(classes, readable, unreadable)

    @cached_property
    def first(self) -> dict[str, dict[bytes, Image]]:
        """By split, the first image of each content."""
        first: dict[str, dict[bytes, Image]] = {}
        for split, images in self.images.items():
            first[split] = {}
            for image in images:
                first[split].setdefault(image.content, image)
        return first

    @cached_property
    def repeated(self) -> dict[str, list[Pair]]:
        """By split, each image that equals an earlier one, after that one."""
        return {
            split: [(first, image) for image in images if (first := self.first[split][image.content]) is not image]
            for split, images in self.images.items()
        }

    @cached_property
    def shared(self) -> list[Pair]:
        """Each test image that is a training image too, after that one."""
        train = self.first["train"]
        return [(train[image.content], image) for image in self.images["test"] if image.content in train]

    @cached_property
    def contradicting(self) -> list[list[Image]]:
        """The images of each content that has more than one label."""
        images = [image for split in SPLITS for image in self.images[split]]
        label_of = {image.content: image.label for image in images}
        ambiguous = {image.content for image in images if label_of[image.content] != image.label}
        groups: dict[bytes, list[Image]] = defaultdict(list)
        for image in images:
            if image.content in ambiguous:
                groups[image.content].append(image)
        return list(groups.values())

    def per_class(self, split: str) -> dict[str, int]:
        """Images of each class, also of those without any."""
        counts = Counter(image.label for image in self.images[split])
        return {name: counts[label] for label, name in enumerate(self.classes)}

    def as_json(self, dataset: str) -> JsonObject:
        """See :func:`inspect`."""
        pairs = {
            "repeated": [pair for split in SPLITS for pair in self.repeated[split]],
            "shared": self.shared,
            "contradicting": [
                (images[0], next(image for image in images if image.label != images[0].label))
                for images in self.contradicting
            ],
        }
        examples = {kind: [self._described(pair) for pair in found[:EXAMPLES]] for kind, found in pairs.items()}
        return {
            "dataset": dataset,
            "splits": {
                split: {
                    "images": len(images),
                    "per_class": self.per_class(split),
                    "repeated": len(self.repeated[split]),
                }
                for split, images in self.images.items()
            },
            "shared": len(self.shared),
            "contradicting": {"contents": len(self.contradicting), "images": sum(map(len, self.contradicting))},
            "unreadable": len(self.unreadable),
            "examples": {**examples, "unreadable": self.unreadable},
        }

    def _described(self, pair: Pair) -> list[str]:
        return [f"{image.name} ({self.classes[image.label]})" for image in pair]


def inspect(dataset: str, home: Path) -> JsonObject:
    """Count classes, repeated and contradicting images of a data set.

    Returns:
        ``splits``: for ``train`` and ``test`` the number of ``images``, of images per class (``per_class``) and of
        ``repeated`` images (equal to an earlier one of the split). ``shared``: test images that are training images
        too. ``contradicting``: different ``contents`` that have more than one label, and the ``images`` with them.
        ``unreadable``: number of files that are not images. ``examples``: up to EXAMPLES pairs of names of each kind,
        and the names of all ``unreadable`` files.

    Raises:
        DataError: The data set is missing or broken, or this version cannot read it.
    """
    source = open_source(dataset)
    if source.always_streamed:
        contents = _of_index(dataset, home)
    elif source.has_files:
        contents = _of_files(source.locate(home))
    else:
        contents = _of_loader(source, home)
    return contents.as_json(dataset)


# --- Reading ---------------------------------------------------------------------------------------------------------


def _of_loader(source: Source, home: Path) -> Contents:
    raw: RawDataset = resolve_name(source.loader)(home)
    splits: dict[str, list[Image]] = {}
    for split in SPLITS:
        labelled = zip(getattr(raw, f"{split}_images"), getattr(raw, f"{split}_labels"), strict=True)
        splits[split] = [
            Image(f"{split}[{number}]", int(label), _hash(np.ascontiguousarray(image)))
            for number, (image, label) in enumerate(labelled)
        ]
    return Contents.of(raw.classes, splits)


def _of_index(dataset: str, home: Path) -> Contents:
    threads = torch.get_num_threads()
    data = index(dataset, None, home, workers=threads)

    def read(item: tuple[Path | Member, int]) -> Image:
        file, label = item
        name = file.name if isinstance(file, Member) else os.path.relpath(file, home)
        try:
            return Image(name, label, _hash(pixels_of(file)))
        except BrokenImageError:
            return Image(name, label, b"")

    splits = {}
    for split, files in (("train", data.train), ("test", data.test)):
        with ThreadPoolExecutor(threads) as pool:
            # in portions: a pool queues everything that it is given at once
            portions = (range(first, min(first + PORTION, len(files))) for first in range(0, len(files), PORTION))
            splits[split] = [
                image for portion in portions for image in pool.map(read, [files[number] for number in portion])
            ]
    return Contents.of(data.classes, splits)


def _of_files(files: ImageFiles) -> Contents:
    splits: dict[str, list[Image]] = {split: list(_read_split(files, split)) for split in SPLITS}
    return Contents.of(files.classes(), splits)


def _read_split(files: ImageFiles, split: SplitName) -> Iterator[Image]:
    root = files.root
    label_of = {name: label for label, name in enumerate(files.classes())}
    labelled = [(root / record.file, label_of[record.category]) for record in files.records(split)]

    def read(first: int) -> list[Image]:
        return [_read(root, file, label) for file, label in labelled[first : first + FILES_PER_TASK]]

    with ThreadPoolExecutor(decoder_threads(labelled[0][0])) as pool:
        for images in pool.map(read, range(0, len(labelled), FILES_PER_TASK)):
            yield from images


def _read(root: Path, file: Path, label: int) -> Image:
    name = str(file.relative_to(root))
    try:
        return Image(name, label, _hash(pixels_of(file)))
    except DataError:
        return Image(name, label, b"")


def _hash(pixels: Images) -> bytes:
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest()[:16]
