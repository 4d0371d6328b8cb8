"""Find ImageNet (ILSVRC 2012) in any common format in ``BENCH_DATA/imagenet``, a folder or a link to one.

==========  =====================================================================================================
training    ``train/WNID/*.JPEG``, or the official ``ILSVRC2012_img_train.tar``, read in place
test        ``val/WNID/*.JPEG``, or ``val/*.JPEG`` or ``ILSVRC2012_img_val.tar`` with the ground truth
truth       the devkit (``ILSVRC2012_devkit_t12.tar.gz`` or its folder), Kaggle's ``LOC_val_solution.csv``,
            ``imagenet_2012_validation_synset_labels.txt`` (one WNID per line), or ``val.txt`` or ``val.csv`` with lines
            ``FILE WNID`` or ``FILE NUMBER``, numbers counting the sorted WNIDs from 0
==========  =====================================================================================================

All are looked for in the folder itself and in Kaggle's ``ILSVRC/Data/CLS-LOC`` below it. The label of a WNID is its
position among the sorted WNIDs, as is customary; test images are ILSVRC's validation images. Images are ordered by WNID
and file name in every format, so that the same cell gives the same result from each. The ground truth is read by
:mod:`bench.datasets.ground_truth`. Called by :class:`bench.datasets.manual.ManualSource`; decodes and writes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.archives import ArchiveOfClasses, FlatArchive
from bench.datasets.checksums import file_digest
from bench.datasets.ground_truth import WNID, read_ground_truth
from bench.datasets.reading import listing, reading
from bench.datasets.splits import ClassFolders, FlatFolder, ImageRecord, Split, SplitName
from bench.errors import DataError

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
PUBLISHED = {
    TRAIN_TAR: (147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
    VAL_TAR: (6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
}
"""Bytes and MD5 of the official archives."""
KAGGLE = Path("ILSVRC/Data/CLS-LOC")
EXPECTED = "train/WNID/*.JPEG and val/WNID/*.JPEG, or the official ILSVRC2012 archives and the devkit"


@dataclass(frozen=True)
class ImageNet:
    """ImageNet as found on this machine. Implements :class:`bench.datasets.splits.ImageFiles`."""

    root: Path
    train: Split
    test: Split

    @property
    def format(self) -> str:
        """The names of both splits."""
        return f"{self.train.name} and {self.test.name}"

    @property
    def split_names(self) -> Mapping[SplitName, str]:
        """Names of folders or archives."""
        return {"train": self.train.name, "test": self.test.name}

    def classes(self) -> Sequence[str]:
        """The WNIDs that have training images."""
        return self.train.classes()

    def signature(self) -> list[str]:
        """The signatures of both splits."""
        return [str(self.root), *self.train.signature(), *self.test.signature()]

    def quick_counts(self) -> dict[SplitName, dict[str, int]]:
        """Of the splits that are not archives of the published size."""
        splits: dict[SplitName, Split] = {"train": self.train, "test": self.test}
        return {name: counts for name, split in splits.items() if (counts := split.quick_counts()) is not None}

    def records(self, split: SplitName) -> Iterator[ImageRecord]:
        """By WNID and name."""
        return (self.train if split == "train" else self.test).records()

    def verify(self) -> list[str]:
        """Compare the checksums of archives that have the published size."""
        problems = []
        for split in (self.train, self.test):
            path = self.root / split.name
            size, md5 = PUBLISHED.get(split.name, (0, ""))
            if size and path.stat().st_size == size:
                with reading(path):
                    digest = file_digest(path, "md5")
                if digest != md5:
                    problems.append(f"{path} has MD5 {digest} instead of {md5}")
        return problems


def imagenet(home: Path) -> ImageNet:
    """Find ImageNet below ``home/imagenet``.

    Raises:
        DataError: It is not there, or in no known format; the text says what is missing.
    """
    top = home / "imagenet"
    if not top.is_dir():
        what = "is not a folder" if top.exists() else "is a dangling link" if top.is_symlink() else "does not exist"
        raise DataError(
            f"imagenet is not here: {top} {what}. Make it a folder, or a link to one, that holds {EXPECTED}. "
            "ImageNet needs an account at https://image-net.org/download.php"
        )
    top = top.resolve()
    listing(top)  # or a folder that may not be read would be reported as an empty one
    roots = (top, top / KAGGLE, top / "Data/CLS-LOC", top / "CLS-LOC")
    root = next((folder for folder in roots if _has_training_images(folder)), None)
    if root is None:
        raise DataError(f"imagenet is not complete: {top} contains neither train/ nor {TRAIN_TAR}; expected {EXPECTED}")
    train = _train(root)
    return ImageNet(root=root, train=train, test=_test(root, top, train))


def _has_training_images(root: Path) -> bool:
    return (root / "train").is_dir() or (root / TRAIN_TAR).is_file()


def _train(root: Path) -> Split:
    folders = ClassFolders(root, "train")
    if (root / "train").is_dir():
        names = folders.classes()
        if any(WNID.fullmatch(name) for name in names):
            return folders
        if not (root / TRAIN_TAR).is_file():
            raise DataError(
                f"imagenet is not complete: {root / 'train'} holds no class folder (n01440764, ...); "
                "extract each class archive there, into a folder of the same name, or put "
                f"{TRAIN_TAR} into {root}: it is read without extracting it"
            )
    return ArchiveOfClasses(root, TRAIN_TAR, PUBLISHED[TRAIN_TAR][0])


def _test(root: Path, top: Path, train: Split) -> Split:
    folders = ClassFolders(root, "val")
    if (root / "val").is_dir():
        if folders.classes():
            return folders
        return FlatFolder(root, "val", read_ground_truth(root, top, train))
    if (root / VAL_TAR).is_file():
        return FlatArchive(root, VAL_TAR, read_ground_truth(root, top, train), PUBLISHED[VAL_TAR][0])
    raise DataError(f"imagenet is not complete: {root} contains neither val/ nor {VAL_TAR}; expected {EXPECTED}")
