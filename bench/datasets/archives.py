"""Splits in tar archives: flat archives of images, and archives that hold one tar archive per class.

Archives are read in place. Their headers give the position of every image in the file, which is all that reading an
image takes: nothing is extracted, so nothing can be left half extracted.
"""

import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.datasets.reading import file_signature, is_image, reading
from bench.datasets.splits import ImageRecord, class_of, truth_signature
from bench.errors import DataError


@dataclass(frozen=True)
class FlatArchive:
    """A tar of images; the classes come from a ground-truth file."""

    root: Path
    name: str
    truth: Mapping[str, str]
    """Class by file name; may hold more names than there are files."""
    published: int
    """Bytes of the published archive."""

    def classes(self) -> list[str]:
        """Classes of the images in the archive."""
        return sorted({record.category for record in self.records()})

    def signature(self) -> list[str]:
        """Size and modification time of the archive, and a hash of the ground truth."""
        return [f"{file_signature(self.root / self.name)}|{truth_signature(self.truth)}"]

    def quick_counts(self) -> dict[str, int] | None:
        """See :func:`counts_unless_published`."""
        return counts_unless_published(self.root / self.name, self.published, self.records())

    def records(self) -> Iterator[ImageRecord]:
        """All names at once: a flat archive is a test set."""
        path = self.root / self.name
        with reading(path), path.open("rb") as stream:
            files = [(name, offset, size) for name, offset, size in members(stream, path, 0) if is_image(name)]
        for category, name, offset, size in sorted(
            (class_of(self.truth, name, path), name, o, s) for name, o, s in files
        ):
            yield ImageRecord(category, name, self.name, offset, size)


@dataclass(frozen=True)
class ArchiveOfClasses:
    """A tar of tars, one ``CLASS.tar`` per class."""

    root: Path
    name: str
    published: int
    """Bytes of the published archive."""

    def classes(self) -> list[str]:
        """Names of the inner archives."""
        return [category for category, _, _ in self._class_archives()]

    def signature(self) -> list[str]:
        """Size and modification time of the archive."""
        return [file_signature(self.root / self.name)]

    def quick_counts(self) -> dict[str, int] | None:
        """See :func:`counts_unless_published`."""
        return counts_unless_published(self.root / self.name, self.published, self.records())

    def records(self) -> Iterator[ImageRecord]:
        """One class at a time, so that a million names are never held at once."""
        path = self.root / self.name
        with reading(path), path.open("rb") as stream:
            for category, offset, size in self._class_archives():
                files = members(stream, path, offset, offset + size)
                for name, start, length in sorted(file for file in files if is_image(file[0])):
                    yield ImageRecord(category, name, self.name, start, length)

    def _class_archives(self) -> list[tuple[str, int, int]]:
        """Class, offset and size of each inner archive, by class."""
        path = self.root / self.name
        with reading(path), path.open("rb") as stream:
            tars = [(name, offset, size) for name, offset, size in members(stream, path, 0) if name.endswith(".tar")]
        if not tars:
            raise DataError(f"{path} holds no class archive (n01440764.tar, ...): it is a different archive")
        return sorted((name.removesuffix(".tar"), offset, size) for name, offset, size in tars)


def counts_unless_published(path: Path, published: int, records: Iterator[ImageRecord]) -> dict[str, int] | None:
    """Images per class; None for an archive of the published size, which would take minutes to walk."""
    return None if path.stat().st_size == published else Counter(record.category for record in records)


def members(stream: IO[bytes], path: Path, start: int, end: int | None = None) -> Iterator[tuple[str, int, int]]:
    """Name, offset in the file and size of every regular file of the tar in bytes ``start`` to ``end`` of a file.

    Raises:
        DataError: It is not a tar archive, or it is truncated.
    """
    size = os.fstat(stream.fileno()).st_size
    end = size if end is None else end
    if end > size:
        raise DataError(f"{path} is truncated: it has {size:,} bytes of at least {end:,}; download it again")
    stream.seek(start)
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while (member := tar.next()) is not None:
            # tarfile keeps every header it has read: 1.3 million of them for ImageNet
            tar.members = []  # type: ignore[attr-defined]
            if member.offset_data + member.size > end:
                raise DataError(f"{path} is truncated inside {member.name}; download it again")
            if member.isfile():
                yield Path(member.name).name, member.offset_data, member.size
            if member.offset_data + member.size >= end:
                return
