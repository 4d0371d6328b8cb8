"""The forms that images come in: class folders, folders without classes, tar archives, tar archives of tar archives.

Archives are read where they are. Their headers give the place of every image in the file, which is all that reading an
image takes: nothing is unpacked, so that nothing can be half unpacked.
"""

import hashlib
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from bench.errors import DataError

SUFFIXES = (".jpeg", ".jpg", ".png")
"""Of image files, in lower case. What a file is, its content says."""
WHOLE = -1
"""Offset of an image that is a file of its own."""


class Entry(NamedTuple):
    """One image of a data set: what it is and where its bytes are."""

    category: str
    """Name of its class."""
    name: str
    """File name, unique in its class."""
    file: str
    """The file, or the archive that it lies in, relative to the layout's root."""
    offset: int
    """Byte of the archive at which it begins; ``WHOLE`` for a file of its own."""
    size: int
    """Bytes."""


class Layout(Protocol):
    """A data set in the form in which somebody has it."""

    @property
    def root(self) -> Path:
        """Folder that the entries' files are relative to."""

    @property
    def form(self) -> str:
        """The form, in words."""

    @property
    def splits(self) -> Mapping[str, str]:
        """What people call the parts ``train`` and ``test`` here, e.g. a folder's or an archive's name."""

    def classes(self) -> Sequence[str]:
        """Names of the classes that are here; a class's label is its place."""

    def signature(self) -> list[str]:
        """Texts that change when images are added or removed, quick to make."""

    def quick_counts(self) -> dict[str, dict[str, int]]:
        """Images of each class, by split; a split whose archive has the published size is left out."""

    def train(self) -> Iterator[Entry]:
        """The training images, in an order that does not depend on the form."""

    def test(self) -> Iterator[Entry]:
        """The test images, likewise."""

    def verify(self) -> list[str]:
        """What is wrong beyond numbers, a sentence each; may take long."""


class Part(Protocol):
    """One split in one form."""

    @property
    def name(self) -> str:
        """What people call it: the folder's or the archive's name."""

    def classes(self) -> list[str]:
        """Its classes, sorted."""

    def signature(self) -> list[str]:
        """See :class:`Layout`."""

    def quick_counts(self) -> dict[str, int] | None:
        """Images of each class; None for an archive of the published size."""

    def entries(self) -> Iterator[Entry]:
        """Its images, by class and name."""


@dataclass(frozen=True)
class ClassFolders:
    """``NAME/CLASS/*.JPEG``."""

    root: Path
    name: str

    def classes(self) -> list[str]:
        """Its folders."""
        return sorted(each.name for each in listing(self.root / self.name) if each.is_dir())

    def signature(self) -> list[str]:
        """A folder's time of change is that of the last file that came or went."""
        folder = self.root / self.name
        found = sorted((each.name, each.stat().st_mtime_ns) for each in listing(folder) if each.is_dir())
        return [f"{self.name}/{name}|{changed}" for name, changed in found]

    def quick_counts(self) -> dict[str, int]:
        """By the names alone."""
        folder = self.root / self.name
        return {name: sum(is_image(each.name) for each in listing(folder / name)) for name in self.classes()}

    def entries(self) -> Iterator[Entry]:
        """A class at a time."""
        for category in self.classes():
            folder = self.root / self.name / category
            for each in sorted((e for e in listing(folder) if is_image(e.name)), key=lambda e: e.name):
                yield Entry(category, each.name, f"{self.name}/{category}/{each.name}", WHOLE, size_of(each))


@dataclass(frozen=True)
class FlatFolder:
    """``NAME/*.JPEG``, with the classes from elsewhere."""

    root: Path
    name: str
    truth: Mapping[str, str]
    """Class by file name; it may know of more files than there are."""

    def classes(self) -> list[str]:
        """The classes of the images that are here."""
        return sorted(self.quick_counts())

    def signature(self) -> list[str]:
        """The folder's time of change, and the ground truth itself."""
        truth = hash_of(f"{name} {category}" for name, category in sorted(self.truth.items()))
        return [f"{self.name}|{(self.root / self.name).stat().st_mtime_ns}|{truth}"]

    def quick_counts(self) -> dict[str, int]:
        """By the names alone."""
        return Counter(self._category(each.name) for each in self._images())

    def entries(self) -> Iterator[Entry]:
        """All names at once: a flat folder is a test set."""
        found = sorted((self._category(each.name), each.name, each) for each in self._images())
        for category, name, each in found:
            yield Entry(category, name, f"{self.name}/{name}", WHOLE, size_of(each))

    def _images(self) -> list["os.DirEntry[str]"]:
        return [each for each in listing(self.root / self.name) if is_image(each.name)]

    def _category(self, name: str) -> str:
        return known(self.truth, name, self.root / self.name)


@dataclass(frozen=True)
class FlatArchive:
    """A tar of images, with the classes from elsewhere."""

    root: Path
    name: str
    truth: Mapping[str, str]
    published: int
    """Bytes of the published archive."""

    def classes(self) -> list[str]:
        """The classes of the images that are here."""
        return sorted({each.category for each in self.entries()})

    def signature(self) -> list[str]:
        """The archive's size and time of change, and the ground truth itself."""
        truth = hash_of(f"{name} {category}" for name, category in sorted(self.truth.items()))
        return [f"{archive_signature(self.root / self.name)}|{truth}"]

    def quick_counts(self) -> dict[str, int] | None:
        """See :func:`counts_of_archive`."""
        return counts_of_archive(self.root / self.name, self.published, self.entries())

    def entries(self) -> Iterator[Entry]:
        """All names at once: a flat archive is a test set."""
        path = self.root / self.name
        with reading(path), path.open("rb") as stream:
            found = [(name, offset, size) for name, offset, size in members(stream, path, 0) if is_image(name)]
        for category, name, offset, size in sorted((known(self.truth, name, path), name, o, s) for name, o, s in found):
            yield Entry(category, name, self.name, offset, size)


@dataclass(frozen=True)
class ArchiveOfClasses:
    """A tar of tars, ``CLASS.tar`` each."""

    root: Path
    name: str
    published: int
    """Bytes of the published archive."""

    def classes(self) -> list[str]:
        """The names of the archives inside."""
        return [category for category, _, _ in self._inner()]

    def signature(self) -> list[str]:
        """The archive's size and time of change."""
        return [archive_signature(self.root / self.name)]

    def quick_counts(self) -> dict[str, int] | None:
        """See :func:`counts_of_archive`."""
        return counts_of_archive(self.root / self.name, self.published, self.entries())

    def entries(self) -> Iterator[Entry]:
        """A class at a time."""
        path = self.root / self.name
        with reading(path), path.open("rb") as stream:
            for category, offset, size in self._inner():
                inside = members(stream, path, offset, offset + size)
                for name, at, length in sorted(each for each in inside if is_image(each[0])):
                    yield Entry(category, name, self.name, at, length)

    def _inner(self) -> list[tuple[str, int, int]]:
        path = self.root / self.name
        with reading(path), path.open("rb") as stream:
            found = [(name, offset, size) for name, offset, size in members(stream, path, 0) if name.endswith(".tar")]
        if not found:
            raise DataError(f"{path} holds no archive of a class (n01440764.tar, ...): it is another archive")
        return sorted((name.removesuffix(".tar"), offset, size) for name, offset, size in found)


# --- Reading ---------------------------------------------------------------------------------------------------------


def members(stream: IO[bytes], path: Path, start: int, end: int | None = None) -> Iterator[tuple[str, int, int]]:
    """Name, offset in the file and size of every file in a tar that lies in a part of an open file.

    Raises:
        DataError: It is no tar, or it ends early.
    """
    size = os.fstat(stream.fileno()).st_size
    end = size if end is None else end
    if end > size:
        raise DataError(f"{path} ends early: it has {size:,} bytes of at least {end:,}; bring it again")
    stream.seek(start)
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined] # or it keeps every header that it has read
            if member.offset_data + member.size > end:
                raise DataError(f"{path} ends early, in {member.name}; bring it again")
            if member.isfile():
                yield Path(member.name).name, member.offset_data, member.size
            if member.offset_data + member.size >= end:
                return


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong with a file into a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or path} is gone") from error
    except PermissionError as error:
        named = error.filename or path
        raise DataError(f"{named} may not be read by this user; allow it with: chmod -R u+rX {named}") from error
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read: {error.strerror or error}") from error
    except tarfile.TarError as error:
        raise DataError(f"{path} is not a whole tar archive ({error}); bring it again") from error


def listing(folder: Path) -> list["os.DirEntry[str]"]:
    """What lies in a folder, in no order, hidden files left out.

    Raises:
        DataError: It may not be read.
    """
    with reading(folder), os.scandir(folder) as found:
        return [each for each in found if not each.name.startswith(".")]


def size_of(each: "os.DirEntry[str]") -> int:
    """Bytes of a file.

    Raises:
        DataError: It is a link that leads nowhere, or it may not be looked at.
    """
    with reading(Path(each.path)):
        return each.stat().st_size


def is_image(name: str) -> bool:
    """Whether a file's name is an image's."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def known(truth: Mapping[str, str], name: str, where: Path) -> str:
    """The class of a file.

    Raises:
        DataError: The ground truth does not have it.
    """
    try:
        return truth[name]
    except KeyError:
        raise DataError(f"{where} holds {name}, which the ground truth does not have") from None


def counts_of_archive(path: Path, published: int, entries: Iterator[Entry]) -> dict[str, int] | None:
    """None for an archive of the published size; one of another, which is small or broken, is walked through."""
    return None if path.stat().st_size == published else Counter(each.category for each in entries)


def archive_signature(path: Path) -> str:
    """Name, size and time of change."""
    with reading(path):
        stat = path.stat()
    return f"{path.name}|{stat.st_size}|{stat.st_mtime_ns}"


def hash_of(lines: Iterator[str] | Sequence[str]) -> str:
    """SHA-256 of lines, each ended by a newline, in hexadecimal."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
