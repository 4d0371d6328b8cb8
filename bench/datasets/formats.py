"""Forms: how people keep the small public data sets on disk, told from the names of files alone.

``cifar10``, ``cifar100`` and ``fashion_mnist`` come as the authors' binary files, as python pickles, as IDX files, as
Hugging Face's parquet files and as folders of images, each in a folder (torchvision's own download folders are such
ones) or in a tar archive. Nothing is opened here: :mod:`bench.datasets.download` asks what lies in a folder, and the
worker's
loader, which knows the names inside an archive, asks the same.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from bench.catalog.datasets import DATASETS
from bench.errors import DataError

Kind = Literal["binary", "pickle", "idx", "parquet", "images"]

WORDS: dict[Kind, str] = {
    "binary": "binary files",
    "pickle": "python pickles",
    "idx": "IDX files",
    "parquet": "parquet files",
    "images": "class folders of images",
}
TARS = (".tar.gz", ".tgz", ".tar")
IMAGES = frozenset({".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".jpg", ".jpeg", ".webp"})
LOSSY = frozenset({".jpg", ".jpeg", ".webp"})
ORDER = "images by the SHA-256 of label and pixels"
"""The order of images in each split, which no form has in common with the others; named in packs."""
DEEPEST = 6
"""Folders below the one that is named in which files are looked for."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The files of a data set in one form; names are relative to the folder or the archive they are in, with ``/``."""

    kind: Kind
    train: tuple[str, ...]
    """In reading order; of IDX files the images, then the labels; of folders every image."""
    test: tuple[str, ...]
    names: str = ""
    """The file with the names of the classes, empty where there is none."""

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.train, *self.test, *([self.names] if self.names else []))


@dataclass(frozen=True, kw_only=True)
class Found:
    """What names of files amount to."""

    form: Form | None = None
    """None where there is no whole one."""
    problem: str = ""
    """What a form that is not whole lacks, or why it is not taken; empty where no form was seen at all."""
    remedy: str = "extract or copy it again"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a data set lies."""

    path: Path
    """A folder, or a tar archive."""
    form: Form | None = None
    """None for an archive: what is in it shows when it is read."""
    checked: bool = False
    """Whether the files are published ones, whose checksums the loader compares."""

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"{WORDS[self.form.kind]} in {self.path}" if self.form else f"the archive {self.path}"


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """File names of a data set's own formats: training files, test files, file of class names."""

    binary: tuple[tuple[str, ...], tuple[str, ...], str] | None = None
    pickle: tuple[tuple[str, ...], tuple[str, ...], str] | None = None
    idx: bool = False


LAYOUTS = {
    "cifar10": _Layout(
        binary=(tuple(f"data_batch_{n}.bin" for n in range(1, 6)), ("test_batch.bin",), "batches.meta.txt"),
        pickle=(tuple(f"data_batch_{n}" for n in range(1, 6)), ("test_batch",), "batches.meta"),
    ),
    "cifar100": _Layout(
        binary=(("train.bin",), ("test.bin",), "fine_label_names.txt"),
        pickle=(("train",), ("test",), "meta"),
    ),
    "fashion_mnist": _Layout(idx=True),
}
"""The data sets that have several forms."""


# --- Looking ---------------------------------------------------------------------------------------------------------


def find(dataset: str, path: Path) -> Place:
    """The data set in a folder or archive that somebody names.

    Raises:
        DataError: There is no such path, it may not be read, or it holds no form of the data set, or a part of one.
    """
    spec = DATASETS[dataset]
    if path.is_file():
        if path.name.lower().endswith(TARS):
            return Place(path=path)
        raise DataError(f"{path} is no folder and no tar archive ({', '.join(TARS)}); {_expected(dataset)}")
    names = listing(path)
    found = recognise(dataset, names)
    if found.form:
        return Place(path=path, form=found.form)
    if archive := next((name for name in names if _is_archive_of(dataset, name)), None):
        return Place(path=path / archive)
    if found.problem:
        raise DataError(f"{path} is not {spec.title}: {found.problem}; {found.remedy}")
    raise DataError(f"{path} holds no form of {spec.title} that bench knows; {_expected(dataset)}")


def listing(folder: Path) -> list[str]:
    """Names of all files below a folder, sorted, hidden ones and those deeper than DEEPEST left out.

    Raises:
        DataError: There is no such folder, or a part of it may not be read.
    """

    def refuse(error: OSError) -> None:
        hint = "; allow it with: chmod -R u+rX" if isinstance(error, PermissionError) else ""
        raise DataError(f"{error.filename} cannot be read: {error.strerror}{hint}") from error

    names = []
    for root, folders, files in os.walk(folder, onerror=refuse):
        inside = PurePosixPath(Path(root).relative_to(folder).as_posix())
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if len(inside.parts) >= DEEPEST:
            folders.clear()
        names += [(inside / file).as_posix() for file in files if not file.startswith(".")]
    return sorted(names)


def recognise(dataset: str, names: Sequence[str]) -> Found:
    """The form of a data set among names of files, the authors' own before others; the shallowest of several."""
    layout, problem = LAYOUTS[dataset], Found()
    for found in (
        *([_own(names, "binary", *layout.binary)] if layout.binary else []),
        *([_own(names, "pickle", *layout.pickle)] if layout.pickle else []),
        *([_idx(names)] if layout.idx else []),
        _parquet(names),
        _images(dataset, names),
    ):
        if found.form:
            return found
        problem = problem if problem.problem else found
    return problem


def lossy_problem(name: str) -> str:
    """Why an image is refused whose format does not keep pixels."""
    return f"{name} is compressed with loss, so its pixels are not those that were published"


def lossy_remedy(root: str) -> str:
    """What to do with a tree of such images, below ``root`` of the place that was looked at."""
    return (
        f"use the tree as what it is, with dataset: folder:PATH{f' (PATH being the folder {root} in it)' * bool(root)}"
    )


def class_labels(dataset: str) -> dict[str, int]:
    """Label of every name that a class's folder may have: the class's own in any spelling, or its number."""
    classes = DATASETS[dataset].classes
    numbers = {str(label): label for label in range(len(classes))}
    return {**numbers, **{_folded(name): label for label, name in enumerate(classes)}}


def label_of(name: str, labels: dict[str, int]) -> int | None:
    """Label of an image by the folder it is in; CIFAR-100's may lie in folders of their superclass."""
    return labels.get(_folded(PurePosixPath(name).parent.name))


# --- Rules -----------------------------------------------------------------------------------------------------------


def _own(names: Sequence[str], kind: Kind, train: Sequence[str], test: Sequence[str], classes: str) -> Found:
    wanted, best, problem = [*train, *test], None, ""
    for folder, files in _by_folder(names):
        missing = [name for name in wanted if name not in files]
        if not missing:
            inside = PurePosixPath(folder)
            best = best or Form(
                kind=kind,
                train=tuple((inside / name).as_posix() for name in train),
                test=tuple((inside / name).as_posix() for name in test),
                names=(inside / classes).as_posix() if classes in files else "",
            )
        elif len(missing) < len(wanted):
            problem = problem or f"of its {WORDS[kind]} {_listed(missing)} missing"
    return Found(form=best, problem=problem)


def _idx(names: Sequence[str]) -> Found:
    """MNIST's files have the same names, so a folder that is called after Fashion-MNIST goes first."""
    best, problem = None, ""
    for folder, files in sorted(_by_folder(names), key=lambda each: "fashion" not in each[0].lower()):
        spelled = {re.sub(r"[.-](?=idx)", "-", name.removesuffix(".gz")): name for name in sorted(files, reverse=True)}
        spelled |= {re.sub(r"[.-](?=idx)", "-", name.removesuffix(".gz")): name for name in files if name[-3:] == ".gz"}
        wanted = [f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
        missing = [name for name in wanted if name not in spelled]
        if not missing:
            paths = [(PurePosixPath(folder) / spelled[name]).as_posix() for name in wanted]
            best = best or Form(kind="idx", train=tuple(paths[:2]), test=tuple(paths[2:]))
        elif len(missing) < len(wanted):
            problem = problem or f"of its {WORDS['idx']} {_listed(missing)} missing"
    return Found(form=best, problem=problem)


def _parquet(names: Sequence[str]) -> Found:
    tables = [name for name in names if name.endswith(".parquet")]
    parts = {part: [name for name in tables if _split_of(name) == part] for part in ("train", "test")}
    for part, files in parts.items():
        counts = {int(count[1]) for name in files if (count := re.search(r"-of-(\d+)\.parquet$", name))}
        if counts and len(files) < max(counts):
            return Found(problem=f"of its parquet files for {part} {len(files)} of {max(counts)} are there")
    if parts["train"] and parts["test"]:
        return Found(form=Form(kind="parquet", train=tuple(parts["train"]), test=tuple(parts["test"])))
    if parts["train"] or parts["test"]:
        return Found(problem=f"it has no parquet file for {'test' if parts['train'] else 'train'}")
    return Found()


def _split_of(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((word for word in reversed(words) if word in ("train", "test")), "")


def _images(dataset: str, names: Sequence[str]) -> Found:
    labels, spec = class_labels(dataset), DATASETS[dataset]
    trees: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() not in IMAGES or label_of(name, labels) is None:
            continue
        for depth, word in enumerate(path.parts[:-2]):  # the class's folder, which may be a `train`, is not a split's
            if word in ("train", "test", "val"):
                trees["/".join(path.parts[:depth])][word].append(name)
                break
    problem = Found()
    for root, parts in sorted(trees.items(), key=lambda each: (each[0].count("/"), each[0])):
        train, test = parts["train"], parts["test"] or parts["val"]
        if lossy := next((name for name in (*train, *test) if PurePosixPath(name).suffix.lower() in LOSSY), None):
            problem = problem if problem.problem else Found(problem=lossy_problem(lossy), remedy=lossy_remedy(root))
            continue
        counts = (("train", len(train), spec.train_images), ("test", len(test), spec.test_images))
        if wrong := [f"{had:,} of {wanted:,} for {part}" for part, had, wanted in counts if had != wanted]:
            sentence = f"it has class folders with images {', '.join(wrong)}"
            problem = problem if problem.problem else Found(problem=sentence)
            continue
        return Found(form=Form(kind="images", train=tuple(train), test=tuple(test)))
    return problem


# --- Words -----------------------------------------------------------------------------------------------------------


def _by_folder(names: Iterable[str]) -> list[tuple[str, set[str]]]:
    """Names of files by the folder they are in, shallow folders first."""
    folders: dict[str, set[str]] = defaultdict(set)
    for name in names:
        folder, _, file = name.rpartition("/")
        folders[folder].add(file)
    return sorted(folders.items(), key=lambda each: (each[0].count("/"), each[0]))


def _is_archive_of(dataset: str, name: str) -> bool:
    spec = DATASETS[dataset]
    published = {each.name for group in (spec.archives, *spec.alternatives) for each in group}
    return name.endswith(TARS) and name.rpartition("/")[2] in published


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _expected(dataset: str) -> str:
    own = [kind for kind in ("binary", "pickle", "idx") if getattr(LAYOUTS[dataset], kind)]
    return (
        f"it may be {', '.join(WORDS[kind] for kind in own)}, parquet files or train/CLASS/*.png and test/CLASS/*.png"  # type: ignore[index]
    )
