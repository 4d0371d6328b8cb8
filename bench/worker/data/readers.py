"""Load the data sets that exist in several formats: ``cifar10``, ``cifar100`` and ``fashion_mnist``.

Whatever format they are stored in (:mod:`bench.datasets.formats`), pixels, labels and order come out the same. The
images of each split are sorted by the SHA-256 of their label and pixels, because a folder of images has kept no other
order. So a data set's digest, and a training on it, do not depend on where it came from.

Files are read as they are: nothing is unpacked to disk, and names inside an archive never become paths. Files whose
published checksum is known are compared with it. The pixels of all others must have the published mean and deviation of
each channel to four digits: CIFAR-10 that went through JPEG at quality 75 is off by 0.0018, with blue and red swapped
by 0.045.

Called by :mod:`bench.worker.data.pack` and :mod:`bench.worker.data.imported`. The formats themselves are decoded by
:mod:`bench.worker.data.array_formats` and :mod:`bench.worker.data.encoded_formats`.
"""

import gzip
import hashlib
import tarfile
import zlib
from pathlib import Path

import numpy as np

from bench.catalog.datasets import DATASETS
from bench.codec import JsonObject
from bench.datasets import formats
from bench.datasets.formats import StoredFormat
from bench.datasets.reading import os_error_sentence
from bench.datasets.stored import IMPORTED, StoredCopy, find_import, locate
from bench.errors import DataError
from bench.worker.data import array_formats, encoded_formats
from bench.worker.data.array_formats import MAX_BYTES, Read
from bench.worker.data.published import check_counts, check_statistics, compare_checksums
from bench.worker.data.raw import ARRAYS, RawDataset

MAX_FILES = 1_000_000

DECODERS = {
    "binary": array_formats.read_binary,
    "pickle": array_formats.read_pickled,
    "idx": array_formats.read_idx,
    "parquet": encoded_formats.read_parquet,
    "images": encoded_formats.read_image_files,
}


def cifar10(home: Path) -> RawDataset:
    """CIFAR-10 (Krizhevsky 2009) from any format in the data folder: 32x32 pixels, colour.

    Raises:
        DataError: It is missing, is not the published one, or does not contain what it should.
    """
    return load("cifar10", home)


def cifar100(home: Path) -> RawDataset:
    """CIFAR-100 (Krizhevsky 2009) with its 100 fine labels, from any format in the data folder: 32x32, colour.

    Raises:
        DataError: As :func:`cifar10`.
    """
    return load("cifar100", home)


def fashion_mnist(home: Path) -> RawDataset:
    """Fashion-MNIST (Xiao et al. 2017) from any format in the data folder: 28x28 pixels, grey.

    Raises:
        DataError: As :func:`cifar10`.
    """
    return load("fashion_mnist", home)


def load(name: str, home: Path) -> RawDataset:
    """A data set from the data folder, in canonical order.

    Raises:
        DataError: As :func:`cifar10`.
    """
    copy = locate(name, home)
    if copy is None:
        raise DataError(f"{name} is not in {home / name}; get it with: bench data get {name}")
    if copy.imported:
        return _read_imported(name, home)
    return read(name, copy)


def read(name: str, copy: StoredCopy) -> RawDataset:
    """A data set from a folder or an archive, checked and in canonical order.

    Raises:
        DataError: As :func:`cifar10`; the text names the file and what is wrong with it.
    """
    try:
        checked = compare_checksums(name, copy)
        stored, content = _open(name, copy)
        raw = _decode(name, stored, content, copy.path)
    except OSError as error:
        raise DataError(os_error_sentence(error, copy.path)) from error
    except MemoryError:
        raise DataError(f"{copy.path} needs more memory than is available") from None
    check_counts(name, raw, copy.path)
    raw = _in_canonical_order(raw)
    if not checked:
        check_statistics(name, raw, copy.path)
    return raw


def _read_imported(name: str, home: Path) -> RawDataset:
    """The arrays of an imported data set.

    Raises:
        DataError: They are damaged.
    """
    copy = find_import(name, home)
    folder = copy.folder if copy else home / name / IMPORTED
    again = f"delete {folder} and get {name} again with: bench data get {name}"
    try:
        arrays = {array: np.load(folder / f"{array}.npy", allow_pickle=False) for array in ARRAYS}
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} cannot be read ({error}); {again}") from error
    if copy is None or any(len(array) == 0 for array in arrays.values()):
        raise DataError(f"{folder} is incomplete; {again}")
    return RawDataset(**arrays, classes=DATASETS[name].classes)


# --- Opening and decoding --------------------------------------------------------------------------------------------


def _open(name: str, copy: StoredCopy) -> tuple[StoredFormat, Read]:
    """The format of a stored copy, and how to read its files."""
    if copy.format:
        return copy.format, lambda file: _read_bounded(copy.path / file)
    content = _unpacked(name, copy.path)
    found = formats.detect_format(name, sorted(content))
    if found.format is None:
        held = ", ".join(sorted({file.rpartition("/")[2] for file in content})[:6]) or "nothing"
        why = f"{found.problem}; {found.remedy}" if found.problem else f"it contains {held}"
        raise DataError(f"{copy.path} is missing files of {name}: {why}")
    return found.format, content.__getitem__


def _read_bounded(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path} has more than {MAX_BYTES / 1e6:,.0f} MB, more than any small data set")
    return path.read_bytes()


def _unpacked(name: str, path: Path) -> dict[str, bytes]:
    """The regular files of a tar archive by their names, which are compared and never opened."""
    content: dict[str, bytes] = {}
    left = MAX_BYTES
    try:
        with tarfile.open(path, "r:*") as tar:
            for member in (member for member in tar if member.isfile()):
                left -= member.size
                if left < 0 or len(content) > MAX_FILES:
                    raise DataError(f"{path} unpacks to more than {MAX_BYTES / 1e6:,.0f} MB, far more than {name} has")
                if (stream := tar.extractfile(member)) is not None:
                    steps = [step for step in member.name.split("/") if step not in ("", ".", "..")]
                    content["/".join(steps)] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} cannot be read as a tar archive: {error}") from error
    return content


def _decode(name: str, stored: StoredFormat, content: Read, path: Path) -> RawDataset:
    decode = DECODERS[stored.kind]
    train_images, train_labels = decode(name, stored.train, content, path)
    test_images, test_labels = decode(name, stored.test, content, path)
    if stored.class_names_file:
        array_formats.check_class_names(name, stored, content(stored.class_names_file), path)
    return RawDataset(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=DATASETS[name].classes,
    )


def _in_canonical_order(raw: RawDataset) -> RawDataset:
    """The images of each split sorted by the SHA-256 of label (8 bytes, little-endian) and pixels."""
    arrays: JsonObject = {}
    for split in ("train", "test"):
        images, labels = getattr(raw, f"{split}_images"), getattr(raw, f"{split}_labels").astype("<i8")
        keys = [
            hashlib.sha256(label.tobytes() + image.tobytes()).digest()
            for image, label in zip(images, labels, strict=True)
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        arrays |= {f"{split}_images": images[order], f"{split}_labels": labels[order].astype(np.int64)}
    return RawDataset(**arrays, classes=raw.classes)
