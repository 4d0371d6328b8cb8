"""imagenet300: 300 training images per ImageNet class, the same on every machine, and ILSVRC's validation images.

The rule: sort the training images of a class by the SHA-256 of ``imagenet300:WNID/FILE`` (UTF-8, file name as in the
official archives) and take the first 300. It depends neither on the file system nor on a random generator, so everyone
who has ImageNet gets the same list. The list is a text file, ``BENCH_DATA/imagenet300/imagenet300.txt``::

    # bench image list, format 1
    # rule: ...
    # images: 300,000 of 1,000 classes
    # sha256: of all the lines below, each ended by a newline
    n01440764/n01440764_10026.JPEG
    ...

sorted. The images themselves stay in ``imagenet``. Called by :class:`bench.datasets.manual.ManualSource` and, to write
the list, by ``bench data get imagenet300 --from imagenet``.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from bench.datasets.imagenet import ImageNet, imagenet
from bench.datasets.manual import sampling_key
from bench.datasets.reading import reading, writing
from bench.datasets.splits import ImageRecord, SplitName, hash_of
from bench.errors import DataError
from bench.workspace.files import write_atomically

FORMAT = 1
PER_CLASS = 300
FILE = "imagenet300.txt"
HEADING = "# bench image list, format "
RULE = f"first {PER_CLASS} training images of each class by the SHA-256 of imagenet300:WNID/FILE"
COMMAND = "bench data get imagenet300 --from imagenet"


@dataclass(frozen=True)
class ImageNet300:
    """The list, and the ImageNet it refers to. Implements :class:`bench.datasets.splits.ImageFiles`."""

    source: ImageNet
    path: Path
    lines: frozenset[str]
    """``WNID/FILE`` of every listed image."""
    sha256: str

    @property
    def root(self) -> Path:
        """ImageNet's."""
        return self.source.root

    @property
    def format(self) -> str:
        """ImageNet's, and the list."""
        return f"{self.source.format}, list {self.sha256[:12]}"

    @property
    def split_names(self) -> Mapping[SplitName, str]:
        """The list, and ImageNet's test split."""
        return {"train": self.path.name, "test": self.source.split_names["test"]}

    def classes(self) -> Sequence[str]:
        """The WNIDs in the list."""
        return sorted({line.partition("/")[0] for line in self.lines})

    def signature(self) -> list[str]:
        """The hash of the list, and ImageNet's signature."""
        return [self.sha256, *self.source.signature()]

    def quick_counts(self) -> dict[SplitName, dict[str, int]]:
        """Of the list, and of ImageNet's test split."""
        counts = self.source.quick_counts()
        test: dict[SplitName, dict[str, int]] = {"test": counts["test"]} if "test" in counts else {}
        return {"train": Counter(line.partition("/")[0] for line in self.lines), **test}

    def records(self, split: SplitName) -> Iterator[ImageRecord]:
        """The listed images in ImageNet's order, or ImageNet's test images.

        Raises:
            DataError: Listed images are missing; raised after the last one.
        """
        return self._listed() if split == "train" else self.source.records("test")

    def _listed(self) -> Iterator[ImageRecord]:
        present = 0
        for record in self.source.records("train"):
            if f"{record.category}/{record.name}" in self.lines:
                present += 1
                yield record
        if present < len(self.lines):
            missing = len(self.lines) - present
            raise DataError(
                f"{missing:,} of {len(self.lines):,} images listed in {self.path} are missing in {self.root}"
            )

    def verify(self) -> list[str]:
        """Whether the list is what the rule gives for the ImageNet that is here."""
        expected = frozenset(listed_images(self.source.records("train")))
        if expected == self.lines:
            return []
        return [
            f"{self.path} does not follow the rule ({RULE}): {len(expected - self.lines):,} images are missing and "
            f"{len(self.lines - expected):,} are extra; regenerate it with: {COMMAND}"
        ]


def imagenet300(home: Path) -> ImageNet300:
    """Read the list, and find ImageNet.

    Raises:
        DataError: ImageNet is not here, or the list is missing, damaged or of another format.
    """
    path = home / "imagenet300" / FILE
    if not path.is_file():
        where = "" if (home / "imagenet").is_dir() else f" (imagenet itself is needed first, in {home / 'imagenet'})"
        raise DataError(f"imagenet300 is not here: there is no list {path}; generate it with: {COMMAND}{where}")
    lines, sha256 = read_list(path)
    return ImageNet300(source=imagenet(home), path=path, lines=lines, sha256=sha256)


def read_list(path: Path) -> tuple[frozenset[str], str]:
    """The images of a list and its SHA-256.

    Raises:
        DataError: It is of another format, or its lines do not have the hash that it states.
    """
    with reading(path):
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    first, _, rest = text.partition("\n")
    if not first.startswith(HEADING):
        raise DataError(f"{path} is not an image list written by bench; regenerate it with: {COMMAND}")
    if (version := first.removeprefix(HEADING).strip()) != str(FORMAT):
        raise DataError(
            f"{path} has format {version[:20]}, and this version of bench reads format {FORMAT}; regenerate it with: "
            f"{COMMAND}"
        )
    content = rest.split("\n")
    stated = next((line.removeprefix("# sha256: ") for line in content if line.startswith("# sha256: ")), "")
    lines = [line for line in content if line and not line.startswith("#")]
    if hash_of(lines) != stated or not lines:
        raise DataError(
            f"{path} was truncated or changed: its lines do not have the SHA-256 it states; regenerate it with: "
            f"{COMMAND}"
        )
    return frozenset(lines), stated


def write_list(home: Path) -> Path:
    """Write the list for the ImageNet that is here, completely or not at all.

    Raises:
        DataError: ImageNet is not here, or the list cannot be written.
    """
    lines = sorted(listed_images(imagenet(home).records("train")))
    if not lines:
        raise DataError(f"there is no training image in {home / 'imagenet'}")
    classes = len({line.partition("/")[0] for line in lines})
    heading = [
        f"{HEADING}{FORMAT}",
        f"# rule: {RULE}",
        f"# images: {len(lines):,} of {classes:,} classes",
        f"# sha256: {hash_of(lines)}",
    ]
    path = home / "imagenet300" / FILE
    content = "".join(f"{line}\n" for line in [*heading, *lines])
    with writing(FILE, path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode("utf-8", "surrogateescape"))
    return path


def listed_images(records: Iterator[ImageRecord]) -> Iterator[str]:
    """``WNID/FILE`` of the images that the rule takes; the records come one class at a time."""
    for category, images in groupby(records, key=lambda record: record.category):
        keyed = ((sampling_key("imagenet300", category, image.name), image.name) for image in images)
        for _, name in heapq.nsmallest(PER_CLASS, keyed):
            yield f"{category}/{name}"
