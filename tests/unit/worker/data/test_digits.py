"""The built-in digits."""

from pathlib import Path

import numpy as np

from bench.worker.data.digits import digits


def test_digits_are_split_1437_to_360_without_overlap(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    raw = digits(tmp_path)
    assert (raw.train_images.shape, raw.test_images.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    counts = np.bincount(raw.test_labels)
    assert (counts.min(), counts.max()) == (35, 37)
    together = sorted(image.tobytes() for part in (raw.train_images, raw.test_images) for image in part)
    shipped = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    assert together == sorted(image.tobytes() for image in shipped)
    assert raw.train_images.max() == 255
