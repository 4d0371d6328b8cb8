"""Loaders: from archives as published, or a folder of images, to arrays of pixels.

Each built-in data set's loader is called with the data folder and returns all of it, decoded, at its native size. The
archives are read as they are: nothing is unpacked to disk and nothing is unpickled. Called once, by
:mod:`bench.worker.data.pack`.

Shapes: N images, C channels (1 or 3), H and W pixels.
"""

import gzip
import os
import tarfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.catalog import DATASETS, Archive
from bench.errors import DataError
from bench.fetch import archive_problem, folder_layout, image_files

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

SMALL_FILE = 10_000
"""Bytes of an image file below which threads do not pay."""
LARGEST = 1_000_000_000
"""Bytes that an archive may unpack to; the CIFARs hold 185 MB. A bomb is refused before it fills the memory."""
IDX_IMAGES, IDX_LABELS = 2051, 2049
"""First four bytes, big-endian, of MNIST's files of images and of labels."""


@dataclass(frozen=True, kw_only=True)
class RawDataset:
    """All images of a data set as they were decoded."""

    train_images: Images
    """(N, C, H, W) uint8."""
    train_labels: Labels
    """(N,) int64, places in ``classes``."""
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]


# --- Built-in data sets ----------------------------------------------------------------------------------------------


def digits(home: Path) -> RawDataset:  # noqa: ARG001 - scikit-learn brings it
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels, split 1,437 to 360.

    scikit-learn does not split them. The rule here, which depends on no random generator and on no version: the
    images sorted by digit, within a digit in scikit-learn's order, every fifth from the first on is a test image. So
    each digit has 35 to 37 test images. Both parts keep scikit-learn's order. Pixels 0..16 become 0..255, rounded.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError("digits comes with scikit-learn, which is not installed: pip install scikit-learn") from None
    shipped = load_digits()
    images = np.rint(shipped.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = shipped.target.astype(np.int64)
    tested = np.zeros(len(labels), dtype=bool)
    tested[np.argsort(labels, kind="stable")[::5]] = True
    return RawDataset(
        train_images=images[~tested],
        train_labels=labels[~tested],
        test_images=images[tested],
        test_labels=labels[tested],
        classes=DATASETS["digits"].classes,
    )


def fashion_mnist(home: Path) -> RawDataset:
    """Fashion-MNIST (Xiao et al. 2017) from its four gzipped IDX files: 28x28 pixels, grey.

    Raises:
        DataError: An archive is missing, is not the published one, or does not hold what it should.
    """
    spec = DATASETS["fashion_mnist"]
    parts = [_read_idx(_checked("fashion_mnist", archive, home)) for archive in spec.archives]
    train_images, train_labels, test_images, test_labels = parts
    raw = RawDataset(
        train_images=train_images[:, None],
        train_labels=train_labels.astype(np.int64),
        test_images=test_images[:, None],
        test_labels=test_labels.astype(np.int64),
        classes=spec.classes,
    )
    return _counted("fashion_mnist", raw)


def cifar10(home: Path) -> RawDataset:
    """CIFAR-10 (Krizhevsky 2009) from the official binary archive: 32x32 pixels, colour.

    Raises:
        DataError: The archive is missing, is not the published one, or does not hold what it should.
    """
    return _cifar("cifar10", home, label_bytes=1, label_names="batches.meta.txt")


def cifar100(home: Path) -> RawDataset:
    """CIFAR-100 (Krizhevsky 2009) with its 100 fine labels, from the official binary archive: 32x32 pixels, colour.

    Raises:
        DataError: The archive is missing, is not the published one, or does not hold what it should.
    """
    return _cifar("cifar100", home, label_bytes=2, label_names="fine_label_names.txt")


def _cifar(name: str, home: Path, *, label_bytes: int, label_names: str) -> RawDataset:
    """Read records of labels (the last byte is the finest) and 3 x 32 x 32 pixels out of a tar archive."""
    [archive] = DATASETS[name].archives
    path = _checked(name, archive, home)
    try:
        with tarfile.open(path, "r:gz") as tar:
            # only .bin and .txt members are looked at; the names inside never become paths on this machine
            content, left = {}, LARGEST
            for member in (each for each in tar if each.isfile()):
                left -= member.size
                if left < 0:
                    raise DataError(f"{path} unpacks to more than {LARGEST / 1e6:,.0f} MB, which {name} does not hold")
                if (stream := tar.extractfile(member)) is not None:
                    content[Path(member.name).name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a tar archive: {error}") from error
    trained = sorted(file for file in content if file.endswith(".bin") and file not in ("test_batch.bin", "test.bin"))
    tested = [file for file in content if file in ("test_batch.bin", "test.bin")]
    if not trained or not tested or label_names not in content:
        raise DataError(f"{path} lacks the files of {name}: it holds {', '.join(sorted(content)) or 'none'}")
    train_images, train_labels = _cifar_records([content[file] for file in trained], label_bytes, path)
    test_images, test_labels = _cifar_records([content[file] for file in tested], label_bytes, path)
    raw = RawDataset(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=tuple(content[label_names].decode().split()),
    )
    return _counted(name, raw)


def _cifar_records(files: Sequence[bytes], label_bytes: int, path: Path) -> tuple[Images, Labels]:
    record = label_bytes + 3 * 32 * 32
    if any(len(file) % record for file in files):
        raise DataError(f"{path} holds a file that is not made of records of {record} bytes")
    table = np.concatenate([np.frombuffer(file, dtype=np.uint8).reshape(-1, record) for file in files])
    images = np.ascontiguousarray(table[:, label_bytes:]).reshape(-1, 3, 32, 32)
    return images, table[:, label_bytes - 1].astype(np.int64)


def _read_idx(path: Path) -> Images:
    """Read a gzipped IDX file of images (N, H, W) or labels (N,)."""
    try:
        with gzip.open(path) as stream:
            data = stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as gzip: {error}") from error
    if len(data) > LARGEST:
        raise DataError(f"{path} unpacks to more than {LARGEST / 1e6:,.0f} MB, which no small data set holds")
    axes = {IDX_IMAGES: 3, IDX_LABELS: 1}.get(int.from_bytes(data[:4], "big"))
    if axes is None:
        raise DataError(f"{path} is no IDX file of images or labels")
    shape = tuple(int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes))
    pixels = np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes)
    if pixels.size != np.prod(shape):
        raise DataError(f"{path} announces {' x '.join(map(str, shape))} bytes and holds {pixels.size:,}")
    return pixels.reshape(shape)


def _checked(name: str, archive: Archive, home: Path) -> Path:
    path = home / name / archive.name
    if not path.is_file():
        raise DataError(f"{path} is missing; get it with: bench data get {name}")
    if problem := archive_problem(path, archive):
        raise DataError(f"{problem}; get it again with: bench data get {name}")
    return path


def _counted(name: str, raw: RawDataset) -> RawDataset:
    """Refuse a data set whose numbers of images, labels or classes are not the published ones."""
    spec = DATASETS[name]
    expected = (spec.train_images, spec.train_images, spec.test_images, spec.test_images, spec.num_classes)
    arrays = (raw.train_images, raw.train_labels, raw.test_images, raw.test_labels, raw.classes)
    found = tuple(len(array) for array in arrays)
    if found != expected:
        raise DataError(f"{name} holds {found} training images and labels, test images and labels, classes: {expected}")
    highest = max(int(raw.train_labels.max()), int(raw.test_labels.max()))
    if highest >= spec.num_classes:
        raise DataError(f"{name} holds the label {highest}, though it has {spec.num_classes} classes")
    return raw


# --- Image folders ---------------------------------------------------------------------------------------------------


def folder(path: Path, input_size: int) -> RawDataset:
    """Decode an image folder: RGB, EXIF orientation ignored, classes and files in sorted order.

    An image of another size is resized until its shorter side is ``input_size`` (bilinear, with antialiasing), then
    its centre is cropped.

    Raises:
        DataError: The folder is not laid out as it should, or an image cannot be read; the text names it.
    """
    layout = folder_layout(path)
    parts = [_decode_part(part, layout.classes, input_size) for part in (layout.train, layout.test)]
    (train_images, train_labels), (test_images, test_labels) = parts
    return RawDataset(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=layout.classes,
    )


def _decode_part(part: Path, classes: Sequence[str], size: int) -> tuple[Images, Labels]:
    labelled = [(file, label) for label, name in enumerate(classes) for file in image_files(part / name)]
    try:
        images = np.empty((len(labelled), 3, size, size), dtype=np.uint8)
    except MemoryError:
        gigabytes = len(labelled) * 3 * size**2 / 1e9
        raise DataError(f"{part} needs {gigabytes:,.0f} GB of memory at {size} pixels, which is not there") from None

    def decode(first: int) -> None:
        for place in range(first, min(first + 256, len(labelled))):
            images[place] = decode_image(labelled[place][0], size)

    with ThreadPoolExecutor(_decoders(labelled[0][0])) as pool:
        for _ in pool.map(decode, range(0, len(labelled), 256)):
            pass
    return images, np.array([label for _, label in labelled], dtype=np.int64)


def _decoders(example: Path) -> int:
    """Threads that decode files such as this one.

    Pillow lets go of the interpreter while it decodes, but with thumbnails most time is Python's own: there one thread
    was measured to be quicker than two (10,000 CIFAR-sized JPEGs: 1.2 s against 1.7 s).
    """
    if example.stat().st_size < SMALL_FILE:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_image(file: Path, size: int) -> Images:
    """Read an image file as (3, size, size) uint8: shorter side resized to ``size``, centre cropped.

    Raises:
        DataError: It cannot be read as an image.
    """
    from PIL import Image

    from bench.worker.data.decode import open_rgb

    image = open_rgb(file, file)
    if image.size != (size, size):
        scale = size / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        left, top = (width - size) // 2, (height - size) // 2
        resized = image.resize((width, height), Image.Resampling.BILINEAR)
        image = resized.crop((left, top, left + size, top + size))
    return np.asarray(image).transpose(2, 0, 1)
