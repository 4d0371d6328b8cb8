"""What the classes and the test images of a data set are called, from the catalog or from its files on this machine."""

from collections.abc import Sequence
from pathlib import Path

from bench.catalog.datasets import DATASETS
from bench.datasets.manual import sampling_key, take_per_class
from bench.datasets.prepared import data_key, is_streamed
from bench.datasets.source import open_source
from bench.datasets.splits import ImageRecord
from bench.errors import DataError
from bench.values import Cell


def class_names(dataset: str, home: Path) -> tuple[str, ...]:
    """The classes in the order of their labels; empty where they are not known on this machine."""
    spec = DATASETS.get(dataset)
    if spec and spec.classes:
        return spec.classes
    try:
        source = open_source(dataset)
        return tuple(source.locate(home).classes()) if source.has_files else ()
    except (DataError, OSError):
        return ()


def test_files(cell: Cell, home: Path, labels: Sequence[int]) -> tuple[str, ...]:
    """The test images of a cell as ``CLASS/NAME``, in the order of the test set.

    Empty where images are no files, or where the files on this machine are not those of these labels (N,).
    """
    try:
        source = open_source(cell.dataset)
        if not source.has_files:
            return ()
        records, limit, key = list(source.entries(home, "test")), cell.recipe.max_images_per_class, data_key(cell)
        label_of = {name: label for label, name in enumerate(source.locate(home).classes())}
        if limit is not None and is_streamed(key):
            records = list(take_per_class(records, source.sampled_as, limit))
        elif limit is not None:
            records = _first_per_class(records, limit)
    except (DataError, OSError):
        return ()
    if [label_of.get(record.category) for record in records] != list(labels):
        return ()
    return tuple(f"{record.category}/{record.name}" for record in records)


test_files.__test__ = False  # type: ignore[attr-defined] # or pytest takes it for a test


def _first_per_class(records: Sequence[ImageRecord], limit: int) -> list[ImageRecord]:
    """The images that a limited pack has, which are chosen by their position in the split."""
    positions: dict[str, list[int]] = {}
    for position, record in enumerate(records):
        positions.setdefault(record.category, []).append(position)
    taken = [
        position
        for category, each in positions.items()
        for position in sorted(each, key=lambda number: sampling_key("test", category, str(number)))[:limit]
    ]
    return [records[position] for position in sorted(taken)]
