"""Where a data set is once it is ready to be trained on: packed, or indexed.

A pack holds all images, decoded once, as arrays (:mod:`bench.worker.data.pack`). An index holds where each image file
is; files are read and decoded during training (:mod:`bench.worker.data.index`). Called on both sides of the wall; the
worker writes what is named here, nothing here writes.

============================================  =================================
data set                                      ready as
============================================  =================================
built-in, downloaded                          pack
manual download                               index
folder, recipe with random_resized_crop       index
folder of more than ``STREAM_ABOVE`` bytes    index
any other folder                              pack
============================================  =================================
"""

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from bench.catalog.models import SMALL_INPUT
from bench.codec import JsonObject
from bench.datasets.resizing import file_access, file_augmentations
from bench.datasets.source import open_source
from bench.errors import DataError
from bench.values import Cell, DataKey

Card = JsonObject
"""What is recorded or shown of a data set, as JSON."""
INDEX_FORMAT = 1
"""Raised whenever the same files would be indexed differently than before."""
PACK_FORMAT = 1
"""Raised whenever the same source would be packed to other pixels or files than before."""
STREAM_ABOVE = 4_000_000_000
"""Bytes of a folder's pack above which its files are streamed: 26,500 images at 224 pixels."""


def data_key(cell: Cell) -> DataKey:
    """What decides which images, at which size, a cell is trained and tested on. Touches no disk.

    A folder can have two keys in one suite: it is packed for one recipe and streamed for another. A data set that this
    version does not know, from the history of another one, has a key too.
    """
    recipe = cell.recipe
    has_files, always_streamed = file_access(cell.dataset)
    streamed = always_streamed or (has_files and bool(file_augmentations(recipe)))
    test_resize = 0 if streamed or recipe.test_resize == recipe.input_size else recipe.test_resize or 0
    return DataKey(cell.dataset, recipe.input_size, recipe.max_images_per_class, streamed, test_resize)


def is_streamed(key: DataKey) -> bool:
    """Whether a data set's files are read during training.

    Raises:
        DataError: The data set is unknown, or a folder that is missing or malformed.
    """
    source = open_source(key.dataset)
    if key.streamed or source.always_streamed or not source.has_files:
        return source.has_files
    counts = source.locate(Path()).quick_counts()
    images = sum(sum(per_class.values()) for per_class in counts.values())
    return images * 3 * key.input_size**2 > STREAM_ABOVE


def augmentation_problem(cell: Cell) -> str | None:
    """Say why a cell's augmentations are impossible on its data set, or return None. Touches no disk."""
    positions = file_augmentations(cell.recipe)
    if not positions:
        return None
    component = cell.recipe.augment[positions[0]]
    if not open_source(cell.dataset).has_files:
        return (
            f"{component.name} crops image files, but the images of {cell.dataset} are decoded once, at the input "
            "size; use random_crop instead"
        )
    if positions != [0]:
        return f"{component.name} crops image files, so it must be used once and come first in augment"
    for option in ("area", "ratio"):
        values = component[option]
        if len(values) != 2 or values[0] > values[1]:
            return f"{component.name} needs two ascending numbers for {option}, not {list(values)}"
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
    """The prepared data set, or None if it was never prepared, is missing, or has changed.

    Every file of a folder is looked at, so once per run is enough.
    """
    limit = key.max_images_per_class
    try:
        streamed = is_streamed(key)
        packed = None if streamed else pack_folder(key.dataset, key.input_size, home, key.test_resize)
        folder = packed or index_folder(key.dataset, limit, home)
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        images, digest = int(card["train_images"]), str(card["digest"])
        if streamed:
            digest = streamed_digest(digest, key)
        elif limit is not None:
            images, digest = min(images, limit * len(card["classes"])), limited_digest(digest, limit)
        return Prepared(folder, digest, images, int(card.get("num_classes") or len(card["classes"])))
    except (DataError, OSError, ValueError, KeyError, TypeError):
        return None


def streamed_digest(digest: str, key: DataKey) -> str:
    """Digest of an index as a recipe sees its images.

    Earlier versions saw the centre of an enlarged image where the whole one is seen now: small images, and folders that
    are too large for a pack. Their results are stale by this.
    """
    always_streamed = file_access(key.dataset)[1]
    whole = not always_streamed and (not key.streamed or key.input_size <= SMALL_INPUT)
    return hashlib.sha256(f"{digest} whole images".encode()).hexdigest() if whole and digest else digest


def limited_digest(digest: str, limit: int | None) -> str:
    """Digest of the subset of a pack that has at most ``limit`` images per class."""
    if limit is None or not digest:
        return digest
    return hashlib.sha256(f"{digest} at most {limit} a class".encode()).hexdigest()


def index_folder(dataset: str, limit: int | None, home: Path) -> Path:
    """Where the index of a data set is, or would be: another folder whenever images were added or removed.

    Raises:
        DataError: The data set is missing, or has no files.
    """
    source = open_source(dataset)
    identity = [INDEX_FORMAT, dataset, limit, source.index_signature(home)]
    return home / "indexed" / f"{_safe(source.label)}-{_short_hash(identity)}"


def pack_folder(dataset: str, input_size: int, home: Path, test_resize: int = 0) -> Path:
    """Where the decoded arrays of a data set are, or would be: another folder whenever its files have changed.

    Raises:
        DataError: The name is unknown, or its folder is missing or malformed.
    """
    source = open_source(dataset)
    identity = [PACK_FORMAT, dataset, input_size, source.signature(home)]
    identity += [test_resize] if test_resize else []  # names of older packs hold
    return home / "packed" / f"{_safe(source.label)}-{input_size}-{_short_hash(identity)}"


def _safe(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", label)[:60]


def _short_hash(identity: list[object]) -> str:
    return hashlib.sha256(json.dumps(identity).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def pack_cards(dataset: str, home: Path) -> dict[int, Card]:
    """The cards (counts, mean, std, digest, ...) of a data set's packs that are up to date, by input size.

    Raises:
        DataError: As :func:`pack_folder`.
    """
    label = _safe(open_source(dataset).label)
    names = [path.name for path in (home / "packed").glob(f"{label}-*-*")]
    sizes = sorted({int(size) for name in names if (size := name.rsplit("-", 2)[1]).isdigit()})
    cards = {size: _pack_card(dataset, size, home) for size in sizes}
    return {size: card for size, card in cards.items() if card}


def _pack_card(dataset: str, input_size: int, home: Path) -> Card:
    try:
        card = json.loads((pack_folder(dataset, input_size, home) / "card.json").read_text(encoding="utf-8"))
    except (DataError, OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}
