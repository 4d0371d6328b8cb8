"""The ground truth of ImageNet's validation images: which file has which class, from any of the usual files.

Called by :mod:`bench.datasets.imagenet`. Reads small text files and the devkit; every malformed line is an error, since
a wrong class would silently spoil each figure of a table.
"""

import csv
import io
import re
import tarfile
from pathlib import Path

from bench.datasets.reading import reading
from bench.datasets.splits import Split
from bench.errors import DataError

DEVKIT_TAR, DEVKIT = "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_devkit_t12"
TRUTH_TEXT, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
SYNSET_LABELS = "imagenet_2012_validation_synset_labels.txt"
WNID = re.compile(r"n\d{8}")
MAX_BYTES = 50_000_000
"""Largest file that is read; the real ones have less than 4 MB."""


def read_ground_truth(root: Path, top: Path, train: Split) -> dict[str, str]:
    """WNID by file name of the validation images, from the first of the usual files that exists.

    Args:
        root: The folder with the images.
        top: The data set's folder, which may be above ``root``.
        train: The training images, whose classes give numbers their meaning.

    Raises:
        DataError: There is none, or it is malformed.
    """
    places = list(dict.fromkeys([root, root / "val", top, root / "devkit", top / "devkit"]))
    for place in places:
        if (place / DEVKIT_TAR).is_file():
            return _from_devkit(place / DEVKIT_TAR, *_read_devkit(place / DEVKIT_TAR))
        for folder in (place / DEVKIT / "data", place / "data", place):
            if (folder / TRUTH_TEXT).is_file() and (folder / META).is_file():
                return _from_devkit(folder / TRUTH_TEXT, _read(folder / TRUTH_TEXT), _read(folder / META))
        if (place / "LOC_val_solution.csv").is_file():
            return _from_kaggle(place / "LOC_val_solution.csv")
        if (place / SYNSET_LABELS).is_file():
            return _from_lines(place / SYNSET_LABELS)
        for name in ("val.txt", "val.csv"):
            if (place / name).is_file():
                return _from_pairs(place / name, train)
    alone = next((place / TRUTH_TEXT for place in places if (place / TRUTH_TEXT).is_file()), None)
    if alone:
        raise DataError(
            f"imagenet is not complete: {alone} uses the class numbers of the devkit's {META}, which is missing; "
            f"put {DEVKIT_TAR} into {root}"
        )
    raise DataError(
        f"imagenet is not complete: the validation images in {root} have no ground truth; put {DEVKIT_TAR} or Kaggle's "
        "LOC_val_solution.csv next to them, or sort them into val/WNID/"
    )


def _read(path: Path) -> bytes:
    with reading(path):
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes: it is a different file")
        return path.read_bytes()


def _read_devkit(path: Path) -> tuple[bytes, bytes]:
    """The list of the validation images' classes and the table of classes from the devkit."""
    content = {}
    try:
        with reading(path), tarfile.open(path) as tar:
            for member in tar:
                name = Path(member.name).name
                if name in (TRUTH_TEXT, META) and member.isfile() and member.size <= MAX_BYTES:
                    content[name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    except EOFError as error:  # gzip's
        raise DataError(f"{path} is truncated; download it again") from error
    if missing := [name for name in (TRUTH_TEXT, META) if name not in content]:
        raise DataError(f"{path} does not hold {' and '.join(missing)}: it is a different archive")
    return content[TRUTH_TEXT], content[META]


def _from_devkit(path: Path, text: bytes, meta: bytes) -> dict[str, str]:
    """Line i of the list is the ILSVRC2012_ID of the class of image i; the table has its WNID."""
    import scipy.io

    try:
        synsets = scipy.io.loadmat(io.BytesIO(meta), squeeze_me=True, struct_as_record=True)["synsets"]
        wnids = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets if int(row["num_children"]) == 0}
        classes = [wnids[int(line)] for line in text.split()]
    except (KeyError, ValueError, TypeError, IndexError, NotImplementedError, OSError) as error:
        raise DataError(f"the devkit in {path} cannot be read ({type(error).__name__}: {error})") from error
    return _numbered(classes)


def _from_lines(path: Path) -> dict[str, str]:
    classes = _text(path).split()
    if bad := next((name for name in classes if not WNID.fullmatch(name)), None):
        raise DataError(f"{path} should hold one WNID per line and holds {bad[:40]!r}")
    return _numbered(classes)


def _numbered(classes: list[str]) -> dict[str, str]:
    return {f"ILSVRC2012_val_{number:08d}.JPEG": wnid for number, wnid in enumerate(classes, start=1)}


def _from_kaggle(path: Path) -> dict[str, str]:
    """``ImageId,PredictionString``: a WNID and a box, once or more; all boxes of an image have the same WNID."""
    truth = {}
    for row in csv.DictReader(io.StringIO(_text(path))):
        words = (row.get("PredictionString") or "").split()
        if not row.get("ImageId") or not words or not WNID.fullmatch(words[0]):
            raise DataError(f"{path} should hold ImageId,PredictionString lines and holds {row!r:.80}")
        truth[f"{row['ImageId']}.JPEG"] = words[0]
    return truth


def _from_pairs(path: Path, train: Split) -> dict[str, str]:
    """``FILE CLASS`` or ``FILE,CLASS``; the class is a WNID or its position among the sorted WNIDs."""
    names = [name for name in train.classes() if WNID.fullmatch(name)]
    truth = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.replace(",", " ").split()
        if len(words) != 2 or not words[0].lower().endswith((".jpeg", ".jpg")):
            if number == 1 or not words:
                continue  # a header
            raise DataError(f"{path}, line {number}: should be a file and its class, and is {line[:60]!r}")
        truth[Path(words[0]).name] = _wnid(words[1], names, f"{path}, line {number}")
    return truth


def _wnid(word: str, names: list[str], where: str) -> str:
    """A WNID as written, or the one that a number stands for."""
    if WNID.fullmatch(word):
        return word
    if not word.isdigit():
        raise DataError(f"{where}: {word[:40]!r} is neither a WNID nor a number")
    if len(names) != 1000:
        raise DataError(
            f"{where}: numbers need all 1,000 training classes, and {len(names):,} are there. Use {DEVKIT_TAR}, which "
            "names the classes, instead"
        )
    if int(word) >= len(names):
        raise DataError(f"{where}: there is no class {word}; classes are numbered from 0 to 999")
    return names[int(word)]


def _text(path: Path) -> str:
    try:
        return _read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start})") from error
