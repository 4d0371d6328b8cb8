"""What the predictions of runs say: accuracy and confusions per class, and how well a net knows how sure it is.

Pure functions on arrays; nothing here trains, reads a file or renders. Files become :class:`Predictions` in
:mod:`bench.api.run_predictions`.

Shapes: N images of the test set, K classes, k classes kept per image (the likeliest first, at most five).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.report.model import Statistic

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BINS = 15
"""Bins of equal width that :func:`calibration_error` sorts images into by confidence."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What the net of one run said about each image of the test set."""

    labels: Ints
    """(N,), the true class of each image, in the order of the test set."""
    classes: Ints
    """(N, k), the classes that the net finds likeliest."""
    scores: Floats
    """(N, k), their probabilities."""
    names: tuple[str, ...]
    """Names of all K classes."""


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy:
    """How a net does on the images of one class."""

    name: str
    images: int
    """Test images of the class."""
    accuracy: Statistic | None
    """Percent of them, over seeds; None for a class without images."""
    mistaken_for: str
    """The class that its images are most often taken for; empty if they never are."""
    mistakes: float
    """Images that are, mean over seeds."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Images of one class that are taken for another."""

    true: str
    predicted: str
    images: float
    """Mean over seeds."""
    share: float
    """Percent of the images of the true class."""


def top1(predictions: Predictions) -> float:
    """Percent of the images whose likeliest class is the true one."""
    return 100.0 * int((predictions.classes[:, 0] == predictions.labels).sum()) / len(predictions.labels)


def confusion(labels: Ints, classes: Ints, num_classes: int) -> Ints:
    """The confusion matrix (K, K): images of each true class (rows) by predicted class (columns).

    ``labels`` are (N,), ``classes`` (N, k) or (N,), of which the first column counts. K² numbers: where there are many
    classes, :func:`confused_pairs` needs less.
    """
    counts = np.bincount(labels * num_classes + _first(classes), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def confused_pairs(labels: Ints, classes: Ints, num_classes: int) -> dict[tuple[int, int], int]:
    """The images of each (true, predicted) pair of classes that occurs, right answers included."""
    pairs, counts = np.unique(labels * num_classes + _first(classes), return_counts=True)
    return {divmod(pair, num_classes): count for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)}


def per_class(labels: Ints, classes: Ints, num_classes: int) -> tuple[Floats, Ints]:
    """Accuracy in percent of each class (K,), NaN for a class without images, and its number of images (K,)."""
    images = np.bincount(labels, minlength=num_classes)
    right = np.bincount(labels[labels == _first(classes)], minlength=num_classes)
    with np.errstate(invalid="ignore"):
        return 100.0 * right / images, images


def calibration_error(labels: Ints, classes: Ints, scores: Floats, *, bins: int = BINS) -> float:
    """Expected calibration error of the likeliest classes, in percent: 0 if 80% of what is said with 80% is right.

    Images are sorted into bins of equal width by the probability of their likeliest class; the error is the distance
    of mean probability and accuracy, averaged over the images (Guo et al. 2017, "On Calibration of Modern Neural
    Networks", section 2). NaN where a probability is.

    Args:
        labels: (N,).
        classes: (N, k).
        scores: (N, k) probabilities.
        bins: How many; their upper bounds belong to them.
    """
    confidence, right = scores[:, 0], classes[:, 0] == labels
    if not np.isfinite(confidence).all():
        return math.nan
    numbers = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.int64)
    # the sum over a bin of (right - confidence) is its images times the distance of the two means
    gaps = np.bincount(numbers, weights=right - confidence, minlength=bins)
    return float(100.0 * np.abs(gaps).sum() / len(labels))


def class_accuracies(runs: Sequence[Predictions]) -> tuple[ClassAccuracy, ...]:
    """Every class of a test set, in its order, over the runs of several seeds on it."""
    names = runs[0].names
    accuracies, images = zip(*(per_class(run.labels, run.classes, len(names)) for run in runs), strict=True)
    worst: dict[str, Confusion] = {}
    for each in confusions(runs):  # the largest first
        worst.setdefault(each.true, each)
    return tuple(
        ClassAccuracy(
            name=name,
            images=int(images[0][label]),
            accuracy=statistic(float(accuracy[label]) for accuracy in accuracies),
            mistaken_for=worst[name].predicted if name in worst else "",
            mistakes=worst[name].images if name in worst else 0.0,
        )
        for label, name in enumerate(names)
    )


def confusions(runs: Sequence[Predictions]) -> tuple[Confusion, ...]:
    """The pairs of classes that are confused at all, the largest number of images first."""
    names, totals = runs[0].names, dict[tuple[int, int], int]()
    for run in runs:
        for pair, count in confused_pairs(run.labels, run.classes, len(names)).items():
            totals[pair] = totals.get(pair, 0) + count
    images = np.bincount(runs[0].labels, minlength=len(names))
    wrong = sorted((-count, pair) for pair, count in totals.items() if pair[0] != pair[1])
    return tuple(
        Confusion(
            true=names[true],
            predicted=names[predicted],
            images=-count / len(runs),
            share=float(100.0 * -count / len(runs) / images[true]),
        )
        for count, (true, predicted) in wrong
    )


def mean_confusion(runs: Sequence[Predictions]) -> Floats:
    """The mean of the runs' confusion matrices, (K, K); see :func:`confusion`."""
    matrices = [confusion(run.labels, run.classes, len(run.names)) for run in runs]
    return np.mean(matrices, axis=0)  # type: ignore[no-any-return]


def statistic(values: Iterable[float]) -> Statistic | None:
    """Mean and sample standard deviation of the values that are numbers; None if there are none."""
    numbers = [value for value in values if math.isfinite(value)]
    if not numbers:
        return None
    std = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return Statistic(mean=float(np.mean(numbers)), std=std, n=len(numbers))


def _first(classes: Ints) -> Ints:
    """The likeliest class of each image, (N,)."""
    return classes[:, 0] if classes.ndim == 2 else classes
