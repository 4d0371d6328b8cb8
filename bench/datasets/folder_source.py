"""The source of ``folder:PATH`` data sets: their status, signature and what is known of them.

Called through :mod:`bench.datasets.source`. Reads names, sizes and times; a deep status opens every image's header.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.catalog.datasets import Archive
from bench.datasets.image_folder import ImageFolder, counted, first_sizes, open_image_folder, small_size
from bench.datasets.published import Facts, Progress
from bench.datasets.splits import SPLITS, ImageFiles, ImageRecord, SplitName
from bench.datasets.status import Status, range_per_class
from bench.datasets.walk import EXPECTED
from bench.errors import DataError
from bench.workspace.paths import data_home

INPUT_SIZE = 224
"""Default input size in pixels of an image folder, unless its images are small and of one size."""


@dataclass(frozen=True)
class FolderSource:
    """A ``folder:PATH`` data set. See :class:`bench.datasets.source.Source`."""

    name: str
    path: Path
    """Absolute; a relative one in the name starts at the current folder."""

    has_files = True
    always_streamed = False
    mutable = True
    fetchable = False
    sampled_as = "folder"
    loader = ""
    train_images: int | None = None
    test_images: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    archive_sets: tuple[tuple[Archive, ...], ...] = ()

    @property
    def input_size(self) -> int:
        """See :func:`bench.datasets.image_folder.small_size`; of a missing folder as it was when it was prepared."""
        try:
            return small_size(self.path) or INPUT_SIZE
        except DataError:
            return self._remembered_size() or INPUT_SIZE

    def _remembered_size(self) -> int | None:
        """The default input size in the card of a pack or an index, so that a report finds its results."""
        for card in data_home().glob("*/folder-*/card.json"):
            with suppress(OSError, ValueError):
                content = json.loads(card.read_text(encoding="utf-8"))
                if isinstance(content, dict) and content.get("root", content.get("name")) in (
                    self.name,
                    str(self.path),
                ):
                    return int(content.get("default_input_size") or 0) or None
        return None

    @property
    def title(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def label(self) -> str:
        """The folder's name, marked as one."""
        return f"folder-{self.path.name}"

    @property
    def num_classes(self) -> int:
        """Number of class folders.

        Raises:
            DataError: See :func:`open_image_folder`.
        """
        return len(open_image_folder(self.path).class_names)

    def facts(self) -> Facts:
        """What can be said without decoding, for ``bench data card``.

        Raises:
            DataError: See :func:`open_image_folder`.
        """
        folder = open_image_folder(self.path)
        counts = {split: sum(classes.values()) for split, classes in folder.quick_counts().items()}
        names = folder.class_names
        return Facts(
            num_classes=len(names),
            classes=names,
            input_size=self.input_size,
            channels=3,
            train_images=counts["train"],
            test_images=counts["test"],
            mean=(),
            std=(),
            licence="",
            source=str(self.path),
            by_hand="",
        )

    def locate(self, home: Path) -> ImageFolder:  # noqa: ARG002 - the name holds the path
        """See :func:`open_image_folder`."""
        return open_image_folder(self.path)

    def entries(self, home: Path, split: SplitName) -> Iterator[ImageRecord]:
        """The images of a split. Raises as :func:`open_image_folder`."""
        return self.locate(home).records(split)

    def signature(self, home: Path) -> list[str]:
        """The path, and name, size and time of every image.

        Raises:
            DataError: See :func:`open_image_folder`.
        """
        return [str(self.path), *self.locate(home).marks()]

    def index_signature(self, home: Path) -> list[str]:
        """The same, hashed. Raises as :func:`open_image_folder`."""
        return self.locate(home).signature()

    def shortfalls(self, files: ImageFiles, counts: Mapping[SplitName, Mapping[str, int]]) -> list[str]:  # noqa: ARG002
        """Nothing: no counts are published."""
        return []

    def remedy(self, home: Path) -> str:  # noqa: ARG002 - the name holds the path
        """What to put where."""
        return f"put the images into {self.path} ({EXPECTED}), or name another folder in the suite"

    def fetch(self, home: Path, on_progress: Progress | None = None) -> None:  # noqa: ARG002 - nothing to download
        """Nothing to download.

        Raises:
            DataError: It is not here.
        """
        status = self.status(home)
        if status.state != "ready":
            raise DataError(status.sentence)

    def status(self, home: Path, *, deep: bool = False) -> Status:
        """Check the folders; with ``deep`` also the header of every image."""
        try:
            folder = self.locate(home)
        except DataError as error:
            return Status(self.name, "corrupt" if self.path.is_dir() else "absent", self.path, str(error), 0)
        sentence = f"{self.path} holds {len(folder.class_names)} classes"
        if not deep:
            return Status(self.name, "ready", self.path, sentence, 0)
        sentence += f": {', '.join(_counts(folder))}"
        sentence += "".join(f"; {remark}" for remark in _remarks(folder))
        broken, turned = [], 0
        for file, problem, is_turned in folder.headers():
            turned += is_turned
            broken += [f"{file} ({problem})"] if problem else []
        if turned:
            sentence += f"; {turned:,} with an EXIF orientation, which is ignored, as torchvision does"
        if broken:
            sentence += "".join([f"; {len(broken):,} cannot be read:", *(f"\n  {file}" for file in broken)])
        files = (file for split in SPLITS for _, file in folder.files(split))
        size = sum(os.path.getsize(file) for file in files if os.path.exists(file))  # noqa: PTH110, PTH202 - strings
        return Status(self.name, "corrupt" if broken else "ready", self.path, sentence, size)

    def remarks(self, home: Path, input_sizes: Collection[int] = ()) -> list[str]:
        """What of the folder is not used, or is enlarged, in words. Raises as :func:`open_image_folder`."""
        remarks = _remarks(self.locate(home))
        shorter = [min(size) for size in first_sizes(self.path)]
        largest = max(input_sizes, default=0)
        if smaller := sum(side < largest for side in shorter):
            remarks.append(
                f"images are enlarged to input_size {largest}: of the {len(shorter):,} that were looked at, the first "
                f"of each class, {smaller:,} are smaller, down to {min(shorter)} pixels"
            )
        return remarks


def _counts(folder: ImageFolder) -> Iterator[str]:
    """The images of each split, in words."""
    for split, counts in folder.quick_counts().items():
        images, balance = sum(counts.values()), range_per_class(counts.values())
        yield f"{folder.split_names[split]}/ {images:,} images ({balance})"


def _remarks(folder: ImageFolder) -> list[str]:
    """What is left out of a folder."""
    remarks = []
    if files := folder.left_out():
        total = sum(files.values())
        remarks.append(f"{total:,} {'file is' if total == 1 else 'files are'} left out ({counted(files)})")
    if folder.test.name == "test" and (folder.root / "val").is_dir():
        remarks.append("val/ is not used, because there is a test/")
    return remarks
