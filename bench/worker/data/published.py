"""Compare a data set with its published checksums, counts and pixel statistics.

Called by :mod:`bench.worker.data.readers`. Every check refuses by a DataError; none changes anything.
"""

from collections.abc import Mapping
from pathlib import Path

from bench.catalog.datasets import DATASETS, Archive
from bench.datasets.checksums import archive_problem, file_problem
from bench.datasets.stored import StoredCopy
from bench.errors import DataError
from bench.worker.data.pack import channel_statistics
from bench.worker.data.raw import RawDataset

TOLERANCE = 1e-4
"""Of mean and deviation, which are published rounded to four digits."""


def compare_checksums(name: str, copy: StoredCopy) -> bool:
    """Compare files with published checksums. Returns whether that covers all of them.

    Raises:
        DataError: One differs.
    """
    published = {archive.name: archive for archives in DATASETS[name].archive_sets for archive in archives}
    problems = _checksum_problems(name, copy, published)
    if problems is None:
        return False
    if wrong := next((problem for problem in problems if problem), None):
        raise DataError(f"{wrong}; get it again with: bench data get {name}")
    return True


def _checksum_problems(name: str, copy: StoredCopy, published: Mapping[str, Archive]) -> list[str | None] | None:
    """What is wrong with each file; None if some file has no published checksum."""
    if copy.format is None:
        archive = published.get(copy.path.name)
        return [archive_problem(copy.path, archive)] if archive else None
    if copy.published:
        return [archive_problem(copy.path / file, published[file]) for file in copy.format.files]
    if copy.format.kind == "pickle":
        md5s = DATASETS[name].file_md5s
        files = [copy.path / file for file in (*copy.format.train, *copy.format.test)]
        return [file_problem(file, md5s) for file in files] if all(file.name in md5s for file in files) else None
    return None


def check_counts(name: str, raw: RawDataset, path: Path) -> None:
    """Refuse a data set whose numbers of images or labels are not the published ones.

    Raises:
        DataError: They are not.
    """
    spec = DATASETS[name]
    for split, published in (("train", spec.train_images), ("test", spec.test_images)):
        images, labels = getattr(raw, f"{split}_images"), getattr(raw, f"{split}_labels")
        if (len(images), len(labels)) != (published, published):
            raise DataError(
                f"{path}: {name} has {len(images):,} images and {len(labels):,} labels for {split} instead of"
                f" {published:,}"
            )
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= spec.num_classes:
            wrong = highest if lowest >= 0 else lowest
            raise DataError(f"{path}: {name} has the label {wrong}, but only {spec.num_classes} classes")


def check_statistics(name: str, raw: RawDataset, path: Path) -> None:
    """Refuse pixels that no checksum covers and whose mean or deviation is not the published one.

    Raises:
        DataError: It is not.
    """
    spec = DATASETS[name]
    if not spec.mean:
        return
    for what, measured, published in zip(
        ("mean", "deviation"), channel_statistics(raw.train_images), (spec.mean, spec.std), strict=True
    ):
        if max(abs(one - other) for one, other in zip(measured, published, strict=True)) > TOLERANCE:
            numbers = [", ".join(f"{value:.4f}" for value in values) for values in (measured, published)]
            raise DataError(
                f"{path} is not {spec.title} as published: its pixels have the {what} {numbers[0]} instead of"
                f" {numbers[1]} per channel; modified images can be used as dataset: folder:PATH"
            )
