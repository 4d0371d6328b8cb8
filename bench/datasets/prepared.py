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
from typing import TYPE_CHECKING, Any

from bench.catalog.datasets import DATASETS, FOLDER_PREFIX, dataset_problem
from bench.datasets import formats
from bench.datasets.status import ADOPTED, adopted_card, groups, locate
from bench.errors import DataError

if TYPE_CHECKING:
    pass

from typing import NamedTuple

from bench.catalog.training import AUGMENTATIONS
from bench.datasets.image_folder import file_marks, folder_layout, folder_path, image_counts, image_files
from bench.datasets.manual import Entry, find
from bench.datasets.splits import WHOLE
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


PACK_FORMAT = 1
"""Raised whenever the same source would be packed to other pixels or files than before."""


def pack_cards(dataset: str, home: Path) -> dict[int, dict[str, Any]]:
    """What packs say of a data set as it is now (counts, mean, std, digest, ...), by input size.

    Raises:
        DataError: As :func:`pack_folder`.
    """
    label = pack_folder(dataset, 0, home).name.rsplit("-", 2)[0]
    names = [path.name for path in (home / "packed").glob(f"{label}-*-*")]
    sizes = sorted({int(size) for name in names if (size := name.rsplit("-", 2)[1]).isdigit()})
    cards = {size: _packed_card(dataset, size, home) for size in sizes}
    return {size: card for size, card in cards.items() if card}


def pack_folder(dataset: str, input_size: int, home: Path) -> Path:
    """Where the decoded arrays of a data set lie, or would: another folder whenever its files have changed.

    Raises:
        DataError: The name is no data set, or its folder is missing or no image tree.
    """
    if dataset.startswith(FOLDER_PREFIX):
        path = folder_path(dataset)
        identity = [str(path), *file_marks(folder_layout(path))]
        label = f"folder-{path.name}"
    else:
        if problem := dataset_problem(dataset):
            raise DataError(problem)
        identity = _pack_identity(dataset, home)
        label = dataset
    text = json.dumps([PACK_FORMAT, dataset, input_size, identity])
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", label)[:60]
    return (
        home
        / "packed"
        / f"{safe}-{input_size}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    )


def _pack_identity(dataset: str, home: Path) -> list[str]:
    """What tells a pack from one of other pixels: published checksums, or the sizes and times of files."""
    if dataset not in formats.LAYOUTS:
        return [f"{archive.name}|{archive.md5}" for archive in DATASETS[dataset].archives]
    place = locate(dataset, home)
    if place is None:
        return [formats.ORDER]
    if place.path.name == ADOPTED:
        return [formats.ORDER, ADOPTED, (adopted_card(dataset, home) or {}).get("digest", "")]
    files = place.form.files if place.form else [place.path.name]
    if place.checked:
        known = {each.name: each.checksum for group in groups(DATASETS[dataset]) for each in group}
        return [formats.ORDER, *(f"{file}|{known[file]}" for file in files)]
    stats = [(file, (place.path / file).stat()) for file in files]
    return [formats.ORDER, *(f"{file}|{stat.st_size}|{stat.st_mtime_ns}" for file, stat in stats)]


def packed_digest(dataset: str, input_size: int, home: Path) -> str:
    """Digest of a data set's pixels and labels as they are now; empty where it has not been decoded or is not here."""
    return str(_packed_card(dataset, input_size, home).get("digest", ""))


def _packed_card(dataset: str, input_size: int, home: Path) -> dict[str, Any]:
    try:
        card = json.loads((pack_folder(dataset, input_size, home) / "card.json").read_text(encoding="utf-8"))
    except (DataError, OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}
