"""Packs: a data set is decoded once, to plain arrays on disk that all cells map into memory and share.

A pack is ``BENCH_DATA/packed/KEY/`` with four ``.npy`` files and ``card.json``. It is written to a temporary folder,
synced, and renamed whole, under a lock; a damaged one is regenerated. KEY contains the data set's name, the input size
and a hash of where the pixels come from, so that changed images in a folder make another pack. Deleting packs is safe.

Shapes: N images, C channels (1 or 3), S = input size.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import torch
from torch.nn.functional import interpolate

from bench.codec import JsonObject
from bench.datasets.checksums import file_digest
from bench.datasets.prepared import pack_folder
from bench.datasets.reading import writing
from bench.datasets.source import open_source
from bench.errors import DataError
from bench.worker.data import image_folder
from bench.worker.data.cache import get_or_create, is_unchanged, times_of
from bench.worker.data.raw import ARRAYS, Images, Labels, RawDataset
from bench.workspace.files import replacing, write_atomically

FILES = tuple(f"{name}.npy" for name in ARRAYS)
PORTION = 1000
"""Images that are resized or counted at a time, to bound memory."""


@dataclass(frozen=True, kw_only=True)
class PackedDataset:
    """A data set at one input size, its arrays mapped from disk (read-only)."""

    name: str
    """As in the suite."""
    train_images: Images
    """(N, C, S, S) uint8."""
    train_labels: Labels
    """(N,) int64."""
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Per channel, of training pixels scaled to 0..1."""
    std: tuple[float, ...]
    digest: str
    """SHA-256 of the decoded pixels and labels, in hexadecimal."""

    @property
    def num_classes(self) -> int:
        """Outputs of a net."""
        return len(self.classes)


def pack(dataset: str, input_size: int, home: Path, test_resize: int = 0) -> PackedDataset:
    """The data set's arrays at an input size, decoded now if that has not been done before.

    With ``test_resize`` test images are the centres of images that were resized to that.

    Raises:
        DataError: The data set is missing or broken, cannot be packed, or a disk error.
    """
    with writing(dataset, home / "packed"):
        folder = pack_folder(dataset, input_size, home, test_resize)
        read, make = (
            partial(open_pack, folder, dataset),
            partial(_write, folder, dataset, input_size, test_resize, home),
        )
        return get_or_create(folder, read, make)


def open_pack(folder: Path, dataset: str) -> PackedDataset | None:
    """Map a pack, or return None if it is missing, damaged or changed."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        if any((folder / f"{name}.npy").stat().st_size != card["bytes"][name] for name in ARRAYS):
            return None
        arrays: JsonObject = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        described: JsonObject = {key: tuple(card[key]) for key in ("classes", "mean", "std")}
        packed = PackedDataset(name=dataset, digest=card["digest"], **arrays, **described)
        same = is_unchanged(folder, card, FILES, lambda: content_digest(packed) == packed.digest)
        return packed if same else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _write(folder: Path, dataset: str, input_size: int, test_resize: int, home: Path) -> None:
    raw = _load(dataset, input_size, test_resize, home)
    write_whole(folder, raw, _card(raw, dataset, input_size))


def write_whole(folder: Path, raw: RawDataset, card: JsonObject, *, hashed: bool = False) -> JsonObject:
    """Write a data set's arrays and card to a folder, all or nothing; an existing folder is replaced.

    Args:
        folder: The caller holds a lock on it.
        raw: The arrays.
        card: Their description.
        hashed: Whether to add the SHA-256 of each file to the card.

    Returns:
        The card with the sizes of the files.

    Raises:
        DataError: There is not enough space.
        OSError: A disk error.
    """
    with replacing(folder) as temporary:
        needed, free = sum(getattr(raw, name).nbytes for name in ARRAYS), shutil.disk_usage(temporary).free
        if needed > free:
            raise DataError(
                f"{card['name']} needs {needed / 1e6:,.0f} MB in {folder.parent}, where {free / 1e6:,.0f} MB are free;"
                " free some space, or set BENCH_DATA to another folder"
            )
        for name in ARRAYS:
            _save(temporary / f"{name}.npy", getattr(raw, name))
        suffix = ".npy" if hashed else ""
        files = {f"{name}{suffix}": temporary / f"{name}.npy" for name in ARRAYS}
        card = {**card, "bytes": {name: file.stat().st_size for name, file in files.items()}}
        card["times"] = times_of(temporary, FILES)
        if hashed:
            card["sha256"] = {name: file_digest(file, "sha256") for name, file in files.items()}
        write_atomically(temporary / "card.json", json.dumps(card, indent=1))
    return card


def _save(file: Path, array: Images | Labels) -> None:
    with file.open("wb") as stream:
        np.save(stream, array)
        stream.flush()
        os.fsync(stream.fileno())


def _card(raw: RawDataset, dataset: str, input_size: int) -> JsonObject:
    mean, std = channel_statistics(raw.train_images)
    source = open_source(dataset)
    if source.mean:  # the published ones, which are rounded
        mean, std = source.mean, source.std
    return {
        "name": dataset,
        "classes": raw.classes,
        "input_size": input_size,
        "default_input_size": source.input_size,
        "channels": raw.train_images.shape[1],
        "train_images": len(raw.train_labels),
        "test_images": len(raw.test_labels),
        "mean": mean,
        "std": std,
        "digest": content_digest(raw),
    }


def _load(dataset: str, input_size: int, test_resize: int, home: Path) -> RawDataset:
    source = open_source(dataset)
    if source.has_files:
        return image_folder.folder(source.locate(home), input_size, test_resize)
    raw: RawDataset = resolve_name(source.loader)(home)
    begin = (test_resize - input_size) // 2 if test_resize else 0
    centre = slice(begin, begin + input_size)
    return replace(
        raw,
        train_images=_resized(raw.train_images, input_size),
        test_images=_resized(raw.test_images, test_resize or input_size)[:, :, centre, centre],
    )


def _resized(images: Images, size: int) -> Images:
    return images if images.shape[-2:] == (size, size) else resize(images, size)


def resize(images: Images, size: int) -> Images:
    """Resize (N, C, H, W) uint8 to (N, C, size, size) uint8: bilinear with antialiasing."""
    resized = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for first in range(0, len(images), PORTION):
        batch = torch.from_numpy(np.array(images[first : first + PORTION]))
        # channels as separate images: torch's kernel for three uint8 channels fails an assertion at some sizes
        planes = interpolate(batch.flatten(0, 1)[:, None], size=(size, size), mode="bilinear", antialias=True)
        resized[first : first + PORTION] = planes.view(*batch.shape[:2], size, size).numpy()
    return resized


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of (N, C, H, W) uint8, of values scaled to 0..1.

    Computed from counts of the 256 values, and therefore exact. The deviation of a channel of one colour is 1.
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256, dtype=np.int64)
        for first in range(0, len(images), PORTION):
            counts += np.bincount(images[first : first + PORTION, channel].ravel(), minlength=256)
        share = counts / counts.sum()
        mean = float((share * values).sum())
        means.append(mean)
        deviations.append(float(np.sqrt((share * (values - mean) ** 2).sum())) or 1.0)
    return tuple(means), tuple(deviations)


def content_digest(raw: "RawDataset | PackedDataset") -> str:
    """SHA-256 of shapes, pixels and labels, in hexadecimal; independent of where the data set is stored."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        array = getattr(raw, name)
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
