"""Indexes: where each image of a data set is and which class it has, for data sets whose files are read as they train.

An index is ``BENCH_DATA/indexed/KEY/`` with ``train.bin`` and ``test.bin`` (``PLACE`` records), ``names.bin`` (names of
files, one after another) and ``card.json``. It is written to a temporary folder, synced, and renamed whole, under a
lock; one that is damaged is made anew. All of it is mapped into memory, so that processes share it and a million images
cost no time to open. Deleting indexes is safe.

The digest of an indexed data set is that of its images' splits, classes, names and sizes, and not of their pixels:
decoding 150 GB to name them would take longer than many cells. A file that is overwritten by another one of the same
size is therefore not noticed. Whether images lie in folders or in archives makes no difference to it.

What is checked before anything trains: that the numbers are the published ones (unless ``max_images_per_class`` asks
for a part), and that every test image can be decoded, because each test image counts in every figure of a table. A
training image that cannot be decoded is another matter, see :mod:`bench.worker.data.stream`.
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
import numpy.typing as npt

from bench.catalog.datasets import DATASETS, FOLDER_PREFIX
from bench.datasets.image_folder import folder_layout, folder_path
from bench.datasets.manual import Entry, find, first_by_rank, shortfalls
from bench.datasets.prepared import folder_entries, index_folder
from bench.datasets.splits import WHOLE
from bench.errors import DataError
from bench.worker.data.cache import get_or_create, os_errors_as
from bench.worker.data.decode import Member
from bench.worker.data.image_folder import Labels
from bench.workspace.files import replacing, write_atomically

PLACE = np.dtype(
    [("name", "<i8"), ("length", "<i4"), ("archive", "<i4"), ("offset", "<i8"), ("size", "<i8"), ("label", "<i4")]
)
"""Where an image's name begins in ``names.bin`` and its bytes; number of its archive, or -1; place in that; label."""
FILES = ("train.bin", "test.bin", "names.bin")
CHUNK = 10_000
"""Images that are held in memory at a time while an index is written."""
SAMPLE, SAMPLE_SIZE = 4096, 64
"""Training images, and their side in pixels, that a folder's mean and deviation are measured on."""
RANKED_AS = {"imagenet": "imagenet300"}
"""Data sets whose first images by rank are those of another."""


class IndexedFiles(Sequence[tuple[Path | Member, int]]):
    """The images of a split, each as a file or a part of an archive, with its label."""

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
        """The image at a place: a path or a :class:`Member`, and its label."""
        begins, length, archive, offset, size, label = self._places[place].item()
        name = os.fsdecode(self._names[begins : begins + length].tobytes())
        if archive < 0:
            return self._root / name, label
        return Member(self._root / self._archives[archive], name, offset, size), label


@dataclass(frozen=True, kw_only=True)
class IndexedDataset:
    """A data set whose images stay where they are."""

    name: str
    """As in the suite."""
    train: IndexedFiles
    test: IndexedFiles
    train_labels: Labels
    """(N,) int64, places in ``classes``."""
    test_labels: Labels
    classes: tuple[str, ...]
    num_classes: int
    """Outputs of a net: the published number, also where a part of a data set has fewer classes."""
    mean: tuple[float, ...]
    """Per channel of RGB, of training pixels scaled to 0..1."""
    std: tuple[float, ...]
    digest: str
    """SHA-256 of splits, classes, names and sizes, in hexadecimal."""


def index(dataset: str, limit: int | None, home: Path, *, workers: int) -> IndexedDataset:
    """The data set's index, made now if it has not been before.

    Args:
        dataset: As in a suite.
        limit: Images of each class at most, of the training set and of the test set.
        home: The data folder.
        workers: Threads that decode what is looked at while an index is made.

    Raises:
        DataError: The data set is missing, incomplete without a limit, has a broken test image, or the disk refuses.
    """
    with os_errors_as(f"{dataset} cannot be indexed in {home / 'indexed'}"):
        folder = index_folder(dataset, limit, home)
        read, make = partial(open_index, folder, dataset), partial(_write, folder, dataset, limit, home, workers)
        return get_or_create(folder, read, make)


def open_index(folder: Path, dataset: str) -> IndexedDataset | None:
    """Map an index, or return None where there is none or one that is not whole."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        if any((folder / name).stat().st_size != card["bytes"][name] for name in FILES):
            return None
        parts = {
            split: IndexedFiles(folder, split, Path(card["root"]), card["archives"]) for split in ("train", "test")
        }
        return IndexedDataset(
            name=dataset,
            **parts,
            train_labels=parts["train"].labels,
            test_labels=parts["test"].labels,
            classes=tuple(card["classes"]),
            num_classes=card["num_classes"],
            mean=tuple(card["mean"]),
            std=tuple(card["std"]),
            digest=card["digest"],
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class _Source:
    """What an index is made of."""

    root: Path
    classes: tuple[str, ...]
    train: Iterator[Entry]
    test: Iterator[Entry]


def _source(dataset: str, home: Path) -> _Source:
    if not dataset.startswith(FOLDER_PREFIX):
        layout = find(dataset, home)
        return _Source(layout.root, tuple(layout.classes()), layout.train(), layout.test())
    path = folder_path(dataset)
    tree = folder_layout(path)
    train, test = (folder_entries(path, part, tree.classes) for part in (tree.train, tree.test))
    return _Source(path, tree.classes, train, test)


def _write(folder: Path, dataset: str, limit: int | None, home: Path, workers: int) -> None:
    with replacing(folder) as temporary:
        card = _write_files(temporary, dataset, limit, home)
        test = IndexedFiles(temporary, "test", Path(card["root"]), card["archives"])
        _check_test_images(test, workers)
        if not card["mean"]:
            train = IndexedFiles(temporary, "train", Path(card["root"]), card["archives"])
            card["mean"], card["std"] = sampled_statistics(train, workers)
        card["bytes"] = {name: (temporary / name).stat().st_size for name in FILES}
        write_atomically(temporary / "card.json", json.dumps(card, indent=1))


def _write_files(folder: Path, dataset: str, limit: int | None, home: Path) -> dict[str, Any]:
    """Write the places and the names. Returns the card without what is measured on pixels."""
    source, spec = _source(dataset, home), DATASETS.get(dataset)
    labels = {name: label for label, name in enumerate(source.classes)}
    archives: dict[str, int] = {}
    counts: dict[str, Counter[str]] = {}
    digest = hashlib.sha256(b"bench index 1\n")
    with (folder / "names.bin").open("wb") as names:
        for split, entries in (("train", source.train), ("test", source.test)):
            if limit is not None:
                entries = first_by_rank(entries, RANKED_AS.get(dataset, dataset.partition(":")[0]), limit)  # noqa: PLW2901
            counts[split] = Counter()
            with (folder / f"{split}.bin").open("wb") as places:
                while chunk := list(islice(entries, CHUNK)):
                    _write_chunk(chunk, split, labels, archives, names, places, digest)
                    counts[split].update(entry.category for entry in chunk)
                _sync(places)
            if not counts[split]:
                raise DataError(f"{dataset} has no {split} image in {source.root}")
        _sync(names)
    if spec is not None and limit is None and (problems := shortfalls(spec, find(dataset, home), counts)):
        raise DataError(
            f"{dataset} is not complete in {source.root}: {'; '.join(problems)}; --max-images-per-class N trains on "
            f"what is here. {spec.by_hand}"
        )
    return {
        "name": dataset,
        "root": str(source.root),
        "archives": list(archives),
        "classes": source.classes,
        "num_classes": spec.num_classes if spec else len(source.classes),
        "train_images": sum(counts["train"].values()),
        "test_images": sum(counts["test"].values()),
        "mean": spec.mean if spec else (),
        "std": spec.std if spec else (),
        "digest": digest.hexdigest(),
    }


def _write_chunk(
    chunk: list[Entry],
    split: str,
    labels: dict[str, int],
    archives: dict[str, int],
    names: IO[bytes],
    places: IO[bytes],
    digest: Any,
) -> None:
    rows = np.empty(len(chunk), dtype=PLACE)
    for number, entry in enumerate(chunk):
        if entry.size == 0:
            raise DataError(f"{entry.file}, {entry.name} is empty; bring it again")
        if entry.category not in labels:
            raise DataError(f"{entry.file} ({entry.name}) is of {entry.category}, a class without training images")
        whole = entry.offset == WHOLE
        name = os.fsencode(entry.file if whole else entry.name)
        archive = -1 if whole else archives.setdefault(entry.file, len(archives))
        rows[number] = (names.tell(), len(name), archive, entry.offset, entry.size, labels[entry.category])
        names.write(name)
        line = f"{split}\0{entry.category}\0{entry.name}\0{entry.size}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    places.write(rows.tobytes())


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _check_test_images(files: IndexedFiles, workers: int) -> None:
    """Decode every test image once.

    Raises:
        DataError: One cannot be decoded; the text names it.
    """
    from bench.worker.data.stream import TestFiles

    try:
        for _ in TestFiles(files, size=SAMPLE_SIZE, batch_size=64, workers=workers):
            pass
    except DataError as error:
        raise DataError(f"a test image is broken, and every one counts in each figure of a table: {error}") from error


def sampled_statistics(files: IndexedFiles, workers: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel, of pixels scaled to 0..1, over a sample that the number of files decides.

    The sample is the centres of up to ``SAMPLE`` images in a seeded order, at ``SAMPLE_SIZE`` pixels.
    """
    from bench.worker.data.batches import derived_seed
    from bench.worker.data.crops import Crop, centre_crop
    from bench.worker.data.pack import channel_statistics
    from bench.worker.data.stream import TrainFiles

    def centre(height: int, width: int, *, size: int, numbers: Sequence[float]) -> Crop:  # noqa: ARG001 - a CropOf
        return centre_crop(height, width, size=size)

    batches = TrainFiles(
        files,
        size=SAMPLE_SIZE,
        batch_size=64,
        seed=derived_seed("statistics"),
        workers=workers,
        view=centre,
    )
    found: list[npt.NDArray[np.uint8]] = []
    for images, _ in islice(batches.epoch(0), max(1, SAMPLE // batches.batch_size)):
        found.append(images.contiguous().numpy())
    return channel_statistics(np.concatenate(found))
