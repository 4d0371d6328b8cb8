"""Read folders and files of data sets: what an image is, and a sentence for every error of the operating system.

Called by the other modules of this package and by the worker's readers. Decodes nothing and writes nothing.
"""

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from bench.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
"""Suffixes of image files, in lower case. What a file really is, its content decides when it is decoded."""
LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")
"""Those of formats that do not keep every pixel."""
RASTER_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are decoded, whatever a file is called. Others are refused: for EPS, Pillow would
start Ghostscript."""


@cache
def raster_formats() -> tuple[str, ...]:
    """Those of :data:`RASTER_FORMATS` that the installed Pillow has, for ``Image.open(..., formats=...)``."""
    from PIL import Image

    Image.init()
    return tuple(name for name in RASTER_FORMATS if name in Image.OPEN)


def is_image(name: str) -> bool:
    """Whether a file name is that of an image; hidden files are none."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def is_image_file(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry of a folder is an image by its name, and a regular file or a link to one.

    Folders are none, nor are devices and pipes, whose end may never come. A link that leads nowhere is an image that
    cannot be read.
    """
    if not is_image(entry.name):
        return False
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:  # a link to itself, or one whose target may not be looked at
        return True


def os_error_sentence(error: OSError, path: Path) -> str:
    """What went wrong with a file or folder and what to do; ``path`` is named if the error names none."""
    where = error.filename or path
    if isinstance(error, FileNotFoundError):
        return f"{where} does not exist (any more)"
    if isinstance(error, PermissionError):
        return f"{where} may not be read by this user; allow it with: chmod -R u+rX {where}"
    return f"{where} cannot be read: {error.strerror or error}"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors of reading ``path`` into DataError.

    Raises:
        DataError: In place of OSError and of tarfile's errors.
    """
    try:
        yield
    except OSError as error:
        raise DataError(os_error_sentence(error, path)) from error
    except tarfile.TarError as error:
        raise DataError(f"{path} is not a complete tar archive ({error}); download it again") from error


@contextmanager
def writing(name: str, folder: Path) -> Iterator[None]:
    """Turn errors of writing data set ``name`` below ``folder`` into DataError.

    Raises:
        DataError: In place of OSError.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{name} cannot be written to {folder}: {why}; set BENCH_DATA to another folder") from error


def listing(folder: Path) -> list["os.DirEntry[str]"]:
    """The entries of a folder, unordered, without hidden ones.

    Raises:
        DataError: It may not be read.
    """
    with reading(folder), os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


def size_of(entry: "os.DirEntry[str]") -> int:
    """Bytes of a file.

    Raises:
        DataError: It is a dangling link, or may not be read.
    """
    with reading(Path(entry.path)):
        return entry.stat().st_size


def file_signature(path: Path) -> str:
    """Name, size and modification time of a file.

    Raises:
        DataError: It may not be read.
    """
    with reading(path):
        stat = path.stat()
    return f"{path.name}|{stat.st_size}|{stat.st_mtime_ns}"
