"""Where a data set comes from: the one interface to built-in, downloaded, manually downloaded sets and image folders.

``open_source(name)`` chooses the implementation from the name in a suite file; nothing else in bench asks what kind of
data set a name stands for. Called on both sides of the wall. Choosing is pure: it touches neither disk nor network. A
little longer than other files, because every member of the interface is documented here.

===================  ==================================================  ==================================
source               data sets                                           images
===================  ==================================================  ==================================
BuiltInSource        digits                                              decoded at once, packed
DownloadSource       cifar10, cifar100, fashion_mnist                    decoded at once, packed
ManualSource         imagenet, imagenet300, clothing1m, ...              files, read during training
FolderSource         folder:PATH                                         files; packed if small (see
                                                                         :mod:`bench.datasets.prepared`)
===================  ==================================================  ==================================
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bench.catalog.datasets import DATASETS, Archive
from bench.catalog.options import nearest
from bench.datasets.download import DownloadSource, offline
from bench.datasets.folder_source import FolderSource
from bench.datasets.manual import ManualSource
from bench.datasets.published import BuiltInSource, Facts, Progress
from bench.datasets.splits import ImageFiles, ImageRecord, SplitName
from bench.datasets.status import Status
from bench.errors import DataError
from bench.workspace.paths import expand

FOLDER_PREFIX = "folder:"


class Source(Protocol):
    """A data set by the name that a suite gives it."""

    @property
    def name(self) -> str:
        """As in the suite."""

    @property
    def title(self) -> str:
        """Heading of its tables."""

    @property
    def label(self) -> str:
        """What it is called in names of folders below BENCH_DATA."""

    @property
    def sampled_as(self) -> str:
        """The data set's part of :func:`bench.datasets.manual.sampling_key`."""

    @property
    def input_size(self) -> int:
        """Default height and width in pixels."""

    @property
    def num_classes(self) -> int:
        """Outputs of a net; image folders are listed for it.

        Raises:
            DataError: It is an image folder that is missing or malformed.
        """

    @property
    def train_images(self) -> int | None:
        """Published number of training images; None for image folders."""

    @property
    def test_images(self) -> int | None:
        """Published number of test images; None for image folders."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Published mean per channel, of pixels scaled to 0..1; empty if it must be computed."""

    @property
    def std(self) -> tuple[float, ...]:
        """Published standard deviation per channel; empty if it must be computed."""

    @property
    def loader(self) -> str:
        """``"module:function"`` that decodes all images at once, called with the data folder; empty with files."""

    @property
    def has_files(self) -> bool:
        """Whether each image is a file, or a part of an archive, that can be read by itself during training."""

    @property
    def always_streamed(self) -> bool:
        """Whether its files are read during training whatever the recipe and the number of images."""

    @property
    def mutable(self) -> bool:
        """Whether other images may be found under the same name later."""

    @property
    def fetchable(self) -> bool:
        """Whether :meth:`fetch` can download it."""

    @property
    def archive_sets(self) -> tuple[tuple[Archive, ...], ...]:
        """Published files, one tuple per complete copy of the data set."""

    def facts(self) -> Facts:
        """What is known without decoding, for ``bench data card``.

        Raises:
            DataError: As :attr:`num_classes`.
        """

    def status(self, home: Path, *, deep: bool = False) -> Status:
        """Whether it is in the data folder; ``deep`` compares checksums, counts files or opens image headers."""

    def remedy(self, home: Path) -> str:
        """How to get it, for people."""

    def fetch(self, home: Path, on_progress: Progress | None = None) -> None:
        """Make it ready, by downloading it if that is possible.

        Raises:
            DataError: It is not ready and cannot be downloaded.
        """

    def remarks(self, home: Path, input_sizes: Collection[int] = ()) -> list[str]:
        """What a user of the data should know before training at some sizes: files that are not used, say.

        Raises:
            DataError: It is an image folder that is missing or malformed.
        """

    def signature(self, home: Path) -> list[str]:
        """What the name of its pack depends on: texts that change when its images do.

        Raises:
            DataError: It is an image folder that is missing or malformed.
        """

    def index_signature(self, home: Path) -> list[str]:
        """The same for the name of its index.

        Raises:
            DataError: It has no files, or is not here.
        """

    def locate(self, home: Path) -> ImageFiles:
        """Its image files.

        Raises:
            DataError: It has none, or is not here.
        """

    def entries(self, home: Path, split: SplitName) -> Iterator[ImageRecord]:
        """The images of a split, in an order that does not depend on how they are stored.

        Raises:
            DataError: It has no files, or is not here.
        """

    def shortfalls(self, files: ImageFiles, counts: Mapping[SplitName, Mapping[str, int]]) -> list[str]:
        """How images per class differ from what was published, one sentence per split."""


def open_source(name: str) -> Source:
    """The source of a data set.

    Raises:
        DataError: The name is unknown; the text has the nearest one.
    """
    if name.startswith(FOLDER_PREFIX) and name != FOLDER_PREFIX:
        return FolderSource(name, expand(name.removeprefix(FOLDER_PREFIX)).absolute())
    if name not in DATASETS:
        raise DataError(_unknown(name))
    spec = DATASETS[name]
    if spec.finder:
        return ManualSource(name, spec)
    return DownloadSource(name, spec) if spec.archives else BuiltInSource(name, spec)


def dataset_problem(name: str) -> str | None:
    """Say why a name cannot be a data set, or return None. Whether the data set is here is not looked at."""
    return None if name in DATASETS or (name.startswith(FOLDER_PREFIX) and name != FOLDER_PREFIX) else _unknown(name)


def _unknown(name: str) -> str:
    if name == FOLDER_PREFIX:
        return "folder: needs a path after it, as in folder:data/flowers"
    hint = nearest(name, DATASETS)
    return f"unknown data set {name!r} ({f'did you mean {hint!r}?' if hint else 'bench datasets lists them'})"


def published_sources() -> list[Source]:
    """All data sets of the catalog, in its order."""
    return [open_source(name) for name in DATASETS]


def name_patterns() -> dict[str, str]:
    """Regular expressions of other names that a data set may have, with their meaning, for editors."""
    return {f"^{FOLDER_PREFIX}.": "a folder of train/CLASS/IMAGE files"}


def complete_name(start: str) -> list[str]:
    """Names, or beginnings of names, that a typed beginning may become."""
    return [name for name in (*DATASETS, FOLDER_PREFIX) if name.startswith(start)]


def dataset_title(name: str, max_images_per_class: int = 0) -> str:
    """Heading of a data set's table; 0 stands for all images of a class."""
    title = open_source(name).title
    return f"{title}, at most {max_images_per_class} images per class" if max_images_per_class else title


def require(
    names: Sequence[str],
    home: Path,
    *,
    download: bool,
    on_progress: Progress | None = None,
    partly: Collection[str] = (),
) -> None:
    """Make every data set of a run ready: download what can be downloaded; if one cannot be had, download nothing.

    Args:
        names: Names from suites, possibly repeated.
        home: The data folder, see :func:`bench.workspace.paths.data_home`.
        download: False never touches the network; neither does BENCH_OFFLINE=1.
        on_progress: See :data:`Progress`.
        partly: Names of manual downloads that need not be complete.

    Raises:
        DataError: Names all data sets that are missing, where each was looked for, and how to get it.
    """
    may_download = download and not offline()
    missing: list[Source] = []
    problems: list[str] = []
    for name in dict.fromkeys(names):
        if problem := dataset_problem(name):
            problems.append(problem)
            continue
        source = open_source(name)
        status = source.status(home)
        if status.state == "ready" or (status.state == "incomplete" and name in partly and source.has_files):
            continue
        if may_download and source.fetchable:
            missing.append(source)
        else:
            problems.append(status.sentence)
    for source in missing if not problems else ():
        try:
            source.fetch(home, on_progress)
        except DataError as error:
            problems.append(str(error))
    if problems:
        why = "" if may_download else "\n(downloads are disabled)"
        raise DataError("the data is not complete:\n" + "\n".join(f"- {problem}" for problem in problems) + why)
