"""Which files below a class folder are images: the rule for links, folders, other files and devices.

An image is a regular file, or a link to one, whose name ends with one of :data:`bench.datasets.reading.IMAGE_SUFFIXES`.
Folders are entered, whatever they are called, as torchvision's ImageFolder does; so are links to folders, except those
that lead to a folder that holds them, which would never end. Hidden files and folders are skipped. Everything else is
left out, and counted by :func:`left_out_files`.

Called by :mod:`bench.datasets.image_folder`. Nothing is opened.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath

from bench.datasets.reading import is_image_file, os_error_sentence
from bench.errors import DataError

EXPECTED = "train/CLASS/*.jpg and val/CLASS/*.jpg or test/CLASS/*.jpg"
"""What an image folder holds, in words."""
LEADS_ABOVE = "linked to a folder above"
SPECIAL = "special (device or pipe)"
NO_SUFFIX = "without a suffix"
OUTSIDE_CLASSES = "outside the class folders"


def image_names(folder: str) -> Iterator[str]:
    """Images below a class folder, depth first, names sorted within each folder, without hidden files.

    Paths are strings: every run looks at every file, and making Path objects takes longer than looking.

    Raises:
        DataError: A folder may not be read.
    """
    return (path for path, why in _walk(folder, ()) if not why)


def left_out_files(folder: str) -> Counter[str]:
    """How many files below a class folder are no images, by suffix or by kind.

    Raises:
        DataError: A folder may not be read.
    """
    return Counter(why for _, why in _walk(folder, ()) if why)


def listed(folder: Path) -> list["os.DirEntry[str]"]:
    """The entries of a folder by name, without hidden ones.

    Raises:
        DataError: It is missing, no folder, or may not be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except FileNotFoundError:
        raise DataError(
            f"there is no folder {folder}; put the images there ({EXPECTED}), or name another in the suite"
        ) from None
    except NotADirectoryError:
        raise DataError(f"{folder} is not a folder; a folder: data set holds {EXPECTED}") from None
    except OSError as error:
        raise DataError(os_error_sentence(error, folder)) from error


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_entered(entry: "os.DirEntry[str]", places: tuple[str, ...] = ()) -> bool:
    """Whether an entry is a folder, or a link to one that holds neither the link nor one of ``places``."""
    if not is_folder(entry) or not entry.is_symlink():
        return is_folder(entry)
    target = PurePath(os.path.realpath(entry.path))
    return not any(PurePath(place).is_relative_to(target) for place in (_place_of(entry), *places))


def _place_of(entry: "os.DirEntry[str]") -> str:
    """The folder of a link, without links on the way."""
    return os.path.realpath(os.path.dirname(entry.path))  # noqa: PTH120 - the target is compared as a string


def _walk(folder: str, places: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Path of every file, and why it is left out; empty for an image. ``places``: folders of the links on the way."""
    folders = []
    for entry in listed(Path(folder)):
        if is_image_file(entry):
            yield f"{folder}/{entry.name}", ""
        elif is_folder(entry):
            folders.append(entry)
        else:
            yield f"{folder}/{entry.name}", _kind(entry)
    for entry in folders:
        if not is_entered(entry, places):
            yield f"{folder}/{entry.name}", LEADS_ABOVE
            continue
        behind = (*places, _place_of(entry)) if entry.is_symlink() else places
        yield from _walk(f"{folder}/{entry.name}", behind)


def _kind(entry: "os.DirEntry[str]") -> str:
    """The kind of a file that is no image."""
    try:
        entry.stat()
        special = not entry.is_file()
    except OSError:  # a link that leads nowhere
        special = False
    return SPECIAL if special else PurePath(entry.name).suffix.lower() or NO_SUFFIX
