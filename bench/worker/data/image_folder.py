"""Decode a folder of images to arrays of one size. Called by :mod:`bench.worker.data.pack`.

Shapes: N images, S = input size.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bench.datasets.splits import ImageFiles, SplitName
from bench.errors import DataError
from bench.worker.data.decode import broken_images, pixels_of, resized_centre
from bench.worker.data.raw import Images, Labels, RawDataset

SMALL_FILE = 10_000
"""Bytes of an image file below which threads do not pay."""
PORTION = 256
"""Images per task of a thread."""


def folder(files: ImageFiles, input_size: int, test_resize: int = 0) -> RawDataset:
    """Decode image files: RGB, EXIF orientation ignored, classes and files in sorted order.

    An image of another size is resized until its shorter side is ``input_size``, for test images ``test_resize`` where
    that is not 0 (bilinear, with antialiasing), then its centre is cropped.

    Raises:
        DataError: Images cannot be read; the text names all of them.
    """
    problems: list[str] = []
    train_images, train_labels = _decode_split(files, "train", input_size, 0, problems)
    test_images, test_labels = _decode_split(files, "test", input_size, test_resize, problems)
    if problems:
        raise broken_images(problems, files.root)
    return RawDataset(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=tuple(files.classes()),
    )


def _decode_split(
    files: ImageFiles, split: SplitName, size: int, resize: int, problems: list[str]
) -> tuple[Images, Labels]:
    """Images and labels of a split. What is wrong with images is added to ``problems``."""
    root = f"{files.root}/"
    label_of = {name: label for label, name in enumerate(files.classes())}
    labelled = [(root + record.file, label_of[record.category]) for record in files.records(split)]
    try:
        images = np.empty((len(labelled), 3, size, size), dtype=np.uint8)
    except MemoryError:
        gigabytes = len(labelled) * 3 * size**2 / 1e9
        where = files.root / files.split_names[split]
        raise DataError(f"{where} needs {gigabytes:,.0f} GB of memory at {size} pixels; less is available") from None

    def decode(first: int) -> list[str]:
        broken = []
        for number in range(first, min(first + PORTION, len(labelled))):
            try:
                images[number] = decode_image(labelled[number][0], size, resize)
            except DataError as error:
                broken.append(str(error))
        return broken

    with ThreadPoolExecutor(decoder_threads(labelled[0][0])) as pool:
        for broken in pool.map(decode, range(0, len(labelled), PORTION)):
            problems += broken
    return images, np.array([label for _, label in labelled], dtype=np.int64)


def decoder_threads(example: str | Path) -> int:
    """Threads that decode files such as this one.

    Decoders release the interpreter's lock, but most of a thumbnail's time is Python's own: there a second thread gains
    nothing.
    """
    if os.stat(example).st_size < SMALL_FILE:  # noqa: PTH116 - takes either
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_image(file: str | Path, size: int, resize: int = 0) -> Images:
    """Read an image file as (3, size, size) uint8: shorter side resized to ``resize`` or ``size``, centre cropped.

    Raises:
        DataError: It cannot be read as an image; the text names it.
    """
    return resized_centre(pixels_of(file), size, resize or size).transpose(2, 0, 1)
