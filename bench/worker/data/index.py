"""Indexes: where each image of a data set is and which class it has, for data sets whose files are read as they train.

An index is ``BENCH_DATA/indexed/KEY/`` with ``train.bin`` and ``test.bin`` (``PLACE`` records), ``names.bin`` (file
names, concatenated) and ``card.json``. It is written to a temporary folder, synced, and renamed whole, under a lock; a
damaged one is regenerated. All of it is mapped into memory, so that processes share it and a million images open at no
cost. Deleting indexes is safe.

The digest of an indexed data set covers its images' splits, classes, names and sizes, but not their pixels: decoding
150 GB to hash them would take longer than many cells. So a file that is overwritten by another of the same size goes
unnoticed. Whether images are stored in folders or in archives does not change the digest.

Checked before anything trains: that the counts are the published ones (unless ``max_images_per_class`` asks for fewer),
and that every test image can be decoded, because each test image counts in every number of a table. A broken training
image is replaced instead, see :mod:`bench.worker.data.file_batches`.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from bench.catalog.datasets import DATASETS, FOLDER_PREFIX
from bench.datasets.image_folder import folder_layout, folder_path
from bench.datasets.manual import Entry, find, first_by_rank, shortfalls
from bench.datasets.prepared import folder_entries, index_folder
from bench.datasets.splits import WHOLE
from bench.errors import DataError
from bench.worker.data.cache import get_or_create, os_errors_as
from bench.worker.data.decode import Member
from bench.worker.data.raw import Labels
from bench.worker.data.samples import check_test_images, sampled_statistics
from bench.workspace.files import replacing, write_atomically

PLACE = np.dtype(
    [("name", "<i8"), ("length", "<i4"), ("archive", "<i4"), ("offset", "<i8"), ("size", "<i8"), ("label", "<i4")]
)
"""Start of an image's name in ``names.bin`` and its bytes; number of its archive, or -1; offset and bytes; label."""
FILES = ("train.bin", "test.bin", "names.bin")
CHUNK = 10_000
"""Images held in memory at a time while an index is written."""
SAMPLED_AS = {"imagenet": "imagenet300"}
"""Data sets whose first images per class are those of another."""


class IndexedFiles(Sequence[tuple[Path | Member, int]]):
    """The images of a split, each as a file or a member of an archive, with its label."""

    def __init__(self, folder: Path, split: str, root: Path, archives: Sequence[str]) -> None:
        self._places = np.memmap(folder / f"{split}.bin", dtype=PLACE, mode="r")
        self._names = np.memmap(folder / "names.bin", dtype=np.uint8, mode="r")
        self._root, self._archives = root, archives

    @property
    def labels(self) -> Labels:
        """(N,) int64."""
        return self._places["label"].astype(np.int64)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        """The image at a position: a path or a :class:`Member`, and its label."""
        begins, length, archive, offset, size, label = self._places[place].item()
        name = os.fsdecode(self._names[begins : begins + length].tobytes())
        if archive < 0:
            return self._root / name, label
        return Member(self._root / self._archives[archive], name, offset, size), label


@dataclass(frozen=True, kw_only=True)
class IndexedDataset:
    """A data set whose images stay in their files."""

    name: str
    """As in the suite."""
    train: IndexedFiles
    test: IndexedFiles
    train_labels: Labels
    """(N,) int64, indices into ``classes``."""
    test_labels: Labels
    classes: tuple[str, ...]
    num_classes: int
    """Outputs of a net: the published number, even where an incomplete copy has fewer classes."""
    mean: tuple[float, ...]
    """Per channel of RGB, of training pixels scaled to 0..1."""
    std: tuple[float, ...]
    digest: str
    """SHA-256 of splits, classes, names and sizes, in hexadecimal."""


def index(dataset: str, limit: int | None, home: Path, *, workers: int) -> IndexedDataset:
    """The data set's index, made now if there is none.

    Args:
        dataset: As in a suite.
        limit: Maximum number of images per class, of the training set and of the test set.
        home: The data folder.
        workers: Threads that decode the images that are looked at while an index is made.

    Raises:
        DataError: The data set is missing, incomplete without a limit, has a broken test image, or a disk error.
    """
    with os_errors_as(f"{dataset} cannot be indexed in {home / 'indexed'}"):
        folder = index_folder(dataset, limit, home)
        read, make = partial(open_index, folder, dataset), partial(_write, folder, dataset, limit, home, workers)
        return get_or_create(folder, read, make)


def open_index(folder: Path, dataset: str) -> IndexedDataset | None:
    """Map an index, or return None if it is missing or damaged."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        if any((folder / name).stat().st_size != card["bytes"][name] for name in FILES):
            return None
        splits = {
            split: IndexedFiles(folder, split, Path(card["root"]), card["archives"]) for split in ("train", "test")
        }
        return IndexedDataset(
            name=dataset,
            **splits,
            train_labels=splits["train"].labels,
            test_labels=splits["test"].labels,
            classes=tuple(card["classes"]),
            num_classes=card["num_classes"],
            mean=tuple(card["mean"]),
            std=tuple(card["std"]),
            digest=card["digest"],
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


# --- Writing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Images:
    """What an index is made of."""

    root: Path
    classes: tuple[str, ...]
    train: Iterator[Entry]
    test: Iterator[Entry]


def _images(dataset: str, home: Path) -> _Images:
    if not dataset.startswith(FOLDER_PREFIX):
        layout = find(dataset, home)
        return _Images(layout.root, tuple(layout.classes()), layout.train(), layout.test())
    path = folder_path(dataset)
    tree = folder_layout(path)
    train, test = (folder_entries(path, split, tree.classes) for split in (tree.train, tree.test))
    return _Images(path, tree.classes, train, test)


def _write(folder: Path, dataset: str, limit: int | None, home: Path, workers: int) -> None:
    with replacing(folder) as temporary:
        card = _write_files(temporary, dataset, limit, home)
        train, test = (
            IndexedFiles(temporary, split, Path(card["root"]), card["archives"]) for split in ("train", "test")
        )
        check_test_images(test, workers)
        if not card["mean"]:
            card["mean"], card["std"] = sampled_statistics(train, workers)
        card["bytes"] = {name: (temporary / name).stat().st_size for name in FILES}
        write_atomically(temporary / "card.json", json.dumps(card, indent=1))


def _write_files(folder: Path, dataset: str, limit: int | None, home: Path) -> dict[str, Any]:
    """Write the places and the names. Returns the card without what is measured on pixels."""
    images, spec = _images(dataset, home), DATASETS.get(dataset)
    with (folder / "names.bin").open("wb") as names:
        writer = _Writer(folder, images.classes, names)
        for split, entries in (("train", images.train), ("test", images.test)):
            if limit is not None:
                sampled_as = SAMPLED_AS.get(dataset, dataset.partition(":")[0])
                entries = first_by_rank(entries, sampled_as, limit)  # noqa: PLW2901
            writer.write_split(split, entries)
            if not writer.counts[split]:
                raise DataError(f"{dataset} has no {split} image in {images.root}")
        _sync(names)
    if spec is not None and limit is None and (problems := shortfalls(spec, find(dataset, home), writer.counts)):
        raise DataError(
            f"{dataset} is not complete in {images.root}: {'; '.join(problems)}; --max-images-per-class N trains on "
            f"what is here. {spec.by_hand}"
        )
    return {
        "name": dataset,
        "root": str(images.root),
        "archives": list(writer.archives),
        "classes": images.classes,
        "num_classes": spec.num_classes if spec else len(images.classes),
        "train_images": sum(writer.counts["train"].values()),
        "test_images": sum(writer.counts["test"].values()),
        "mean": spec.mean if spec else (),
        "std": spec.std if spec else (),
        "digest": writer.digest.hexdigest(),
    }


class _Writer:
    """Writes the records of both splits and the names they share."""

    def __init__(self, folder: Path, classes: Sequence[str], names: IO[bytes]) -> None:
        self._folder, self._names = folder, names
        self._labels = {name: label for label, name in enumerate(classes)}
        self.archives: dict[str, int] = {}
        """Numbers of the archives that hold images, by path, in their order."""
        self.counts: dict[str, Counter[str]] = {}
        """Images of each class, by split."""
        self.digest = hashlib.sha256(b"bench index 1\n")

    def write_split(self, split: str, entries: Iterator[Entry]) -> None:
        """Write one split in chunks, so that memory does not grow with the data set.

        Raises:
            DataError: An image is empty or of an unknown class.
        """
        self.counts[split] = Counter()
        with (self._folder / f"{split}.bin").open("wb") as places:
            while chunk := list(islice(entries, CHUNK)):
                rows = np.empty(len(chunk), dtype=PLACE)
                for number, entry in enumerate(chunk):
                    rows[number] = self._record(split, entry)
                places.write(rows.tobytes())
                self.counts[split].update(entry.category for entry in chunk)
            _sync(places)

    def _record(self, split: str, entry: Entry) -> tuple[int, int, int, int, int, int]:
        """Write one name; returns the image's ``PLACE``."""
        if entry.size == 0:
            raise DataError(f"{entry.file}, {entry.name} is empty; download it again")
        if entry.category not in self._labels:
            raise DataError(f"{entry.file} ({entry.name}) is of {entry.category}, a class without training images")
        whole = entry.offset == WHOLE
        name = os.fsencode(entry.file if whole else entry.name)
        archive = -1 if whole else self.archives.setdefault(entry.file, len(self.archives))
        begins = self._names.tell()
        self._names.write(name)
        line = f"{split}\0{entry.category}\0{entry.name}\0{entry.size}\n"
        self.digest.update(line.encode("utf-8", "surrogateescape"))
        return begins, len(name), archive, entry.offset, entry.size, self._labels[entry.category]


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
