"""Image folders: ``folder:PATH`` data sets of ``train/CLASS/*.jpg`` and ``val/`` or ``test/``.

Called by :mod:`bench.datasets.folder_source` and by the worker's decoders. Only names, sizes and times are read, except
that :meth:`ImageFolder.verify` opens the header of every image.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.reading import IMAGE_SUFFIXES, os_error_sentence
from bench.datasets.splits import SPLITS, WHOLE, ImageRecord, SplitName
from bench.errors import DataError

EXPECTED = "train/CLASS/*.jpg and val/CLASS/*.jpg or test/CLASS/*.jpg"


@dataclass(frozen=True)
class ImageFolder:
    """A checked image folder. Implements :class:`bench.datasets.splits.ImageFiles`."""

    root: Path
    train: Path
    test: Path
    """``test/`` if both ``test/`` and ``val/`` exist, else ``val/``."""
    class_names: tuple[str, ...]
    """Names of the class folders, sorted; the label of a class is its position."""

    format = "class folders"

    @property
    def split_names(self) -> Mapping[SplitName, str]:
        """Names of the two folders."""
        return {"train": self.train.name, "test": self.test.name}

    def classes(self) -> Sequence[str]:
        """Names of the class folders."""
        return self.class_names

    def folder_of(self, split: SplitName) -> Path:
        """The folder of a split."""
        return self.train if split == "train" else self.test

    def files(self, split: SplitName) -> Iterator[tuple[int, str]]:
        """Label and path of every image of a split, by class and name.

        Raises:
            DataError: A folder may not be read.
        """
        for label, name in enumerate(self.class_names):
            for file in image_names(str(self.folder_of(split) / name)):
                yield label, file

    def quick_counts(self) -> dict[SplitName, dict[str, int]]:
        """Images per class, by split."""
        return {
            split: {name: sum(1 for _ in image_names(str(self.folder_of(split) / name))) for name in self.class_names}
            for split in SPLITS
        }

    def marks(self) -> Iterator[str]:
        """Name, size and modification time of every image: compared to notice a change.

        Raises:
            DataError: A folder may not be read.
            OSError: A file was removed in the meantime.
        """
        root = str(self.root)
        for split in SPLITS:
            for _, file in self.files(split):
                stat = os.stat(file)  # noqa: PTH116 - see image_names
                yield f"{file.removeprefix(root).lstrip('/')}|{stat.st_size}|{stat.st_mtime_ns}"

    def signature(self) -> list[str]:
        """The path, and a hash of :meth:`marks`."""
        digest = hashlib.sha256()
        for mark in self.marks():
            digest.update(f"{mark}\n".encode("utf-8", "surrogateescape"))
        return [str(self.root), digest.hexdigest()]

    def records(self, split: SplitName) -> Iterator[ImageRecord]:
        """The images of a split, by class and name."""
        folder, start = self.folder_of(split).name, len(str(self.root).rstrip("/")) + 1
        for label, path in self.files(split):
            file, category = path[start:], self.class_names[label]
            name = file[len(folder) + len(category) + 2 :]
            yield ImageRecord(category, name, file, WHOLE, os.stat(path).st_size)  # noqa: PTH116 - see image_names

    def verify(self) -> list[str]:
        """A sentence for every image whose header cannot be read."""
        files = (file for split in SPLITS for _, file in self.files(split))
        return [problem for file in files if (problem := _image_problem(file))]


def open_image_folder(path: Path) -> ImageFolder:
    """Check that a folder holds train/ and test/ or val/ with the same classes, and an image in each.

    Raises:
        DataError: It does not, or may not be read; the text names the first folder that is wrong.
    """
    names = _subfolders(path)
    test = next((name for name in ("test", "val") if name in names), None)
    if "train" not in names or test is None:
        missing = "train/" if "train" not in names else "val/ or test/"
        raise DataError(f"{path} has no {missing}; an image folder holds {EXPECTED}")
    classes = tuple(_subfolders(path / "train"))
    folder = ImageFolder(root=path, train=path / "train", test=path / test, class_names=classes)
    if differing := sorted(set(classes) ^ set(_subfolders(folder.test))):
        listed = ", ".join(f"{name} (only in {'train' if name in classes else test}/)" for name in differing[:5])
        raise DataError(f"{path}: train/ and {test}/ must hold the same class folders; they differ in {listed}")
    if len(classes) < 2:
        raise DataError(f"{folder.train} has {len(classes)} class folders; a task needs at least 2 ({EXPECTED})")
    for split in (folder.train, folder.test):
        for name in classes:
            if next(image_names(str(split / name)), None) is None:
                raise DataError(f"{split / name} holds no image; put one there or remove the class ({EXPECTED})")
    return folder


def image_names(folder: str) -> Iterator[str]:
    """Images below a class folder, depth first, names sorted within each folder, without hidden files.

    Paths are strings: every run looks at every file, and making Path objects takes longer than looking.

    Raises:
        DataError: A folder may not be read.
    """
    others = []
    for name in _names(Path(folder)):
        if name.lower().endswith(IMAGE_SUFFIXES):
            yield f"{folder}/{name}"
        else:
            others.append(name)
    for name in others:
        if Path(folder, name).is_dir():
            yield from image_names(f"{folder}/{name}")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208 - strings
    except FileNotFoundError:
        raise DataError(
            f"there is no folder {folder}; put the images there ({EXPECTED}), or name another in the suite"
        ) from None
    except NotADirectoryError:
        raise DataError(f"{folder} is not a folder; a folder: data set holds {EXPECTED}") from None
    except OSError as error:
        raise DataError(os_error_sentence(error, folder)) from error


def _subfolders(folder: Path) -> list[str]:
    return [name for name in _names(folder) if (folder / name).is_dir()]


def _image_problem(file: str) -> str | None:
    from PIL import Image

    try:
        with Image.open(file):
            return None
    except (OSError, SyntaxError, ValueError) as error:
        return f"{file} ({type(error).__name__})"
