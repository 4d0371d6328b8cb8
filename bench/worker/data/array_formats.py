"""Decode the formats that hold arrays of pixels: binary records and pickles of the CIFARs, MNIST's IDX files.

Called by :mod:`bench.worker.data.readers`. Each reader gets the names of a split's files and a function that returns
the content of one, and returns images (N, C, H, W) uint8 and labels (N,) int64. Nothing here opens a file.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.catalog.datasets import DATASETS
from bench.datasets.formats import StoredFormat
from bench.errors import DataError
from bench.worker.data import pickles
from bench.worker.data.raw import Images, Labels

Read = Callable[[str], bytes]
"""From the name of a file in a :class:`bench.datasets.formats.StoredFormat` to its content."""

MAX_BYTES = 1_000_000_000
"""Bytes that a data set may unpack to; the CIFARs have 185 MB. A bomb is refused before it fills the memory."""
IDX_IMAGES, IDX_LABELS = 2051, 2049
"""First four bytes, big-endian, of MNIST's files of images and of labels."""
GZIP = b"\x1f\x8b"


def read_binary(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    """Records of one label (cifar10), or of a coarse and a fine one (cifar100), and 3 x 32 x 32 pixels.

    Raises:
        DataError: A file is not made of such records.
    """
    label_bytes = 1 if name == "cifar10" else 2
    record = label_bytes + 3 * 32 * 32
    tables = []
    for file in files:
        data = content(file)
        if len(data) % record:
            raise DataError(f"{path / file} is not made of records of {record} bytes")
        tables.append(np.frombuffer(data, dtype=np.uint8).reshape(-1, record))
    table = np.concatenate(tables)
    images = np.ascontiguousarray(table[:, label_bytes:]).reshape(-1, 3, 32, 32)
    return images, table[:, label_bytes - 1].astype(np.int64)


def read_pickled(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    """The python version of the CIFARs.

    Raises:
        DataError: A file is not such a pickle, see :mod:`bench.worker.data.pickles`.
    """
    images, labels = [], []
    for file in files:
        batch = pickles.read(content(file), path / file)
        pixels, own = batch.get("data"), batch.get("labels" if name == "cifar10" else "fine_labels")
        if not (isinstance(pixels, np.ndarray) and pixels.shape[1:] == (3 * 32 * 32,) and are_labels(own)):
            raise DataError(f"{path / file} does not contain the images and labels of {name}")
        images.append(pixels.reshape(-1, 3, 32, 32))
        labels.append(np.array(own, dtype=np.int64))
    return np.concatenate(images).astype(np.uint8, copy=False), np.concatenate(labels)


def are_labels(values: object) -> bool:
    """Whether this is a list of whole numbers that can be labels."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 31 for value in values)


def read_idx(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    """Two IDX files: images, then labels.

    Raises:
        DataError: One is not an IDX file, or the images have another size.
    """
    images, labels = (_idx_array(content(file), path / file) for file in files)
    size = DATASETS[name].input_size
    if images.ndim != 3 or images.shape[1:] != (size, size) or labels.ndim != 1:
        raise DataError(f"{path / files[0]} does not contain images of {size}x{size} pixels")
    return images[:, None], labels.astype(np.int64)


def _idx_array(data: bytes, path: Path) -> Images:
    """An IDX file, gzipped or not, of images (N, H, W) or labels (N,)."""
    if data[:2] == GZIP:
        try:
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be read as gzip: {error}") from error
        if len(data) > MAX_BYTES:
            raise DataError(f"{path} unpacks to more than {MAX_BYTES / 1e6:,.0f} MB, more than any small data set")
    axes = {IDX_IMAGES: 3, IDX_LABELS: 1}.get(int.from_bytes(data[:4], "big"))
    if axes is None or len(data) < 4 + 4 * axes:
        raise DataError(f"{path} is not an IDX file of images or labels")
    shape = tuple(int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes))
    pixels = np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes)
    if pixels.size != np.prod([float(side) for side in shape]):  # as floats, or a forged header would overflow
        raise DataError(f"{path} announces {' x '.join(map(str, shape))} bytes but has {pixels.size:,}")
    return pixels.reshape(shape)


def check_class_names(name: str, stored: StoredFormat, content: bytes, path: Path) -> None:
    """Refuse files whose own list of classes differs: their labels would mean other classes.

    Raises:
        DataError: It differs.
    """
    if stored.kind == "pickle":
        listed = pickles.read(content, path / stored.class_names_file)
        values = listed.get("label_names" if name == "cifar10" else "fine_label_names", [])
        classes = [value.decode("latin1") if isinstance(value, bytes) else str(value) for value in values]
    else:
        classes = content.decode("utf-8", "replace").split()
    if classes != list(DATASETS[name].classes):
        raise DataError(
            f"{path / stored.class_names_file} names other classes than {name} has: "
            f"{', '.join(classes[:5]) or 'none'}, ..."
        )
