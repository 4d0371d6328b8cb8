"""Find Clothing1M (Xiao et al. 2015) as its authors send it in ``BENCH_DATA/clothing1m``, a folder or a link to one.

==============================  ===================================================================================
``images/0`` .. ``images/9``    the extracted image archives, each with subfolders
``noisy_train_key_list.txt``    one ``images/...`` per line: 1,000,000 images, noisy labels
``noisy_label_kv.txt``          one ``images/... LABEL`` per line, labels from 0 to 13
``clean_train_key_list.txt``    47,570 images with clean labels, to train or fine-tune on (``clothing1m_clean``)
``clean_val_key_list.txt``      14,313 more; neither data set uses them
``clean_test_key_list.txt``     10,526 more: the test set of both
``clean_label_kv.txt``          one ``images/... LABEL`` per line
==============================  ===================================================================================

The lists may also be in ``annotations/``. Images keep the order of their list. Called by
:class:`bench.datasets.manual.ManualSource`; opens no image.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.catalog.datasets import DATASETS
from bench.datasets.reading import file_signature, listing, os_error_sentence, reading
from bench.datasets.splits import WHOLE, ImageRecord, SplitName
from bench.errors import DataError

LISTS = {
    "noisy_train_key_list.txt": "noisy_label_kv.txt",
    "clean_train_key_list.txt": "clean_label_kv.txt",
    "clean_val_key_list.txt": "clean_label_kv.txt",
    "clean_test_key_list.txt": "clean_label_kv.txt",
}
"""Which file has the labels of a list's images."""
TEST = "clean_test_key_list.txt"
INSTRUCTIONS = DATASETS["clothing1m"].instructions


@dataclass(frozen=True)
class Clothing1M:
    """Clothing1M as found on this machine. Implements :class:`bench.datasets.splits.ImageFiles`."""

    root: Path
    annotations: Path
    train_list: str

    @property
    def format(self) -> str:
        """The two lists."""
        return f"{self.train_list} and {TEST}"

    @property
    def split_names(self) -> Mapping[SplitName, str]:
        """The lists."""
        return {"train": self.train_list, "test": TEST}

    def classes(self) -> Sequence[str]:
        """All 14: the lists hold numbers, whose names are published."""
        return DATASETS["clothing1m"].classes

    def signature(self) -> list[str]:
        """Sizes and times of the lists, and modification times of the image folders."""
        files = sorted({*LISTS, *LISTS.values()})
        folders = [f"{folder.relative_to(self.root)}|{folder.stat().st_mtime_ns}" for folder in self._folders()]
        return [str(self.root), *(file_signature(self.annotations / name) for name in files), *sorted(folders)]

    def quick_counts(self) -> dict[SplitName, dict[str, int]]:
        """Listed images that are on disk, by the names in the folders."""
        return {"train": self._present(self.train_list), "test": self._present(TEST)}

    def records(self, split: SplitName) -> Iterator[ImageRecord]:
        """In the order of the list; images that are not on disk are left out."""
        return self._records(self.split_names[split])

    def verify(self) -> list[str]:
        """Missing images of each list, including the lists that are not trained on."""
        problems = []
        for name in LISTS:
            keys = list(_lines(self.annotations / name))
            missing = [key for key in keys if key not in self._on_disk]
            if missing:
                problems.append(
                    f"{len(missing):,} of {len(keys):,} images listed in {name} are missing, e.g. {missing[0]}"
                )
        return problems

    def _records(self, name: str) -> Iterator[ImageRecord]:
        labels = self._labels(LISTS[name])
        for key in _lines(self.annotations / name):
            category = self._category(key, labels, name)
            file = self.root / key
            try:
                size = file.stat().st_size
            except FileNotFoundError:
                continue  # the caller compares the count with the published one
            except OSError as error:
                raise DataError(os_error_sentence(error, file)) from error
            yield ImageRecord(category, key, key, WHOLE, size)

    def _present(self, name: str) -> dict[str, int]:
        labels, keys = self._labels(LISTS[name]), _lines(self.annotations / name)
        listed = ((key, self._category(key, labels, name)) for key in keys)
        return Counter(category for key, category in listed if key in self._on_disk)

    def _labels(self, name: str) -> dict[str, int]:
        path, labels = self.annotations / name, {}
        for line in _lines(path):
            key, _, label = line.rpartition(" ")
            if not key or not label.isdigit() or int(label) >= len(self.classes()):
                raise DataError(f"{path} should hold 'images/... LABEL' lines, labels 0 to 13, and holds {line[:80]!r}")
            labels[key.strip()] = int(label)
        return labels

    def _category(self, key: str, labels: Mapping[str, int], name: str) -> str:
        if ".." in key.split("/") or key.startswith("/"):
            raise DataError(f"{self.annotations / name} names {key!r}, which is outside {self.root}")
        if key not in labels:
            raise DataError(f"{self.annotations / name} names {key}, which has no label in {LISTS[name]}")
        return self.classes()[labels[key]]

    @cached_property
    def _on_disk(self) -> frozenset[str]:
        return frozenset(
            f"{os.path.relpath(folder, self.root)}/{entry.name}"
            for folder in self._folders()
            for entry in listing(folder)
        )

    def _folders(self) -> Iterator[Path]:
        """``images/`` and all its subfolders."""
        waiting = [self.root / "images"]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting += [Path(entry.path) for entry in listing(folder) if entry.is_dir()]


def clothing1m(home: Path) -> Clothing1M:
    """Clothing1M with its noisy training labels. Raises as :func:`_find`."""
    return _find(home, "noisy_train_key_list.txt")


def clothing1m_clean(home: Path) -> Clothing1M:
    """Clothing1M with its small, clean training set. Raises as :func:`_find`."""
    return _find(home, "clean_train_key_list.txt")


def _find(home: Path, train_list: str) -> Clothing1M:
    """Find Clothing1M below ``home/clothing1m``.

    Raises:
        DataError: It is not there, or lists or images/ are missing, each of which is named.
    """
    root = home / "clothing1m"
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "is a dangling link" if root.is_symlink() else "does not exist"
        raise DataError(f"clothing1m is not here: {root} {what}; it holds images/ and the key lists. {INSTRUCTIONS}")
    root = root.resolve()
    listing(root)
    names = dict.fromkeys([*LISTS, *LISTS.values()])
    folders = [root, root / "annotations"]
    annotations = max(folders, key=lambda folder: sum((folder / name).is_file() for name in names))
    missing = [name for name in names if not (annotations / name).is_file()]
    if not (root / "images").is_dir():
        missing.append("images/")
    if missing:
        raise DataError(f"clothing1m is not complete: {', '.join(missing)} missing from {root}. {INSTRUCTIONS}")
    return Clothing1M(root=root, annotations=annotations, train_list=train_list)


def _lines(path: Path) -> Iterator[str]:
    """The non-empty lines of a text file, stripped."""
    with reading(path), path.open(encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            if text := line.strip():
                yield text
