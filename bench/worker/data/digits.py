"""The built-in data set ``digits``, which scikit-learn ships. Called by :mod:`bench.worker.data.pack`."""

from pathlib import Path

import numpy as np

from bench.catalog.datasets import DATASETS
from bench.errors import DataError
from bench.worker.data.raw import RawDataset

TEST_EVERY = 5


def digits(home: Path) -> RawDataset:  # noqa: ARG001 - every loader is called with the data folder
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels, split 1,437 to 360.

    scikit-learn does not split them. The rule here depends on no random generator and on no version: sort the images by
    digit, within a digit in scikit-learn's order; every fifth from the first on is a test image. So each digit has 35
    to 37 test images. Both splits keep scikit-learn's order. Pixels 0..16 become 0..255, rounded.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError("digits needs scikit-learn, which is not installed: pip install scikit-learn") from None
    shipped = load_digits()
    images = np.rint(shipped.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = shipped.target.astype(np.int64)
    tested = np.zeros(len(labels), dtype=bool)
    tested[np.argsort(labels, kind="stable")[::TEST_EVERY]] = True
    return RawDataset(
        train_images=images[~tested],
        train_labels=labels[~tested],
        test_images=images[tested],
        test_labels=labels[tested],
        classes=DATASETS["digits"].classes,
    )
