"""Data sets that people bring by hand: found in the forms that they really have, and compared with what was published.

Called by :mod:`bench.datasets.download` to say what is here and by the worker to index what it trains on. Nothing
here decodes
pixels, unpacks an archive or writes, but for the list of imagenet300 (:mod:`bench.datasets.imagenet300`).

A :class:`Layout` gives a data set's images as :class:`Entry` values, in an order that does not depend on the form that
the data set has, and needs no more memory than one class's names for its training set.
"""

import hashlib
import heapq
import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.catalog.datasets import DATASETS, DatasetSpec
from bench.datasets.splits import Entry, Layout
from bench.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found of a data set that is brought by hand."""

    state: Literal["ready", "absent", "incomplete"]
    folder: Path
    sentence: str


def find(name: str, home: Path) -> Layout:
    """The data set in the form in which it lies in ``home/NAME``; it may be incomplete.

    Raises:
        DataError: There is nothing that can be used; the text says what was looked for, and where.
    """
    target = DATASETS[name].layout
    assert target is not None
    module, _, function = target.partition(":")
    layout: Layout = getattr(importlib.import_module(module), function)(home)
    return layout


def survey(name: str, home: Path, *, thorough: bool = False) -> Survey:
    """Count what is here of a data set and compare it with what was published. No image is opened.

    Args:
        name: The data set.
        home: The data folder.
        thorough: Walk through archives and look at every file, and check what :meth:`Layout.verify` checks; else an
            archive of the published size counts as whole.
    """
    spec, folder = DATASETS[name], home / name
    try:
        layout = find(name, home)
    except DataError as error:
        return Survey(state="absent", folder=folder, sentence=str(error))
    try:
        if thorough:
            counts = {split: count(entries) for split, entries in (("train", layout.train()), ("test", layout.test()))}
        else:
            counts = layout.quick_counts()
        problems = shortfalls(spec, layout, counts) + (layout.verify() if thorough else [])
    except DataError as error:
        return Survey(state="incomplete", folder=layout.root, sentence=f"{name} is not complete: {error}")
    if problems:
        hint = f"; --max-images-per-class N trains on what is here. {spec.by_hand}"
        sentence = f"{name} is not complete in {layout.root}: {'; '.join(problems)}{hint}"
        return Survey(state="incomplete", folder=layout.root, sentence=sentence)
    held = f"{spec.train_images:,} training and {spec.test_images:,} test images of {spec.num_classes:,} classes"
    return Survey(state="ready", folder=layout.root, sentence=f"{layout.root} holds {held} ({layout.form})")


def count(entries: Iterable[Entry]) -> dict[str, int]:
    """Images of each class; a file without a byte is none."""
    return Counter(entry.category for entry in entries if entry.size)


def shortfalls(spec: DatasetSpec, layout: Layout, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What a data set lacks, a sentence a split; empty where it holds exactly what was published."""
    problems = []
    for split, published in (("train", spec.train_images), ("test", spec.test_images)):
        if split not in counts:
            continue
        held = {name: number for name, number in counts[split].items() if number}
        images = sum(held.values())
        if len(held) == spec.num_classes and images == published:
            continue
        text = (
            f"{layout.splits[split]} has {len(held):,} of {spec.num_classes:,} classes and {images:,} of "
            f"{published:,} images"
        )
        if held and len(held) == spec.num_classes:
            fewest = min(held, key=lambda name: (held[name], name))
            text += f" (the fewest, {held[fewest]:,}, in {fewest})"
        problems.append(text)
    return problems


def rank(dataset: str, category: str, name: str) -> bytes:
    """Where an image stands among those of its class, whatever machine or file system it is on.

    The SHA-256 of ``DATASET:CLASS/NAME`` in UTF-8. The first 300 training images of each ImageNet class by it, with
    DATASET imagenet300, are imagenet300's, and ``--max-images-per-class N`` takes the first N.
    """
    return hashlib.sha256(f"{dataset}:{category}/{name}".encode("utf-8", "surrogateescape")).digest()


def first_by_rank(entries: Iterable[Entry], dataset: str, limit: int) -> Iterator[Entry]:
    """The first ``limit`` images of each class by :func:`rank`, in the order in which they came."""
    kept: dict[str, list[tuple[int, int, Entry]]] = {}
    for number, entry in enumerate(entries):
        if entry.size == 0:
            continue
        # the greatest rank lies on top of the heap, so that it is the one that gives way
        item = (-int.from_bytes(rank(dataset, entry.category, entry.name), "big"), number, entry)
        heap = kept.setdefault(entry.category, [])
        if len(heap) < limit:
            heapq.heappush(heap, item)
        else:
            heapq.heappushpop(heap, item)
    chosen = [(number, entry) for heap in kept.values() for _, number, entry in heap]
    for _, entry in sorted(chosen, key=lambda pair: pair[0]):
        yield entry


__all__ = ["Entry", "Layout", "Survey", "count", "find", "first_by_rank", "rank", "shortfalls", "survey"]
