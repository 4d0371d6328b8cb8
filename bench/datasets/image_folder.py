"""datasets.image_folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.catalog.datasets import FOLDER_PREFIX
from bench.errors import DataError

if TYPE_CHECKING:
    pass


IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})


LAYOUT = "train/CLASS/*.jpg and val/CLASS/*.jpg or test/CLASS/*.jpg"


@dataclass(frozen=True)
class FolderLayout:
    """A checked ``folder:PATH`` data set."""

    train: Path
    test: Path
    """``test/`` where both ``test/`` and ``val/`` exist, else ``val/``."""
    classes: tuple[str, ...]
    """Names of the class folders, sorted."""


def folder_path(name: str) -> Path:
    """The absolute path in a ``folder:PATH`` name; a relative one counts from the current folder."""
    return Path(name.removeprefix(FOLDER_PREFIX)).expanduser().absolute()


def folder_classes(path: Path) -> list[str]:
    """The classes of an image folder, sorted; a class's label is its place in this list.

    Raises:
        DataError: As :func:`folder_layout`.
    """
    return list(folder_layout(path).classes)


def folder_layout(path: Path) -> FolderLayout:
    """Check that a folder holds train/ and test/ or val/ with the same classes, an image in each.

    Raises:
        DataError: It does not, or may not be read; the text names the first folder that is wrong.
    """
    parts = _subfolders(path)
    test = next((part for part in ("test", "val") if part in parts), None)
    if "train" not in parts or test is None:
        lacking = "train/" if "train" not in parts else "val/ or test/"
        raise DataError(f"{path} has no {lacking}; an image folder holds {LAYOUT}")
    layout = FolderLayout(train=path / "train", test=path / test, classes=tuple(_subfolders(path / "train")))
    tested = _subfolders(layout.test)
    if differing := sorted(set(layout.classes) ^ set(tested)):
        where = {name: f"{layout.train.name}/" if name in layout.classes else f"{test}/" for name in differing}
        listed = ", ".join(f"{name} (only in {where[name]})" for name in differing[:5])
        raise DataError(f"{path}: train/ and {test}/ must hold the same class folders; they differ in {listed}")
    if len(layout.classes) < 2:
        raise DataError(f"{layout.train} has {len(layout.classes)} class folders; a task needs at least 2 ({LAYOUT})")
    for part in (layout.train, layout.test):
        for name in layout.classes:
            if next(image_files(part / name), None) is None:
                raise DataError(f"{part / name} holds no image; put one there or remove the class ({LAYOUT})")
    return layout


def image_files(folder: Path) -> Iterator[Path]:
    """Images below a class folder, depth first, names sorted within each folder; hidden files are left out.

    Raises:
        DataError: A folder may not be read.
    """
    return map(Path, image_names(str(folder)))


def image_names(folder: str) -> Iterator[str]:
    """The same as strings: every run looks at every file, and making paths takes longer than the looking.

    Raises:
        DataError: A folder may not be read.
    """
    others = []
    for name in _entries(Path(folder)):
        if name[name.rfind(".") :].lower() in IMAGE_SUFFIXES:
            yield f"{folder}/{name}"
        else:
            others.append(name)
    for name in others:
        if Path(folder, name).is_dir():
            yield from image_names(f"{folder}/{name}")


def image_counts(layout: FolderLayout) -> tuple[int, int]:
    """Training and test images of an image folder.

    Raises:
        DataError: A folder may not be read.
    """
    train, test = (
        sum(1 for name in layout.classes for _ in image_names(str(part / name))) for part in (layout.train, layout.test)
    )
    return train, test


def file_marks(layout: FolderLayout) -> Iterator[str]:
    """Of every image of an image folder its name, size and time of change: what is compared to notice a change.

    Raises:
        DataError: A folder may not be read.
        OSError: A file was removed meanwhile.
    """
    root = str(layout.train.parent)
    for part in (layout.train, layout.test):
        for name in layout.classes:
            for file in image_names(str(part / name)):
                stat = os.stat(file)  # noqa: PTH116 - see image_names
                yield f"{file.removeprefix(root).lstrip('/')}|{stat.st_size}|{stat.st_mtime_ns}"


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208
    except FileNotFoundError:
        raise DataError(
            f"there is no folder {folder}; put the images there ({LAYOUT}), or name another in the suite"
        ) from None
    except NotADirectoryError:
        raise DataError(f"{folder} is not a folder; a folder: data set holds {LAYOUT}") from None
    except PermissionError:
        raise DataError(f"{folder} may not be read by this user; allow it with: chmod -R u+rX {folder}") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error


def _subfolders(folder: Path) -> list[str]:
    return [name for name in _entries(folder) if (folder / name).is_dir()]
