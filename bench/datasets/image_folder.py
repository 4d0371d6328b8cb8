"""Image folders: ``folder:PATH`` data sets of ``train/CLASS/*.jpg`` and ``val/`` or ``test/``.

Called by :mod:`bench.datasets.folder_source` and by the worker's decoders. Only names, sizes and times are read, except
that :meth:`ImageFolder.verify` opens the header of every image. Which files are images, and which folders are entered,
is decided by :mod:`bench.datasets.walk`.
"""

import hashlib
import os
import struct
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.catalog.models import SMALL_INPUT
from bench.datasets.reading import IMAGE_SUFFIXES, raster_formats
from bench.datasets.splits import SPLITS, WHOLE, ImageRecord, SplitName
from bench.datasets.walk import (
    EXPECTED,
    LEADS_ABOVE,
    OUTSIDE_CLASSES,
    image_names,
    is_entered,
    is_folder,
    left_out_files,
    listed,
)
from bench.errors import DataError

EXIF_ORIENTATION = 274
"""Tag of the orientation, 1 (upright) to 8. It is ignored, as torchvision's ImageFolder ignores it."""


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
        """
        root = str(self.root)
        for split in SPLITS:
            for _, file in self.files(split):
                size, time = _size_and_time(file)
                yield f"{file.removeprefix(root).lstrip('/')}|{size}|{time}"

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
            yield ImageRecord(category, name, file, WHOLE, _size_and_time(path)[0])

    def left_out(self) -> Counter[str]:
        """How many files of the two splits are not trained or tested on, by suffix or by kind.

        Raises:
            DataError: A folder may not be read.
        """
        found: Counter[str] = Counter()
        for split in SPLITS:
            for entry in listed(self.folder_of(split)):
                if not is_entered(entry):
                    found[LEADS_ABOVE if is_folder(entry) else OUTSIDE_CLASSES] += 1
            for name in self.class_names:
                found.update(left_out_files(str(self.folder_of(split) / name)))
        return found

    def verify(self) -> list[str]:
        """A sentence for every image whose header cannot be read."""
        return [f"{file} ({problem})" for file, problem, _ in self.headers() if problem]

    def headers(self) -> Iterator[tuple[str, str, bool]]:
        """Of every image: its path, why its header cannot be read, and whether its EXIF data turn or mirror it."""
        for split in SPLITS:
            for _, file in self.files(split):
                yield file, *_header(file)


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
    if problem := _difference(classes, tuple(_subfolders(folder.test)), test):
        raise DataError(f"{path}: train/ and {test}/ must hold the same class folders; {problem}")
    if len(classes) < 2:
        raise DataError(f"{folder.train} has {len(classes)} class folders; a task needs at least 2 ({EXPECTED})")
    for split in (folder.train, folder.test):
        for name in classes:
            if next(image_names(str(split / name)), None) is None:
                raise DataError(f"{split / name} holds no image{_seen(split / name)}")
    return folder


def first_sizes(root: Path) -> Iterator[tuple[int, int]]:
    """Width and height of the first image of every class folder, of those whose headers can be read.

    Raises:
        DataError: There is no train/, or a folder may not be read.
    """
    for split in ("train", "test", "val"):
        if split != "train" and not (root / split).is_dir():
            continue
        for entry in listed(root / split):
            file = next(image_names(entry.path), None) if is_entered(entry) else None
            if file and (size := _size_in_pixels(file)):
                yield size


def small_size(root: Path) -> int | None:
    """Side of a folder's images, if the first of every class are squares of one size for which nets have a small stem.

    Stops at the first that is not. Raises as :func:`first_sizes`.
    """
    found = None
    for width, height in first_sizes(root):
        if width != height or width > SMALL_INPUT or found not in (None, width):
            return None
        found = width
    return found


def _size_in_pixels(file: str) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(file, formats=raster_formats()) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _difference(train: Sequence[str], test: Sequence[str], test_name: str) -> str:
    """How the names of class folders differ between the splits, in words; empty if they are the same."""
    differing = sorted(set(train) ^ set(test))
    pairs: dict[str, list[str]] = {}
    for name in differing:
        pairs.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    if twice := [name for name, forms in pairs.items() if len(forms) > 1]:
        return (
            f"{', '.join(twice[:5])} is the same name in two Unicode forms (as one character with its accent, and as a "
            "letter and an accent); rename the folders of one split"
        )
    named = ", ".join(f"{name} (only in {'train' if name in train else test_name}/)" for name in differing[:5])
    return f"they differ in {named}" if named else ""


def _seen(folder: Path) -> str:
    """What a class folder without images holds instead, and what to do."""
    files = left_out_files(str(folder))
    others = f" among its files ({counted(files)})" if files else ""
    return f"{others}; put one there or remove the class (files that end with {', '.join(IMAGE_SUFFIXES)} are read)"


def counted(files: Mapping[str, int]) -> str:
    """Counts by kind in words, the most frequent first: ``8 .jfif, 1 link that leads above the folder``."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(files.items(), key=lambda item: (-item[1], item[0])))


def _size_and_time(file: str) -> tuple[int, int]:
    """Bytes and modification time; zeros for a link that leads nowhere, which is named when it is decoded."""
    try:
        stat = os.stat(file)  # noqa: PTH116 - see image_names
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _subfolders(folder: Path) -> list[str]:
    return [entry.name for entry in listed(folder) if is_entered(entry)]


def _header(file: str) -> tuple[str, bool]:
    """Why the header of an image cannot be read, and whether it holds an EXIF orientation."""
    from PIL import Image

    try:
        with Image.open(file, formats=raster_formats()) as image:
            turned = False
            with suppress(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error):
                turned = image.getexif().get(EXIF_ORIENTATION, 1) != 1  # EXIF data may be anything
            return "", turned
    except OSError as error:
        return (error.strerror if error.errno else "") or "no image of a format that bench reads", False
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return str(error), False
