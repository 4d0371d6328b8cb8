"""What is in a data set: class balance, equal images within a split and between splits, equal images of two classes.

Two images are equal when their decoded pixels are, to the bit; a picture that was encoded twice is not found. Images of
a folder are compared at their own sizes, as RGB, and read one by one: memory grows by their hashes only.
"""

import hashlib
import importlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.catalog.datasets import DATASETS, FOLDER_PREFIX, dataset_problem
from bench.datasets.image_folder import folder_layout, folder_path, image_files
from bench.errors import DataError
from bench.worker.data.decode import BrokenImageError, Member, pixels_of
from bench.worker.data.image_folder import RawDataset, decoders
from bench.worker.data.index import index

EXAMPLES = 5
"""Examples of each kind that are named."""
PORTION = 1000
"""Images that are asked of threads at a time."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a split."""

    name: str
    """Its file below the data set's folder, or its place in the split."""
    label: int
    content: bytes
    """Hash of its shape and pixels; empty where it cannot be read."""


def inspect(dataset: str, home: Path) -> dict[str, Any]:
    """Count classes, repeated and contradicting images of a data set.

    Returns:
        ``splits``: for ``train`` and ``test`` the number of ``images``, of images in each class (``per_class``) and of
        ``repeated`` images (equal to an earlier one of the split). ``shared``: test images that are training images
        too. ``contradicting``: different ``contents`` that have more than one label, and the ``images`` with them.
        ``unreadable``: number of files that are no images. ``examples``: up to EXAMPLES pairs of names of each kind.

    Raises:
        DataError: The data set is not here, is broken, or is one that this version does not read.
    """
    if dataset.startswith(FOLDER_PREFIX):
        classes, splits = _folder(dataset)
    elif dataset in DATASETS and DATASETS[dataset].layout:
        classes, splits = _indexed(dataset, home)
    else:
        classes, splits = _built_in(dataset, home)
    unreadable = [image.name for images in splits.values() for image in images if not image.content]
    splits = {split: [image for image in images if image.content] for split, images in splits.items()}
    first = {split: _first(images) for split, images in splits.items()}
    repeated = {split: _repeated(images, first[split]) for split, images in splits.items()}
    shared = [(first["train"][image.content], image) for image in splits["test"] if image.content in first["train"]]
    contradicting = _contradicting([*splits["train"], *splits["test"]])
    pairs = {
        "repeated": [pair for split in splits for pair in repeated[split]],
        "shared": shared,
        "contradicting": [
            (images[0], next(each for each in images if each.label != images[0].label)) for images in contradicting
        ],
    }
    return {
        "dataset": dataset,
        "splits": {
            split: {
                "images": len(images),
                "per_class": _per_class(images, classes),
                "repeated": len(repeated[split]),
            }
            for split, images in splits.items()
        },
        "shared": len(shared),
        "contradicting": {"contents": len(contradicting), "images": sum(map(len, contradicting))},
        "unreadable": len(unreadable),
        "examples": {
            **{
                kind: [[f"{image.name} ({classes[image.label]})" for image in pair] for pair in found[:EXAMPLES]]
                for kind, found in pairs.items()
            },
            "unreadable": unreadable[:EXAMPLES],
        },
    }


def _per_class(images: Sequence[Image], classes: Sequence[str]) -> dict[str, int]:
    counts = Counter(image.label for image in images)
    return {name: counts[label] for label, name in enumerate(classes)}


def _first(images: Sequence[Image]) -> dict[bytes, Image]:
    found: dict[bytes, Image] = {}
    for image in images:
        found.setdefault(image.content, image)
    return found


def _repeated(images: Sequence[Image], first: dict[bytes, Image]) -> list[tuple[Image, Image]]:
    return [(first[image.content], image) for image in images if first[image.content] is not image]


def _contradicting(images: Sequence[Image]) -> list[list[Image]]:
    """Images of each content that has more than one label."""
    label_of = {image.content: image.label for image in images}
    torn = {image.content for image in images if label_of[image.content] != image.label}
    groups: dict[bytes, list[Image]] = {}
    for image in images:
        if image.content in torn:
            groups.setdefault(image.content, []).append(image)
    return list(groups.values())


# --- Reading ---------------------------------------------------------------------------------------------------------


def _built_in(dataset: str, home: Path) -> tuple[Sequence[str], dict[str, list[Image]]]:
    if problem := dataset_problem(dataset):
        raise DataError(problem)
    loader = DATASETS[dataset].loader
    if loader is None:
        raise DataError(f"this version does not read the images of {dataset}")
    module, _, function = loader.partition(":")
    raw: RawDataset = getattr(importlib.import_module(module), function)(home)
    splits = {
        split: [
            Image(f"{split}[{place}]", int(label), _hash(np.ascontiguousarray(image)))
            for place, (image, label) in enumerate(
                zip(getattr(raw, f"{split}_images"), getattr(raw, f"{split}_labels"), strict=True)
            )
        ]
        for split in ("train", "test")
    }
    return raw.classes, splits


def _indexed(dataset: str, home: Path) -> tuple[Sequence[str], dict[str, list[Image]]]:
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
            # a portion at a time: a pool takes all that it is given at once
            portions = (range(first, min(first + PORTION, len(files))) for first in range(0, len(files), PORTION))
            splits[split] = [
                image for portion in portions for image in pool.map(read, [files[place] for place in portion])
            ]
    return data.classes, splits


def _folder(dataset: str) -> tuple[Sequence[str], dict[str, list[Image]]]:
    path = folder_path(dataset)
    layout = folder_layout(path)
    parts = {"train": layout.train, "test": layout.test}
    return layout.classes, {split: list(_files(path, part, layout.classes)) for split, part in parts.items()}


def _files(root: Path, part: Path, classes: Sequence[str]) -> Iterator[Image]:
    labelled = [(file, label) for label, name in enumerate(classes) for file in image_files(part / name)]

    def read(first: int) -> list[Image]:
        return [_read(root, file, label) for file, label in labelled[first : first + 256]]

    with ThreadPoolExecutor(decoders(labelled[0][0])) as pool:
        for images in pool.map(read, range(0, len(labelled), 256)):
            yield from images


def _read(root: Path, file: Path, label: int) -> Image:
    name = str(file.relative_to(root))
    try:
        return Image(name, label, _hash(pixels_of(file)))
    except DataError:
        return Image(name, label, b"")


def _hash(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest()[:16]
