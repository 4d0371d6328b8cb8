"""Manually downloaded data sets (ImageNet, Clothing1M): locate them in any common format and check the counts.

Called through :mod:`bench.datasets.source`; the sampling rule is also used by the worker. Never decodes an image,
extracts an archive or writes a file, except for the list of imagenet300 (:mod:`bench.datasets.imagenet300`).

Images are :class:`bench.datasets.splits.ImageRecord` values in an order that does not depend on the format. Iterating
over a training set holds no more than the names of one class in memory.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

from bench.catalog.datasets import DatasetSpec
from bench.datasets.published import PublishedSource
from bench.datasets.splits import SPLITS, ImageFiles, ImageRecord, SplitName
from bench.datasets.status import Status
from bench.errors import DataError


@dataclass(frozen=True)
class ManualSource(PublishedSource):
    """A data set that must be downloaded manually and whose files are read during training."""

    has_files = True
    always_streamed = True

    def locate(self, home: Path) -> ImageFiles:
        """The data set in the format in which it is stored in ``home/NAME``; it may be incomplete.

        Raises:
            DataError: Nothing usable is there; the text says what was looked for, and where.
        """
        files: ImageFiles = resolve_name(self.spec.finder)(home)
        return files

    def status(self, home: Path, *, deep: bool = False) -> Status:
        """Count the images and compare with the published counts. No image is opened.

        Args:
            home: The data folder.
            deep: Walk through archives, stat every file and run :meth:`ImageFiles.verify`; without it an archive of
                the published size counts as complete.
        """
        try:
            files = self.locate(home)
        except DataError as error:
            return Status(self.name, "absent", home / self.name, str(error), 0)
        try:
            problems = self._problems(files, deep=deep)
        except DataError as error:
            return Status(self.name, "incomplete", files.root, f"{self.name} is not complete: {error}", 0)
        if problems:
            sentence = (
                f"{self.name} is not complete in {files.root}: {'; '.join(problems)}; to train on the images that are "
                f"here, use --max-images-per-class N. {self.remedy(home)}"
            )
            return Status(self.name, "incomplete", files.root, sentence, 0)
        spec = self.spec
        content = f"{spec.train_images:,} training and {spec.test_images:,} test images of {spec.num_classes:,} classes"
        return Status(self.name, "ready", files.root, f"{files.root} holds {content} ({files.format})", 0)

    def _problems(self, files: ImageFiles, *, deep: bool) -> list[str]:
        if not deep:
            return self.shortfalls(files, files.quick_counts())
        counts = {split: count_images(files.records(split)) for split in SPLITS}
        return self.shortfalls(files, counts) + files.verify()

    def shortfalls(self, files: ImageFiles, counts: Mapping[SplitName, Mapping[str, int]]) -> list[str]:
        """How counts differ from the published ones, one sentence per split; empty if they are equal."""
        problems = (
            _shortfall(self.spec, split, files.split_names[split], counts[split]) for split in SPLITS if split in counts
        )
        return [problem for problem in problems if problem]


def _shortfall(spec: DatasetSpec, split: SplitName, name: str, counts: Mapping[str, int]) -> str:
    published = spec.train_images if split == "train" else spec.test_images
    present = {category: number for category, number in counts.items() if number}
    images = sum(present.values())
    if len(present) == spec.num_classes and images == published:
        return ""
    text = f"{name} has {len(present):,} of {spec.num_classes:,} classes and {images:,} of {published:,} images"
    if present and len(present) == spec.num_classes:
        smallest = min(present, key=lambda category: (present[category], category))
        text += f" (fewest: {present[smallest]:,}, in {smallest})"
    return text


def count_images(records: Iterable[ImageRecord]) -> dict[str, int]:
    """Images per class, without empty files."""
    return Counter(record.category for record in records if record.size)


def sampling_key(dataset: str, category: str, name: str) -> bytes:
    """Sort key of an image among those of its class, the same on every machine and file system.

    The SHA-256 of ``DATASET:CLASS/NAME`` in UTF-8. The first 300 training images of each ImageNet class by this key,
    with DATASET imagenet300, are imagenet300's; ``--max-images-per-class N`` takes the first N.
    """
    return hashlib.sha256(f"{dataset}:{category}/{name}".encode("utf-8", "surrogateescape")).digest()


def take_per_class(records: Iterable[ImageRecord], dataset: str, limit: int) -> Iterator[ImageRecord]:
    """The first ``limit`` images of each class by :func:`sampling_key`, in the order of ``records``."""
    heaps: dict[str, list[tuple[int, int, ImageRecord]]] = {}
    for position, record in enumerate(records):
        if record.size == 0:
            continue
        # negated, so that the image with the greatest key is on top of the heap and is replaced first
        key = -int.from_bytes(sampling_key(dataset, record.category, record.name), "big")
        heap = heaps.setdefault(record.category, [])
        if len(heap) < limit:
            heapq.heappush(heap, (key, position, record))
        else:
            heapq.heappushpop(heap, (key, position, record))
    sample = [(position, record) for heap in heaps.values() for _, position, record in heap]
    for _, record in sorted(sample, key=lambda pair: pair[0]):
        yield record
