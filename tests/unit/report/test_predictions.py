"""What predictions say about classes, confusions and calibration."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.model import Statistic
from bench.report.predictions import (
    Predictions,
    calibration_error,
    class_accuracies,
    confused_pairs,
    confusion,
    confusions,
    mean_confusion,
    per_class,
    top1,
)

NAMES = ("cat", "dog", "ship")


def predictions(labels: list[int], classes: list[int], scores: list[float] | None = None) -> Predictions:
    """Predictions of one class per image."""
    values = np.array(scores or [1.0] * len(labels))
    return Predictions(labels=np.array(labels), classes=np.array(classes)[:, None], scores=values[:, None], names=NAMES)


@st.composite
def any_predictions(draw: st.DrawFn) -> Predictions:
    images = draw(st.integers(1, 40))
    numbers = st.lists(st.integers(0, 2), min_size=images, max_size=images)
    scores = st.lists(st.floats(0, 1), min_size=images, max_size=images)
    return predictions(draw(numbers), draw(numbers), draw(scores))


ONE = predictions([0, 0, 0, 1], [0, 1, 1, 1])
OTHER = predictions([0, 0, 0, 1], [0, 0, 2, 1])


@settings(max_examples=30)
@given(any_predictions())
def test_a_confusion_matrix_counts_every_image_once_in_the_row_of_its_class(run: Predictions) -> None:
    matrix = confusion(run.labels, run.classes, 3)
    assert matrix.sum(axis=1).tolist() == np.bincount(run.labels, minlength=3).tolist()
    assert 100 * np.trace(matrix) / matrix.sum() == pytest.approx(top1(run))
    pairs = confused_pairs(run.labels, run.classes, 3)
    assert {pair: matrix[pair] for pair in zip(*matrix.nonzero(), strict=True)} == pairs


@settings(max_examples=30)
@given(any_predictions())
def test_accuracies_of_classes_weighted_by_their_images_are_the_accuracy(run: Predictions) -> None:
    accuracy, images = per_class(run.labels, run.classes, 3)
    assert np.isnan(accuracy).tolist() == (images == 0).tolist()
    assert np.nansum(accuracy * images) / images.sum() == pytest.approx(top1(run))


@settings(max_examples=30)
@given(any_predictions())
def test_a_calibration_error_lies_between_the_distance_of_the_means_and_100(run: Predictions) -> None:
    error = calibration_error(run.labels, run.classes, run.scores)
    distance = abs(top1(run) - 100 * run.scores[:, 0].mean())
    assert distance - 1e-9 <= error <= 100 + 1e-9
    assert calibration_error(run.labels, run.classes, run.scores, bins=1) == pytest.approx(distance)


def test_calibration_error_is_the_mean_distance_over_bins() -> None:
    # bins of 1/15: two images at 0.5 of which one is right, two at 0.9 of which none is
    run = predictions([0, 0, 0, 0], [0, 1, 1, 1], [0.5, 0.5, 0.9, 0.9])
    assert calibration_error(run.labels, run.classes, run.scores) == pytest.approx(45.0)


def test_the_upper_bound_of_a_bin_belongs_to_it() -> None:
    run = predictions([0, 0], [0, 1], [1 / 15, 1e-3])  # one bin: (1/15 - 1 + 1e-3) / 2
    assert calibration_error(run.labels, run.classes, run.scores) == pytest.approx(100 * (1 - 1 / 15 - 1e-3) / 2)


def test_a_probability_that_is_no_number_gives_no_calibration_error() -> None:
    run = predictions([0], [0], [math.nan])
    assert math.isnan(calibration_error(run.labels, run.classes, run.scores))


def test_classes_of_several_seeds_have_mean_spread_and_count() -> None:
    cat, dog, ship = class_accuracies([ONE, OTHER])
    assert cat.accuracy
    assert [cat.accuracy.mean, cat.accuracy.std] == pytest.approx([50.0, 23.570226])
    assert cat.accuracy.n == 2
    assert (cat.images, cat.mistaken_for, cat.mistakes) == (3, "dog", 1.0)
    assert dog.accuracy == Statistic(mean=100.0, std=0.0, n=2)
    assert (ship.images, ship.accuracy, ship.mistaken_for) == (0, None, "")


def test_the_largest_confusion_comes_first_and_right_answers_are_none() -> None:
    assert [(each.true, each.predicted, each.images) for each in confusions([ONE, OTHER])] == [
        ("cat", "dog", 1.0),
        ("cat", "ship", 0.5),
    ]
    assert confusions([ONE])[0].share == pytest.approx(200 / 3)
    assert mean_confusion([ONE, OTHER]).tolist() == [[1.5, 1, 0.5], [0, 1, 0], [0, 0, 0]]
