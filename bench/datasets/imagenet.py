"""ImageNet (ILSVRC 2012) in the forms that people have, below ``BENCH_DATA/imagenet``, a folder or a link to one.

==========  =====================================================================================================
training    ``train/WNID/*.JPEG``, or the official ``ILSVRC2012_img_train.tar``, read where it is
test        ``val/WNID/*.JPEG``, or ``val/*.JPEG`` or ``ILSVRC2012_img_val.tar`` with the ground truth beside it
truth       the devkit (``ILSVRC2012_devkit_t12.tar.gz`` or its folder), Kaggle's ``LOC_val_solution.csv``, a
            ``imagenet_2012_validation_synset_labels.txt`` (a WNID a line), or a ``val.txt`` or ``val.csv`` of
            ``FILE WNID`` or ``FILE NUMBER`` lines, numbers counting the sorted WNIDs from 0
==========  =====================================================================================================

Both are looked for in the folder itself and in Kaggle's ``ILSVRC/Data/CLS-LOC`` below it. A label is the place of a
WNID among the sorted ones, as everywhere in this field; test images are ILSVRC's validation images. An order of images
is by WNID and file name whatever the form, so that the same cell gives the same result from each.
"""

import csv
import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.splits import ArchiveOfClasses, ClassFolders, Entry, FlatArchive, FlatFolder, Part, listing, reading
from bench.errors import DataError

TRAIN_TAR, VAL_TAR, DEVKIT_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"
PUBLISHED = {
    TRAIN_TAR: (147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
    VAL_TAR: (6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
}
"""Bytes and MD5 of the official archives."""
DEVKIT = "ILSVRC2012_devkit_t12"
TRUTH_TEXT, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
WNID = re.compile(r"n\d{8}")
KAGGLE = Path("ILSVRC/Data/CLS-LOC")
LARGEST = 50_000_000
"""Bytes of a file of the devkit, or of a list, that are read at most; theirs have under 4 MB."""
WANTED = "train/WNID/*.JPEG and val/WNID/*.JPEG, or the official ILSVRC2012 archives with the devkit"


@dataclass(frozen=True)
class ImageNet:
    """ImageNet as it was found."""

    root: Path
    train_part: Part
    test_part: Part

    @property
    def form(self) -> str:
        """The two parts."""
        return f"{self.train_part.name} and {self.test_part.name}"

    @property
    def splits(self) -> Mapping[str, str]:
        """By their names on disk."""
        return {"train": self.train_part.name, "test": self.test_part.name}

    def classes(self) -> Sequence[str]:
        """The WNIDs that have training images."""
        return self.train_part.classes()

    def signature(self) -> list[str]:
        """Of both parts."""
        return [str(self.root), *self.train_part.signature(), *self.test_part.signature()]

    def quick_counts(self) -> dict[str, dict[str, int]]:
        """Of the parts that are no archives of the published size."""
        found = {"train": self.train_part.quick_counts(), "test": self.test_part.quick_counts()}
        return {split: counts for split, counts in found.items() if counts is not None}

    def train(self) -> Iterator[Entry]:
        """By WNID and name."""
        return self.train_part.entries()

    def test(self) -> Iterator[Entry]:
        """By WNID and name."""
        return self.test_part.entries()

    def verify(self) -> list[str]:
        """The checksum of archives that have the published size."""
        problems = []
        for part in (self.train_part, self.test_part):
            path = self.root / part.name
            size, md5 = PUBLISHED.get(part.name, (0, ""))
            if size and path.stat().st_size == size:
                with reading(path), path.open("rb") as stream:
                    found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
                if found != md5:
                    problems.append(f"{path} has MD5 {found} instead of {md5}")
        return problems


def imagenet(home: Path) -> ImageNet:
    """Find ImageNet below ``home/imagenet``.

    Raises:
        DataError: It is not there, or in no form that is known; the text says what lacks.
    """
    top = home / "imagenet"
    if not top.is_dir():
        what = "is not a folder" if top.exists() else "leads nowhere" if top.is_symlink() else "is not there"
        raise DataError(
            f"imagenet is not here: {top} {what}. Make it a folder, or a link to one, that holds {WANTED}. "
            "ImageNet needs an account at https://image-net.org/download.php"
        )
    top = top.resolve()
    listing(top)  # a folder that may not be read is told as such, and not as an empty one
    root = next((each for each in (top, top / KAGGLE, top / "Data/CLS-LOC", top / "CLS-LOC") if _holds(each)), None)
    if root is None:
        raise DataError(f"imagenet is not complete: {top} holds neither train/ nor {TRAIN_TAR}; it wants {WANTED}")
    return ImageNet(root=root, train_part=_train(root), test_part=_test(root, top))


def _holds(root: Path) -> bool:
    return (root / "train").is_dir() or (root / TRAIN_TAR).is_file()


def _train(root: Path) -> Part:
    folders = ClassFolders(root, "train")
    if (root / "train").is_dir():
        names = folders.classes()
        if any(WNID.fullmatch(name) for name in names):
            return folders
        if not (root / TRAIN_TAR).is_file():
            raise DataError(
                f"imagenet is not complete: {root / 'train'} holds no folder of a class (n01440764, ...); "
                "unpack the archives of the classes there, each into a folder of its name, or leave "
                f"{TRAIN_TAR} in {root}: it is read as it is"
            )
    return ArchiveOfClasses(root, TRAIN_TAR, PUBLISHED[TRAIN_TAR][0])


def _test(root: Path, top: Path) -> Part:
    folders = ClassFolders(root, "val")
    if (root / "val").is_dir():
        if folders.classes():
            return folders
        return FlatFolder(root, "val", _truth(root, top))
    if (root / VAL_TAR).is_file():
        return FlatArchive(root, VAL_TAR, _truth(root, top), PUBLISHED[VAL_TAR][0])
    raise DataError(f"imagenet is not complete: {root} holds neither val/ nor {VAL_TAR}; it wants {WANTED}")


# --- Ground truth ----------------------------------------------------------------------------------------------------


def _truth(root: Path, top: Path) -> dict[str, str]:
    """WNID by file name of the validation images, from the first of the usual files that is there."""
    places = list(dict.fromkeys([root, root / "val", top, root / "devkit", top / "devkit"]))
    for place in places:
        if (place / DEVKIT_TAR).is_file():
            return _from_devkit(place / DEVKIT_TAR, *_read_devkit(place / DEVKIT_TAR))
        for folder in (place / DEVKIT / "data", place / "data", place):
            if (folder / TRUTH_TEXT).is_file() and (folder / META).is_file():
                return _from_devkit(folder / TRUTH_TEXT, _read(folder / TRUTH_TEXT), _read(folder / META))
        if (place / "LOC_val_solution.csv").is_file():
            return _from_kaggle(place / "LOC_val_solution.csv")
        if (place / "imagenet_2012_validation_synset_labels.txt").is_file():
            return _from_lines(place / "imagenet_2012_validation_synset_labels.txt")
        for name in ("val.txt", "val.csv"):
            if (place / name).is_file():
                return _from_pairs(place / name, root)
    alone = next((place / TRUTH_TEXT for place in places if (place / TRUTH_TEXT).is_file()), None)
    if alone:
        raise DataError(
            f"imagenet is not complete: {alone} numbers classes as the devkit's {META} does, which is not beside it; "
            f"put {DEVKIT_TAR} into {root}"
        )
    raise DataError(
        f"imagenet is not complete: the validation images in {root} have no ground truth; put {DEVKIT_TAR} or Kaggle's "
        "LOC_val_solution.csv beside them, or sort them into val/WNID/"
    )


def _read(path: Path) -> bytes:
    with reading(path):
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes: it is another file")
        return path.read_bytes()


def _read_devkit(path: Path) -> tuple[bytes, bytes]:
    """The list of the validation images' classes and the table of classes, out of the devkit."""
    found = {}
    try:
        with reading(path), tarfile.open(path) as tar:
            for member in tar:
                name = Path(member.name).name
                if name in (TRUTH_TEXT, META) and member.isfile() and member.size <= LARGEST:
                    found[name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    except EOFError as error:  # gzip's
        raise DataError(f"{path} ends early; bring it again") from error
    if lacking := [name for name in (TRUTH_TEXT, META) if name not in found]:
        raise DataError(f"{path} does not hold {' and '.join(lacking)}: it is another archive")
    return found[TRUTH_TEXT], found[META]


def _from_devkit(path: Path, text: bytes, meta: bytes) -> dict[str, str]:
    """Line i of the list is the ILSVRC2012_ID of image i's class; the table knows its WNID."""
    import scipy.io

    try:
        synsets = scipy.io.loadmat(io.BytesIO(meta), squeeze_me=True, struct_as_record=True)["synsets"]
        wnids = {int(each["ILSVRC2012_ID"]): str(each["WNID"]) for each in synsets if int(each["num_children"]) == 0}
        classes = [wnids[int(line)] for line in text.split()]
    except (KeyError, ValueError, TypeError, IndexError, NotImplementedError, OSError) as error:
        raise DataError(f"the devkit in {path} cannot be read ({type(error).__name__}: {error})") from error
    return _numbered(classes)


def _from_lines(path: Path) -> dict[str, str]:
    classes = _text(path).split()
    if bad := next((each for each in classes if not WNID.fullmatch(each)), None):
        raise DataError(f"{path} should hold a WNID a line and holds {bad[:40]!r}")
    return _numbered(classes)


def _numbered(classes: list[str]) -> dict[str, str]:
    return {f"ILSVRC2012_val_{number:08d}.JPEG": wnid for number, wnid in enumerate(classes, start=1)}


def _from_kaggle(path: Path) -> dict[str, str]:
    """``ImageId,PredictionString``: the second is a WNID and a box, once or more; all boxes of an image are of one."""
    found = {}
    for row in csv.DictReader(io.StringIO(_text(path))):
        words = (row.get("PredictionString") or "").split()
        if not row.get("ImageId") or not words or not WNID.fullmatch(words[0]):
            raise DataError(f"{path} should hold ImageId,PredictionString lines and holds {row!r:.80}")
        found[f"{row['ImageId']}.JPEG"] = words[0]
    return found


def _from_pairs(path: Path, root: Path) -> dict[str, str]:
    """``FILE CLASS`` or ``FILE,CLASS``; the class is a WNID or its place among the sorted WNIDs."""
    names = [name for name in _train(root).classes() if WNID.fullmatch(name)]
    found = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.replace(",", " ").split()
        if len(words) != 2 or not words[0].lower().endswith((".jpeg", ".jpg")):
            if number == 1 or not words:
                continue  # a heading
            raise DataError(f"{path}, line {number}: should be a file and its class, and is {line[:60]!r}")
        if words[1].isdigit():
            if len(names) != 1000:
                raise DataError(
                    f"{path} numbers the classes, which takes all 1,000 of them; {root} has {len(names):,}. "
                    f"Bring {DEVKIT_TAR} instead, which names them"
                )
            if int(words[1]) >= len(names):
                raise DataError(f"{path}, line {number}: there is no class {words[1]}; they count from 0 to 999")
            words[1] = names[int(words[1])]
        elif not WNID.fullmatch(words[1]):
            raise DataError(f"{path}, line {number}: {words[1][:40]!r} is neither a WNID nor a number")
        found[Path(words[0]).name] = words[1]
    return found


def _text(path: Path) -> str:
    try:
        return _read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start})") from error
