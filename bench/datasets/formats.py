"""Detect the on-disk format of a small public data set (binary, pickle, IDX, Parquet, images) from file names alone.

``cifar10``, ``cifar100`` and ``fashion_mnist`` are kept as the authors' binary files, python pickles, IDX files,
Hugging Face's parquet files or folders of images, in a folder or in a tar archive. Called by
:mod:`bench.datasets.stored` for the names in a folder and by the worker's reader for the names inside an archive. Opens
nothing.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from bench.catalog.datasets import DATASETS
from bench.datasets.reading import IMAGE_SUFFIXES, LOSSY_SUFFIXES

FormatKind = Literal["binary", "pickle", "idx", "parquet", "images"]

KIND_NAMES: dict[FormatKind, str] = {
    "binary": "binary files",
    "pickle": "python pickles",
    "idx": "IDX files",
    "parquet": "parquet files",
    "images": "class folders of images",
}


@dataclass(frozen=True, kw_only=True)
class StoredFormat:
    """The files of a data set in one format; names are relative to the folder or archive, with ``/``."""

    kind: FormatKind
    train: tuple[str, ...]
    """In reading order. Of IDX files: images, then labels. Of image trees: every image."""
    test: tuple[str, ...]
    class_names_file: str = ""
    """The file that lists the names of the classes; empty if there is none."""

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.train, *self.test, *([self.class_names_file] if self.class_names_file else []))


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What :func:`detect_format` makes of file names."""

    format: StoredFormat | None = None
    """None if no format is complete."""
    problem: str = ""
    """What is missing from an incomplete format, or why it is refused; empty if there is no trace of any format."""
    remedy: str = "extract or copy it again"


Rule = tuple[tuple[str, ...], tuple[str, ...], str]
"""Training files, test files, file of class names."""


@dataclass(frozen=True, kw_only=True)
class OwnFormats:
    """The formats in which the authors publish a data set."""

    binary: Rule | None = None
    pickle: Rule | None = None
    idx: bool = False


FORMATS = {
    "cifar10": OwnFormats(
        binary=(tuple(f"data_batch_{n}.bin" for n in range(1, 6)), ("test_batch.bin",), "batches.meta.txt"),
        pickle=(tuple(f"data_batch_{n}" for n in range(1, 6)), ("test_batch",), "batches.meta"),
    ),
    "cifar100": OwnFormats(
        binary=(("train.bin",), ("test.bin",), "fine_label_names.txt"),
        pickle=(("train",), ("test",), "meta"),
    ),
    "fashion_mnist": OwnFormats(idx=True),
}
"""The data sets that are read in several formats. Each may also be Parquet files or an image tree."""


def detect_format(dataset: str, names: Sequence[str]) -> Detection:
    """The format of a data set among file names: the authors' own first, and the least deep copy of each."""
    own, problem = FORMATS[dataset], Detection()
    for detection in (
        *([_own(names, "binary", own.binary)] if own.binary else []),
        *([_own(names, "pickle", own.pickle)] if own.pickle else []),
        *([_idx(names)] if own.idx else []),
        _parquet(names),
        _images(dataset, names),
    ):
        if detection.format:
            return detection
        problem = problem if problem.problem else detection
    return problem


def expected_formats(dataset: str) -> str:
    """The formats in which a data set is read, in words."""
    own = FORMATS[dataset]
    kinds: dict[FormatKind, object] = {"binary": own.binary, "pickle": own.pickle, "idx": own.idx}
    words = [KIND_NAMES[kind] for kind, rule in kinds.items() if rule]
    return f"it may be {', '.join(words)}, parquet files or train/CLASS/*.png and test/CLASS/*.png"


def lossy_problem(name: str) -> str:
    """Why an image in a lossy format is refused."""
    return f"{name} uses lossy compression, so its pixels are not the published ones"


def lossy_remedy(root: str) -> str:
    """What to do with a tree of such images; ``root`` is its place below the folder that was inspected."""
    where = f" (PATH being the folder {root} in it)" if root else ""
    return f"use it as an image folder, with dataset: folder:PATH{where}"


def class_labels(dataset: str) -> dict[str, int]:
    """Label of every name that a class folder may have: the name of the class in any spelling, or its number."""
    classes = DATASETS[dataset].classes
    numbers = {str(label): label for label in range(len(classes))}
    return {**numbers, **{_folded(name): label for label, name in enumerate(classes)}}


def label_of(name: str, labels: dict[str, int]) -> int | None:
    """Label of an image by the folder it is in; CIFAR-100's may lie in folders of their superclass."""
    return labels.get(_folded(PurePosixPath(name).parent.name))


# --- One rule per format ---------------------------------------------------------------------------------------------


def _own(names: Sequence[str], kind: FormatKind, rule: Rule) -> Detection:
    train, test, classes = rule
    expected = [*train, *test]
    best: StoredFormat | None = None
    problem = ""
    for folder, files in _by_folder(names):
        missing = [name for name in expected if name not in files]
        if not missing:
            parent = PurePosixPath(folder)
            best = best or StoredFormat(
                kind=kind,
                train=tuple((parent / name).as_posix() for name in train),
                test=tuple((parent / name).as_posix() for name in test),
                class_names_file=(parent / classes).as_posix() if classes in files else "",
            )
        elif len(missing) < len(expected):
            problem = problem or _missing_files(kind, missing)
    return Detection(format=best, problem=problem)


def _idx(names: Sequence[str]) -> Detection:
    """MNIST's files have the same names, so folders whose name contains "fashion" go first."""
    best: StoredFormat | None = None
    problem = ""
    expected = [f"{split}-{what}-ubyte" for split in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    for folder, files in sorted(_by_folder(names), key=lambda item: "fashion" not in item[0].lower()):
        # the last spelling of a name wins: gzipped files, whose checksums are published, then "-" before "."
        in_order = sorted(sorted(files, reverse=True), key=lambda name: name.endswith(".gz"))
        spelled = {re.sub(r"[.-](?=idx)", "-", name.removesuffix(".gz")): name for name in in_order}
        missing = [name for name in expected if name not in spelled]
        if not missing:
            paths = [(PurePosixPath(folder) / spelled[name]).as_posix() for name in expected]
            best = best or StoredFormat(kind="idx", train=tuple(paths[:2]), test=tuple(paths[2:]))
        elif len(missing) < len(expected):
            problem = problem or _missing_files("idx", missing)
    return Detection(format=best, problem=problem)


def _parquet(names: Sequence[str]) -> Detection:
    tables = [name for name in names if name.endswith(".parquet")]
    train, test = ([name for name in tables if _split_of(name) == split] for split in ("train", "test"))
    for split, files in (("train", train), ("test", test)):
        counts = {int(count[1]) for name in files if (count := re.search(r"-of-(\d+)\.parquet$", name))}
        if counts and len(files) < max(counts):
            return Detection(problem=f"only {len(files)} of {max(counts)} parquet files for {split} are there")
    if train and test:
        return Detection(format=StoredFormat(kind="parquet", train=tuple(train), test=tuple(test)))
    if train or test:
        return Detection(problem=f"it has no parquet file for {'test' if train else 'train'}")
    return Detection()


def _split_of(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((word for word in reversed(words) if word in ("train", "test")), "")


def _images(dataset: str, names: Sequence[str]) -> Detection:
    spec, problem = DATASETS[dataset], Detection()
    trees = _image_trees(dataset, names)
    for root, splits in sorted(trees.items(), key=lambda item: (item[0].count("/"), item[0])):
        train, test = splits["train"], splits["test"] or splits["val"]
        if lossy := next((name for name in (*train, *test) if name.lower().endswith(LOSSY_SUFFIXES)), None):
            refusal = Detection(problem=lossy_problem(lossy), remedy=lossy_remedy(root))
            problem = problem if problem.problem else refusal
            continue
        counts = (("train", len(train), spec.train_images), ("test", len(test), spec.test_images))
        if wrong := [
            f"{count:,} of {published:,} for {split}" for split, count, published in counts if count != published
        ]:
            refusal = Detection(problem=f"it has class folders with images {', '.join(wrong)}")
            problem = problem if problem.problem else refusal
            continue
        return Detection(format=StoredFormat(kind="images", train=tuple(train), test=tuple(test)))
    return problem


def _image_trees(dataset: str, names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Images in folders of the data set's classes, by the root of their tree and by split."""
    labels = class_labels(dataset)
    trees: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() not in IMAGE_SUFFIXES or label_of(name, labels) is None:
            continue
        # the last folder is the class, which may be called "train" (CIFAR-100 has one), and not a split
        for depth, folder in enumerate(path.parts[:-2]):
            if folder in ("train", "test", "val"):
                trees["/".join(path.parts[:depth])][folder].append(name)
                break
    return trees


def _by_folder(names: Iterable[str]) -> list[tuple[str, set[str]]]:
    """File names by the folder they are in, shallow folders first."""
    folders: dict[str, set[str]] = defaultdict(set)
    for name in names:
        folder, _, file = name.rpartition("/")
        folders[folder].add(file)
    return sorted(folders.items(), key=lambda item: (item[0].count("/"), item[0]))


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _missing_files(kind: FormatKind, names: Sequence[str]) -> str:
    return f"of its {KIND_NAMES[kind]} {', '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
