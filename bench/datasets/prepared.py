"""Where a data set lies once it is ready to be trained on: packed, or indexed.

Small images are packed: decoded once, kept as arrays (:mod:`bench.worker.data.pack`). Data sets whose images are large
files are indexed instead, and their files are read and decoded as they are trained on (:mod:`bench.worker.data.index`):
those that people bring by hand, and every ``folder:PATH`` whose pack would have more than ``STREAM_ABOVE`` bytes.
Called on both sides of the wall; the worker writes what is named here.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.catalog import AUGMENTATIONS, DATASETS, FOLDER_PREFIX
from bench.errors import DataError
from bench.fetch import file_marks, folder_layout, folder_path, image_counts, image_files, pack_folder
from bench.layouts import Entry, find
from bench.layouts.parts import WHOLE
from bench.values import Cell, DataKey

INDEX_FORMAT = 1
"""Raised whenever the same files would be indexed otherwise than before."""
STREAM_ABOVE = 4_000_000_000
"""Bytes of a folder's pack from which on its files are streamed: 26,500 images at 224 pixels."""


def streams(dataset: str, input_size: int) -> bool:
    """Whether a data set's files are read as they are trained on.

    Raises:
        DataError: The data set is a folder that is missing or no image tree.
    """
    if not dataset.startswith(FOLDER_PREFIX):
        return dataset in DATASETS and DATASETS[dataset].layout is not None
    return sum(image_counts(folder_layout(folder_path(dataset)))) * 3 * input_size**2 > STREAM_ABOVE


def augmentation_problem(cell: Cell) -> str | None:
    """Say in a sentence why a cell's augmentations cannot be done on its data set, or return None.

    Raises:
        DataError: As :func:`streams`.
    """
    of_files = [place for place, choice in enumerate(cell.recipe.augment) if AUGMENTATIONS[choice.name].of_files]
    if not of_files:
        return None
    name = cell.recipe.augment[of_files[-1]].name
    if not streams(cell.dataset, cell.recipe.input_size):
        return (
            f"{name} takes a part of an image file, and the images of {cell.dataset} are kept decoded at the input "
            "size: leave it out of augment, or use random_crop"
        )
    if of_files != [0]:
        return f"{name} takes a part of an image file, so it must come once and first in augment"
    area, ratio = (cell.recipe.augment[0][option] for option in ("area", "ratio"))
    for option, values in (("area", area), ("ratio", ratio)):
        if len(values) != 2 or values[0] > values[1]:
            return f"{name} needs two rising numbers for {option}, not {list(values)}"
    return None


class Prepared(NamedTuple):
    """A data set that is ready to be trained on."""

    folder: Path
    """Its pack or its index."""
    digest: str
    """Of its images and labels as they are now."""
    train_images: int
    num_classes: int
    """Outputs of a net."""


def look(key: DataKey, home: Path) -> Prepared | None:
    """What is known of a data set that was prepared; None where it was not, or is not here, or has changed since.

    Every file of a folder is looked at: once a run is enough.
    """
    dataset, input_size, limit = key
    try:
        streamed = streams(dataset, input_size)
        folder = index_folder(dataset, limit, home) if streamed else pack_folder(dataset, input_size, home)
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        images, digest = int(card["train_images"]), str(card["digest"])
        if limit is not None and not streamed:
            images, digest = min(images, limit * len(card["classes"])), limited_digest(digest, limit)
    except (DataError, OSError, ValueError, KeyError, TypeError):
        return None
    return Prepared(folder, digest, images, int(card.get("num_classes") or len(card["classes"])))


def limited_digest(digest: str, limit: int | None) -> str:
    """Digest of the part of a pack that has at most ``limit`` images of a class."""
    if limit is None or not digest:
        return digest
    return hashlib.sha256(f"{digest} at most {limit} a class".encode()).hexdigest()


def index_folder(dataset: str, limit: int | None, home: Path) -> Path:
    """Where the index of a data set lies, or would: another folder whenever images have come or gone.

    Raises:
        DataError: The data set is not here.
    """
    signature = folder_signature(dataset) if dataset.startswith(FOLDER_PREFIX) else find(dataset, home).signature()
    text = json.dumps([INDEX_FORMAT, dataset, limit, signature])
    label = f"folder-{folder_path(dataset).name}" if dataset.startswith(FOLDER_PREFIX) else dataset
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", label)[:60]
    return home / "indexed" / f"{safe}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"


def folder_signature(dataset: str) -> list[str]:
    """The folder's path, and a hash of its files' names, sizes and times of change."""
    path = folder_path(dataset)
    digest = hashlib.sha256()
    for mark in file_marks(folder_layout(path)):
        digest.update(f"{mark}\n".encode("utf-8", "surrogateescape"))
    return [str(path), digest.hexdigest()]


def folder_entries(path: Path, part: Path, classes: tuple[str, ...]) -> Iterator[Entry]:
    """The images of one part of an image folder, by class and name."""
    for category in classes:
        for file in image_files(part / category):
            name = str(file.relative_to(part / category))
            yield Entry(category, name, str(file.relative_to(path)), WHOLE, file.stat().st_size)
