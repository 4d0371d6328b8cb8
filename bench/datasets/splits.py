"""The image files of a data set, split by split: class folders and flat folders (tar archives: :mod:`.archives`).

Called by the finders of manual downloads (:mod:`.imagenet`, :mod:`.clothing1m`), by image folders and, through
:class:`ImageFiles`, by the worker's index. Nothing is decoded, extracted or written.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from bench.datasets.reading import is_image_file, listing, size_of
from bench.errors import DataError

SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "test")

WHOLE = -1
"""Offset of an image that is a file of its own."""


class ImageRecord(NamedTuple):
    """One image of a data set: what it is and where its bytes are."""

    category: str
    """Name of its class."""
    name: str
    """File name, unique in its class."""
    file: str
    """The image file, or the archive that holds it, relative to the root of the data set."""
    offset: int
    """Byte of the archive at which the image begins; ``WHOLE`` for a file of its own."""
    size: int
    """Bytes."""


class ImageFiles(Protocol):
    """The image files of a data set, in the format in which they are stored on this machine."""

    @property
    def root(self) -> Path:
        """Folder that :attr:`ImageRecord.file` is relative to."""

    @property
    def format(self) -> str:
        """The format, in words."""

    @property
    def split_names(self) -> Mapping[SplitName, str]:
        """Name of each split on disk: a folder, an archive or a list."""

    def classes(self) -> Sequence[str]:
        """Names of the classes; the label of a class is its position."""

    def signature(self) -> list[str]:
        """Texts that change when images are added or removed; quick to compute."""

    def quick_counts(self) -> dict[SplitName, dict[str, int]]:
        """Images per class, by split. A split whose archive has the published size is left out."""

    def records(self, split: SplitName) -> Iterator[ImageRecord]:
        """The images of a split, in an order that does not depend on the format."""

    def verify(self) -> list[str]:
        """Problems other than wrong counts, one sentence each. May take long."""


class Split(Protocol):
    """One split in one format."""

    @property
    def name(self) -> str:
        """Name of the folder or archive."""

    def classes(self) -> list[str]:
        """Its classes, sorted."""

    def signature(self) -> list[str]:
        """See :class:`ImageFiles`."""

    def quick_counts(self) -> dict[str, int] | None:
        """Images per class; None for an archive of the published size."""

    def records(self) -> Iterator[ImageRecord]:
        """Its images, by class and name."""


@dataclass(frozen=True)
class ClassFolders:
    """``NAME/CLASS/*.JPEG``."""

    root: Path
    name: str

    def classes(self) -> list[str]:
        """Names of the folders."""
        return sorted(entry.name for entry in listing(self.root / self.name) if entry.is_dir())

    def signature(self) -> list[str]:
        """Modification times of the class folders, which change when a file is added or removed."""
        entries = listing(self.root / self.name)
        changed = sorted((entry.name, entry.stat().st_mtime_ns) for entry in entries if entry.is_dir())
        return [f"{self.name}/{name}|{time}" for name, time in changed]

    def quick_counts(self) -> dict[str, int]:
        """Counts of file names."""
        folder = self.root / self.name
        return {name: sum(is_image_file(entry) for entry in listing(folder / name)) for name in self.classes()}

    def records(self) -> Iterator[ImageRecord]:
        """One class at a time, so that a million names are never held at once."""
        for category in self.classes():
            folder = self.root / self.name / category
            images = (entry for entry in listing(folder) if is_image_file(entry))
            for entry in sorted(images, key=lambda entry: entry.name):
                yield ImageRecord(category, entry.name, f"{self.name}/{category}/{entry.name}", WHOLE, size_of(entry))


@dataclass(frozen=True)
class FlatFolder:
    """``NAME/*.JPEG``; the classes come from a ground-truth file."""

    root: Path
    name: str
    truth: Mapping[str, str]
    """Class by file name; may hold more names than there are files."""

    def classes(self) -> list[str]:
        """Classes of the images in the folder."""
        return sorted(self.quick_counts())

    def signature(self) -> list[str]:
        """Modification time of the folder, and a hash of the ground truth."""
        changed = (self.root / self.name).stat().st_mtime_ns
        return [f"{self.name}|{changed}|{truth_signature(self.truth)}"]

    def quick_counts(self) -> dict[str, int]:
        """Counts of file names."""
        return Counter(self._category(entry.name) for entry in self._images())

    def records(self) -> Iterator[ImageRecord]:
        """All names at once: a flat folder is a test set."""
        images = sorted((self._category(entry.name), entry.name, entry) for entry in self._images())
        for category, name, entry in images:
            yield ImageRecord(category, name, f"{self.name}/{name}", WHOLE, size_of(entry))

    def _images(self) -> list["os.DirEntry[str]"]:
        return [entry for entry in listing(self.root / self.name) if is_image_file(entry)]

    def _category(self, name: str) -> str:
        return class_of(self.truth, name, self.root / self.name)


def class_of(truth: Mapping[str, str], name: str, where: Path) -> str:
    """The class of a file.

    Raises:
        DataError: The ground truth does not list it.
    """
    try:
        return truth[name]
    except KeyError:
        raise DataError(f"{where} holds {name}, which is missing from the ground truth") from None


def truth_signature(truth: Mapping[str, str]) -> str:
    """Hash of a ground truth."""
    return hash_of(f"{name} {category}" for name, category in sorted(truth.items()))


def hash_of(lines: Iterable[str]) -> str:
    """SHA-256 of lines, each ended by a newline, in hexadecimal."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
