"""The value that every loader returns: a whole small data set, decoded, at its native size.

Shapes: N images, C channels (1 or 3), H and W pixels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
"""The arrays of a data set, in the order in which they are hashed and stored."""


@dataclass(frozen=True, kw_only=True)
class RawDataset:
    """All images of a data set as they were decoded."""

    train_images: Images
    """(N, C, H, W) uint8."""
    train_labels: Labels
    """(N,) int64, indices into ``classes``."""
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]
