"""Clothing1M (Xiao et al. 2015) as its authors send it, below ``BENCH_DATA/clothing1m``, a folder or a link to one.

==============================  ===================================================================================
``images/0`` .. ``images/9``    the unpacked archives of images, each with folders below
``noisy_train_key_list.txt``    ``images/...`` a line: the 1,000,000 images with noisy labels
``noisy_label_kv.txt``          ``images/... LABEL`` a line, labels from 0 to 13
``clean_train_key_list.txt``    47,570 images with clean labels, to train or fine-tune on (``clothing1m_clean``)
``clean_val_key_list.txt``      14,313 more; neither data set uses them
``clean_test_key_list.txt``     10,526 more: the test set of both
``clean_label_kv.txt``          ``images/... LABEL`` a line
==============================  ===================================================================================

The lists may also lie in ``annotations/``. Images keep the order of their list.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.catalog.datasets import DATASETS
from bench.datasets.splits import WHOLE, Entry, archive_signature, listing, reading
from bench.errors import DataError

LISTS = {
    "noisy_train_key_list.txt": "noisy_label_kv.txt",
    "clean_train_key_list.txt": "clean_label_kv.txt",
    "clean_val_key_list.txt": "clean_label_kv.txt",
    "clean_test_key_list.txt": "clean_label_kv.txt",
}
"""Which file has the labels of a list's images."""
TEST = "clean_test_key_list.txt"
BY_HAND = DATASETS["clothing1m"].by_hand


@dataclass(frozen=True)
class Clothing1M:
    """Clothing1M as it was found."""

    root: Path
    annotations: Path
    train_list: str

    @property
    def form(self) -> str:
        """Which list is trained on."""
        return f"{self.train_list} and {TEST}"

    @property
    def splits(self) -> Mapping[str, str]:
        """The lists."""
        return {"train": self.train_list, "test": TEST}

    def classes(self) -> Sequence[str]:
        """All 14: labels are numbers, and their names are known."""
        return DATASETS["clothing1m"].classes

    def signature(self) -> list[str]:
        """The annotations' sizes and times, and when images last came or went."""
        files = sorted({*LISTS, *LISTS.values()})
        folders = [f"{folder.relative_to(self.root)}|{folder.stat().st_mtime_ns}" for folder in self._folders()]
        return [str(self.root), *(archive_signature(self.annotations / name) for name in files), *sorted(folders)]

    def quick_counts(self) -> dict[str, dict[str, int]]:
        """Images of the lists that are on disk, by the names in the folders."""
        return {"train": self._present(self.train_list), "test": self._present(TEST)}

    def train(self) -> Iterator[Entry]:
        """In the order of the list."""
        return self._entries(self.train_list)

    def test(self) -> Iterator[Entry]:
        """In the order of the list."""
        return self._entries(TEST)

    def verify(self) -> list[str]:
        """How many images of each list are not on disk, also of those that are not trained on."""
        problems = []
        for name in LISTS:
            keys = list(_lines(self.annotations / name))
            missing = [key for key in keys if key not in self._on_disk]
            if missing:
                problems.append(
                    f"{len(missing):,} of the {len(keys):,} images of {name} lack, the first is {missing[0]}"
                )
        return problems

    def _entries(self, name: str) -> Iterator[Entry]:
        labels = self._labels(LISTS[name])
        for key in _lines(self.annotations / name):
            category = self._category(key, labels, name)
            file = self.root / key
            try:
                size = file.stat().st_size
            except FileNotFoundError:
                continue  # the caller compares numbers with those that were published
            except OSError as error:
                raise DataError(f"{file} cannot be read: {error.strerror}") from error
            yield Entry(category, key, key, WHOLE, size)

    def _present(self, name: str) -> dict[str, int]:
        labels, keys = self._labels(LISTS[name]), _lines(self.annotations / name)
        listed = ((key, self._category(key, labels, name)) for key in keys)
        return Counter(category for key, category in listed if key in self._on_disk)

    def _labels(self, name: str) -> dict[str, int]:
        path, found = self.annotations / name, {}
        for line in _lines(path):
            key, _, label = line.rpartition(" ")
            if not key or not label.isdigit() or int(label) >= len(self.classes()):
                raise DataError(f"{path} should hold 'images/... LABEL' lines, labels 0 to 13, and holds {line[:80]!r}")
            found[key.strip()] = int(label)
        return found

    def _category(self, key: str, labels: Mapping[str, int], name: str) -> str:
        if ".." in key.split("/") or key.startswith("/"):
            raise DataError(f"{self.annotations / name} names {key!r}, which lies outside {self.root}")
        if key not in labels:
            raise DataError(f"{self.annotations / name} names {key}, which has no label in {LISTS[name]}")
        return self.classes()[labels[key]]

    @cached_property
    def _on_disk(self) -> frozenset[str]:
        return frozenset(
            f"{os.path.relpath(folder, self.root)}/{each.name}"
            for folder in self._folders()
            for each in listing(folder)
        )

    def _folders(self) -> Iterator[Path]:
        """``images/`` and all folders below it."""
        waiting = [self.root / "images"]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting += [Path(each.path) for each in listing(folder) if each.is_dir()]


def clothing1m(home: Path) -> Clothing1M:
    """Clothing1M with its noisy training labels. Raises as :func:`_find`."""
    return _find(home, "noisy_train_key_list.txt")


def clothing1m_clean(home: Path) -> Clothing1M:
    """Clothing1M with its small, clean training set. Raises as :func:`_find`."""
    return _find(home, "clean_train_key_list.txt")


def _find(home: Path, train_list: str) -> Clothing1M:
    """Find Clothing1M below ``home/clothing1m``.

    Raises:
        DataError: It is not there, or lacks annotation files or images/, each of which is named.
    """
    root = home / "clothing1m"
    if not root.is_dir():
        what = "leads nowhere" if root.is_symlink() else "is not a folder" if root.exists() else "is not there"
        raise DataError(f"clothing1m is not here: {root} {what}; it holds images/ and the key lists. {BY_HAND}")
    root = root.resolve()
    listing(root)
    names = dict.fromkeys([*LISTS, *LISTS.values()])
    folders = [root, root / "annotations"]
    annotations = max(folders, key=lambda folder: sum((folder / name).is_file() for name in names))
    missing = [name for name in names if not (annotations / name).is_file()]
    if not (root / "images").is_dir():
        missing.append("images/")
    if missing:
        raise DataError(f"clothing1m is not complete: {root} lacks {', '.join(missing)}. {BY_HAND}")
    return Clothing1M(root=root, annotations=annotations, train_list=train_list)


def _lines(path: Path) -> Iterator[str]:
    """The lines of a text file that hold something."""
    with reading(path), path.open(encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            if text := line.strip():
                yield text
