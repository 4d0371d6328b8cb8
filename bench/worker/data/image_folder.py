"""Loaders: from what a package brings, or a folder of images, to arrays of pixels.

Each built-in data set's loader is called with the data folder and returns all of it, decoded, at its native size; those
of data sets that are fetched are in :mod:`bench.worker.data.readers`. Called once, by :mod:`bench.worker.data.pack`.

Shapes: N images, C channels (1 or 3), H and W pixels.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.catalog.datasets import DATASETS
from bench.datasets.image_folder import folder_layout, image_names
from bench.errors import DataError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

SMALL_FILE = 10_000
"""Bytes of an image file below which threads do not pay."""


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
    labelled = [(file, label) for label, name in enumerate(classes) for file in image_names(str(part / name))]
    try:
        images = np.empty((len(labelled), 3, size, size), dtype=np.uint8)
    except MemoryError:
        gigabytes = len(labelled) * 3 * size**2 / 1e9
        raise DataError(f"{part} needs {gigabytes:,.0f} GB of memory at {size} pixels, which is not there") from None

    def decode(first: int) -> None:
        for place in range(first, min(first + 256, len(labelled))):
            images[place] = decode_image(labelled[place][0], size)

    with ThreadPoolExecutor(decoders(labelled[0][0])) as pool:
        for _ in pool.map(decode, range(0, len(labelled), 256)):
            pass
    return images, np.array([label for _, label in labelled], dtype=np.int64)


def decoders(example: str | Path) -> int:
    """Threads that decode files such as this one.

    Decoders let go of the interpreter, but with thumbnails most time is Python's own: there a second thread gains
    nothing.
    """
    if os.stat(example).st_size < SMALL_FILE:  # noqa: PTH116 - takes either
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_image(file: str | Path, size: int) -> Images:
    """Read an image file as (3, size, size) uint8: shorter side resized to ``size``, centre cropped.

    Raises:
        DataError: It cannot be read as an image.
    """
    from bench.worker.data.decode import pixels_of

    pixels = pixels_of(file)
    if pixels.shape[:2] != (size, size):
        from PIL import Image

        image = Image.fromarray(pixels)
        scale = size / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        left, top = (width - size) // 2, (height - size) // 2
        resized = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(resized.crop((left, top, left + size, top + size)))
    return pixels.transpose(2, 0, 1)
