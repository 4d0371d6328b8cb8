"""imagenet300: 300 training images of each ImageNet class, the same on every machine, and ILSVRC's validation images.

The rule: the training images of a class in the order of the SHA-256 of ``imagenet300:WNID/FILE`` (UTF-8, the file's
name as in the official archives), the first 300. It asks neither the file system nor a random generator, so that
whoever has ImageNet gets the same list. The list is a text file, ``BENCH_DATA/imagenet300/imagenet300.txt``::

    # bench image list, format 1
    # rule: ...
    # images: 300,000 of 1,000 classes
    # sha256: of all the lines below, each ended by a newline
    n01440764/n01440764_10026.JPEG
    ...

sorted. The images themselves stay where ``imagenet`` is.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.imagenet import ImageNet, imagenet
from bench.datasets.manual import rank
from bench.datasets.splits import Entry, hash_of, reading
from bench.errors import DataError
from bench.workspace.files import write_atomically

FORMAT = 1
A_CLASS = 300
FILE = "imagenet300.txt"
HEADING = "# bench image list, format "
RULE = f"first {A_CLASS} training images of each class by the SHA-256 of imagenet300:WNID/FILE"
MAKE = "bench data get imagenet300 --from imagenet"


@dataclass(frozen=True)
class ImageNet300:
    """The list, and the ImageNet that it chooses from."""

    source: ImageNet
    path: Path
    lines: frozenset[str]
    """``WNID/FILE`` of every chosen image."""
    sha256: str

    @property
    def root(self) -> Path:
        """ImageNet's."""
        return self.source.root

    @property
    def form(self) -> str:
        """ImageNet's, and the list."""
        return f"{self.source.form}, list {self.sha256[:12]}"

    @property
    def splits(self) -> Mapping[str, str]:
        """The list, and ImageNet's test part."""
        return {"train": self.path.name, "test": self.source.splits["test"]}

    def classes(self) -> Sequence[str]:
        """The WNIDs of the list."""
        return sorted({line.partition("/")[0] for line in self.lines})

    def signature(self) -> list[str]:
        """Of the list and of ImageNet."""
        return [self.sha256, *self.source.signature()]

    def quick_counts(self) -> dict[str, dict[str, int]]:
        """Of the list, and of ImageNet's test part."""
        source = {split: counts for split, counts in self.source.quick_counts().items() if split == "test"}
        return {"train": Counter(line.partition("/")[0] for line in self.lines), **source}

    def train(self) -> Iterator[Entry]:
        """The listed images, in ImageNet's order.

        Raises:
            DataError: Some are not there; raised after the last.
        """
        found = 0
        for entry in self.source.train():
            if f"{entry.category}/{entry.name}" in self.lines:
                found += 1
                yield entry
        if found < len(self.lines):
            missing = len(self.lines) - found
            raise DataError(f"{missing:,} of the {len(self.lines):,} images in {self.path} are not in {self.root}")

    def test(self) -> Iterator[Entry]:
        """ImageNet's."""
        return self.source.test()

    def verify(self) -> list[str]:
        """Whether the list is what the rule makes of the ImageNet that is here."""
        wanted = frozenset(chosen(self.source.train()))
        if wanted == self.lines:
            return []
        return [
            f"{self.path} is not what the rule gives here ({RULE}): {len(wanted - self.lines):,} images lack and "
            f"{len(self.lines - wanted):,} are too many; make it anew with: {MAKE}"
        ]


def imagenet300(home: Path) -> ImageNet300:
    """Read the list, and find ImageNet.

    Raises:
        DataError: ImageNet is not here, or the list is not there, damaged or of another format.
    """
    path = home / "imagenet300" / FILE
    if not path.is_file():
        where = "" if (home / "imagenet").is_dir() else f" (and first imagenet itself, in {home / 'imagenet'})"
        raise DataError(f"imagenet300 is not here: there is no list {path}; make it with: {MAKE}{where}")
    lines, sha256 = read_list(path)
    return ImageNet300(source=imagenet(home), path=path, lines=lines, sha256=sha256)


def read_list(path: Path) -> tuple[frozenset[str], str]:
    """The images of a list and its SHA-256.

    Raises:
        DataError: It is of another format, or its lines are not those that were written.
    """
    with reading(path):
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    first, _, rest = text.partition("\n")
    if not first.startswith(HEADING):
        raise DataError(f"{path} is not a list of images that bench wrote; make it anew with: {MAKE}")
    if (version := first.removeprefix(HEADING).strip()) != str(FORMAT):
        raise DataError(
            f"{path} has format {version[:20]}, and this version of bench reads {FORMAT}; make it anew with: {MAKE}"
        )
    every = [first, *rest.split("\n")]
    stated = next((line.removeprefix("# sha256: ") for line in every if line.startswith("# sha256: ")), "")
    lines = [line for line in every if line and not line.startswith("#")]
    if hash_of(lines) != stated or not lines:
        raise DataError(f"{path} was cut or changed: its lines do not have the SHA-256 it states; make it with: {MAKE}")
    return frozenset(lines), stated


def write_list(home: Path) -> Path:
    """Choose the images out of the ImageNet that is here and write the list, whole or not at all.

    Raises:
        DataError: ImageNet is not here, or the list cannot be written.
    """
    lines = sorted(chosen(imagenet(home).train()))
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; BENCH_DATA names another folder") from error
    return path


def chosen(entries: Iterator[Entry]) -> Iterator[str]:
    """``WNID/FILE`` of the images that the rule takes; the entries come a class at a time."""
    category, names = "", list[tuple[bytes, str]]()
    for entry in entries:
        if entry.category != category:
            yield from _first(category, names)
            category, names = entry.category, []
        names.append((rank("imagenet300", category, entry.name), entry.name))
    yield from _first(category, names)


def _first(category: str, names: list[tuple[bytes, str]]) -> Iterator[str]:
    for _, name in heapq.nsmallest(A_CLASS, names):
        yield f"{category}/{name}"
