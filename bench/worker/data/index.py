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

from bench.codec import JsonObject
from bench.datasets.checksums import file_digest
from bench.datasets.manual import take_per_class
from bench.datasets.prepared import index_folder
from bench.datasets.reading import writing
from bench.datasets.source import open_source
from bench.datasets.splits import SPLITS, WHOLE, ImageRecord, SplitName
from bench.errors import DataError
from bench.worker.data.cache import get_or_create, is_unchanged, times_of
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
    with writing(dataset, home / "indexed"):
        folder = index_folder(dataset, limit, home)
        read, make = partial(open_index, folder, dataset), partial(_write, folder, dataset, limit, home, workers)
        return get_or_create(folder, read, make)


def open_index(folder: Path, dataset: str) -> IndexedDataset | None:
    """Map an index, or return None if it is missing or damaged."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        if any((folder / name).stat().st_size != card["bytes"][name] for name in FILES):
            return None
        if "sha256" in card and not is_unchanged(folder, card, FILES, lambda: _digests(folder) == card["sha256"]):
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
        card["sha256"], card["times"] = _digests(temporary), times_of(temporary, FILES)
        write_atomically(temporary / "card.json", json.dumps(card, indent=1))


def _digests(folder: Path) -> dict[str, str]:
    return {name: file_digest(folder / name, "sha256") for name in FILES}


def _write_files(folder: Path, dataset: str, limit: int | None, home: Path) -> JsonObject:
    """Write the places and the names. Returns the card without what is measured on pixels."""
    source = open_source(dataset)
    images = source.locate(home)
    classes = tuple(images.classes())
    with (folder / "names.bin").open("wb") as names:
        writer = _Writer(folder, classes, names)
        for split in SPLITS:
            records = images.records(split)
            writer.write_split(split, records if limit is None else take_per_class(records, source.sampled_as, limit))
            if not writer.counts[split]:
                raise DataError(f"{dataset} has no {split} image in {images.root}")
        _sync(names)
    if limit is None and (problems := source.shortfalls(images, writer.counts)):
        raise DataError(
            f"{dataset} is not complete in {images.root}: {'; '.join(problems)}; to train on the images that are here, "
            f"use --max-images-per-class N. {source.remedy(home)}"
        )
    return {
        "name": dataset,
        "default_input_size": source.input_size,
        "root": str(images.root),
        "archives": list(writer.archives),
        "classes": classes,
        "num_classes": source.num_classes,
        "train_images": sum(writer.counts["train"].values()),
        "test_images": sum(writer.counts["test"].values()),
        "mean": source.mean,
        "std": source.std,
        "digest": writer.digest.hexdigest(),
    }


class _Writer:
    """Writes the records of both splits and the names they share."""

    def __init__(self, folder: Path, classes: Sequence[str], names: IO[bytes]) -> None:
        self._folder, self._names = folder, names
        self._labels = {name: label for label, name in enumerate(classes)}
        self.archives: dict[str, int] = {}
        """Numbers of the archives that hold images, by path, in their order."""
        self.counts: dict[SplitName, Counter[str]] = {}
        """Images of each class, by split."""
        self.digest = hashlib.sha256(b"bench index 1\n")

    def write_split(self, split: SplitName, records: Iterator[ImageRecord]) -> None:
        """Write one split in chunks, so that memory does not grow with the data set.

        Raises:
            DataError: An image is empty or of an unknown class.
        """
        self.counts[split] = Counter()
        with (self._folder / f"{split}.bin").open("wb") as places:
            while chunk := list(islice(records, CHUNK)):
                rows = np.empty(len(chunk), dtype=PLACE)
                for number, record in enumerate(chunk):
                    rows[number] = self._record(split, record)
                places.write(rows.tobytes())
                self.counts[split].update(record.category for record in chunk)
            _sync(places)

    def _record(self, split: str, record: ImageRecord) -> tuple[int, int, int, int, int, int]:
        """Write one name; returns the image's ``PLACE``."""
        if record.size == 0:
            raise DataError(f"{record.file}, {record.name} is empty; download it again")
        if record.category not in self._labels:
            raise DataError(f"{record.file} ({record.name}) is of {record.category}, a class without training images")
        whole = record.offset == WHOLE
        name = os.fsencode(record.file if whole else record.name)
        archive = -1 if whole else self.archives.setdefault(record.file, len(self.archives))
        begins = self._names.tell()
        self._names.write(name)
        line = f"{split}\0{record.category}\0{record.name}\0{record.size}\n"
        self.digest.update(line.encode("utf-8", "surrogateescape"))
        return begins, len(name), archive, record.offset, record.size, self._labels[record.category]


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
