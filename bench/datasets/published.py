"""What sources of published data sets have in common, and the built-in source.

Called through :mod:`bench.datasets.source`. Reads the catalog; touches neither disk nor network.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.catalog.datasets import Archive, DatasetSpec
from bench.datasets.splits import ImageFiles, ImageRecord, SplitName
from bench.datasets.status import Status
from bench.errors import DataError

Progress = Callable[[str, int, int], None]
"""Called with the file's name, the bytes received so far and the bytes expected (0 if unknown)."""


class Facts(NamedTuple):
    """What is known of a data set without decoding it. The names are keys of a JSON contract."""

    num_classes: int
    classes: tuple[str, ...]
    input_size: int
    """Default height and width in pixels."""
    channels: int
    train_images: int
    test_images: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str
    source: str
    """Page of the data set, or the paper; for an image folder its path."""
    by_hand: str
    """How to obtain a manual download."""


@dataclass(frozen=True)
class PublishedSource:
    """A data set of the catalog whose images are decoded all at once. See :class:`bench.datasets.source.Source`."""

    name: str
    spec: DatasetSpec

    has_files = False
    always_streamed = False
    mutable = False
    fetchable = False

    @property
    def title(self) -> str:
        """Heading of its tables."""
        return self.spec.title

    @property
    def label(self) -> str:
        """Its name in file names."""
        return self.name

    @property
    def sampled_as(self) -> str:
        """See :func:`bench.datasets.manual.sampling_key`."""
        return self.spec.sampled_as or self.name

    @property
    def loader(self) -> str:
        """``"module:function"`` that decodes all images, called with the data folder."""
        return self.spec.loader

    @property
    def input_size(self) -> int:
        """Default height and width in pixels."""
        return self.spec.input_size

    @property
    def num_classes(self) -> int:
        """Published number of classes."""
        return self.spec.num_classes

    @property
    def train_images(self) -> int | None:
        """Published number of training images."""
        return self.spec.train_images

    @property
    def test_images(self) -> int | None:
        """Published number of test images."""
        return self.spec.test_images

    @property
    def mean(self) -> tuple[float, ...]:
        """Published mean per channel; empty where there is none."""
        return self.spec.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Published standard deviation per channel; empty where there is none."""
        return self.spec.std

    @property
    def archive_sets(self) -> tuple[tuple[Archive, ...], ...]:
        """Published files, one tuple per complete copy."""
        return self.spec.archive_sets

    def facts(self) -> Facts:
        """What the catalog says, for ``bench data card``."""
        values = {**vars(self.spec), "by_hand": self.spec.instructions}
        return Facts(**{key: values[key] for key in Facts._fields})

    def status(self, home: Path, *, deep: bool = False) -> Status:
        """See :class:`bench.datasets.source.Source`."""
        raise NotImplementedError

    def remedy(self, home: Path) -> str:  # noqa: ARG002 - other sources name the folder
        """How to obtain it."""
        return self.spec.instructions

    def fetch(self, home: Path, on_progress: Progress | None = None) -> None:  # noqa: ARG002 - nothing to download
        """Nothing to download.

        Raises:
            DataError: It is not here.
        """
        status = self.status(home)
        if status.state != "ready":
            raise DataError(status.sentence)

    def remarks(self, home: Path, input_sizes: Collection[int] = ()) -> list[str]:  # noqa: ARG002 - folders need them
        """Nothing: what is published is complete."""
        return []

    def signature(self, home: Path) -> list[str]:  # noqa: ARG002 - the pixels never change
        """Nothing: the pixels never change."""
        return []

    def index_signature(self, home: Path) -> list[str]:
        """What the name of its index depends on.

        Raises:
            DataError: It has no image files, or is not here.
        """
        return self.locate(home).signature()

    def locate(self, home: Path) -> ImageFiles:  # noqa: ARG002 - other sources look there
        """Its image files.

        Raises:
            DataError: It has none.
        """
        raise DataError(f"{self.name} has no image files: its images are stored together")

    def entries(self, home: Path, split: SplitName) -> Iterator[ImageRecord]:
        """The images of a split. Raises as :meth:`locate`."""
        return self.locate(home).records(split)

    def shortfalls(self, files: ImageFiles, counts: Mapping[SplitName, Mapping[str, int]]) -> list[str]:  # noqa: ARG002
        """How counts differ from the published ones; loaders of these sources check their own."""
        return []


@dataclass(frozen=True)
class BuiltInSource(PublishedSource):
    """A data set that comes with an installed package."""

    def status(self, home: Path, *, deep: bool = False) -> Status:  # noqa: ARG002 - always the same
        """Always ready."""
        return Status(
            self.name, "ready", home / self.name, f"{self.name} comes with scikit-learn; nothing to download", 0
        )
