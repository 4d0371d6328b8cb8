"""The built-in digits."""

from pathlib import Path

import numpy as np

from bench.datasets.prepared import pack_folder
from bench.worker.data.digits import digits
from bench.worker.data.pack import pack


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


def test_the_digits_are_the_ones_whose_table_is_published(project: Path) -> None:
    """Data sets of several formats are sorted; that changes neither digest nor pack of this one."""
    assert pack_folder("digits", 8, project).name == "digits-8-c193706f3da0"
    published = "b8bf4741d870de2c838c89e476075e288657bfba3da2e3ad866ad3f688e71b0a"
    assert pack("digits", 8, project).digest == published
