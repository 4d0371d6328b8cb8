"""What a finished cell leaves behind: weights, predictions, speed and memory, and the result file, which is last.

Called by :mod:`bench.worker.train` at the end of a cell. Trains and tests nothing, except for scores that an earlier
attempt took with it.

Shapes: N images of the test set, K classes.
"""

import hashlib
import io
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.worker import checkpoint
from bench.worker.data.dataset import EpochBatches
from bench.worker.evaluate import make_evaluator, top_classes
from bench.worker.settling import settled
from bench.worker.state import EpochTiming, Training
from bench.worker.weights import make_card, serialise_weights
from bench.workspace.events import ArtifactWritten, Ended, Summarised
from bench.workspace.failpoint import failpoint
from bench.workspace.files import write_atomically
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder


def finish(training: Training, batches: EpochBatches) -> None:
    """Write what the cell leaves behind, the result last.

    Each step may be the last one of a process that is killed, so the order matters. A cell is complete when its result
    file is there: whatever the file promises is on disk before it, and the checkpoint goes after it.
    """
    folder, journal = training.folder, training.journal
    if training.scores is None:  # the attempt before died after its last epoch was tested and saved
        _, training.scores = make_evaluator(training, batches)()
    write_predictions(training.scores, training.data.test_labels, training.data.classes, folder)
    journal.write(ArtifactWritten(path=folder.predictions.name))
    journal.write(ArtifactWritten(path=folder.environment.name))
    with settled(training, batches):  # what was tested is what is kept
        weights = serialise_weights(training.net, make_card(training.cell, training.data))
    digest = hashlib.sha256(weights).hexdigest()  # recorded even where the weights are not kept
    if training.attempt.keep_weights == "last":
        write_atomically(folder.weights, weights)
        journal.write(ArtifactWritten(path=folder.weights.name, sha256=digest))
    else:
        folder.weights.unlink(missing_ok=True)  # an earlier attempt may have kept them
    journal_summary(training.timings, training.device, time.monotonic() - training.began, journal)
    failpoint("before-end")
    journal.write(Ended(state="complete", kind="", reason="", fingerprint=training.fingerprint))
    result = {"cell": training.cell.id, "fingerprint": training.fingerprint, "weights_sha256": digest}
    failpoint("before-result")
    write_atomically(folder.result, json.dumps(result, sort_keys=True))
    # last: a process that dies before this line leaves a complete cell and a checkpoint that nothing reads
    checkpoint.clear(folder)


def write_predictions(scores: Tensor, labels: npt.NDArray[np.int64], names: Sequence[str], folder: CellFolder) -> None:
    """Write the five likeliest classes of each test image, in the order of the test set, with the true ones.

    The file holds ``labels`` (N,) int64, ``classes`` (N, 5) uint16, ``probabilities`` (N, 5) float32 and the ``names``
    of the K classes; fewer columns where there are fewer classes. ``scores`` are (N, K). Classes are in the order of
    their scores, which gives the reported top-1 and top-5: probabilities of certain nets underflow to equal zeros.
    """
    classes = top_classes(scores)
    probabilities = scores.softmax(dim=1).gather(1, classes)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        labels=np.asarray(labels),
        classes=classes.cpu().numpy().astype(np.uint16),  # ImageNet's 21,841 classes fit; int64 is four times that
        probabilities=probabilities.cpu().numpy(),
        names=np.array(names, dtype=np.str_),
    )
    write_atomically(folder.predictions, content.getvalue())


def journal_summary(timings: list[EpochTiming], device: torch.device, total_s: float, journal: Journal) -> None:
    """Journal speed and memory."""
    metrics = {"memory/peak_mb": peak_mb(device), "time/total_s": round(total_s, 3)}
    # the first epoch warms up caches and kernels, so it counts only where it is the only one
    if measured := timings[1:] or timings:
        train_s = sum(timing.train_s for timing in measured)
        metrics["speed/images_per_s"] = round(sum(timing.images for timing in measured) / train_s, 1)
        # the median, because one epoch that shared the machine with something else would shift a mean
        metrics["speed/epoch_s"] = round(statistics.median(timing.total_s for timing in measured), 4)
    journal.write(Summarised(metrics=metrics))


def peak_mb(device: torch.device) -> float:
    """Peak memory in megabytes: of the GPU's allocator, or resident memory of the process on the CPU."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS and kibibytes on Linux
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
