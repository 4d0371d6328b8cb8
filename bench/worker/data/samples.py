"""Look at image files before anything trains on them: check test images, measure mean and deviation.

Called by :mod:`bench.worker.data.index` while it writes an index.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from bench.errors import DataError
from bench.worker.data.decode import broken_images
from bench.worker.data.decode_pool import LabelledFile
from bench.worker.data.file_batches import TestFiles, TrainFiles, sample_centre
from bench.worker.data.pack import channel_statistics
from bench.worker.seeds import stream_seed

SAMPLE, SAMPLE_SIZE = 4096, 64
"""Training images, and their side in pixels, that mean and deviation are measured on."""
BATCH = 64


def check_test_images(files: Sequence[LabelledFile], workers: int) -> None:
    """Decode every test image once.

    Raises:
        DataError: Some cannot be decoded; the text names all of them.
    """
    problems: list[str] = []
    for _ in TestFiles(files, size=SAMPLE_SIZE, batch_size=BATCH, workers=workers, problems=problems):
        pass
    if problems:
        error = broken_images(sorted(problems), "the test set")
        raise DataError(f"a test image is broken, and every test image counts in each number of a table: {error}")


def sampled_statistics(files: Sequence[LabelledFile], workers: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, of pixels scaled to 0..1, over a sample.

    The sample is the centre crops of up to ``SAMPLE`` images in a fixed random order, which depends on the number of
    files alone.
    """
    batches = TrainFiles(
        files,
        size=SAMPLE_SIZE,
        batch_size=BATCH,
        seed=stream_seed("statistics"),
        workers=workers,
        sampler=sample_centre,
    )
    sampled: list[npt.NDArray[np.uint8]] = []
    for images, _ in islice(batches.epoch(0), max(1, SAMPLE // batches.batch_size)):
        sampled.append(images.contiguous().numpy())
    return channel_statistics(np.concatenate(sampled))
