"""Caveats about a row's accuracies, as sentences: what its runs say of themselves that a number does not.

Called by :mod:`bench.report.table`. Pure functions of a cell and its outcome.
"""

import math

from bench.values import Cell, Outcome

MAX_DROPPED = 0.05
"""Share of the training images that may be left out of an epoch before a note says so."""
FITTED = 0.9
"""A training loss below this share of that of guessing has fallen."""
SPREAD = 2.0
"""Standard deviations above chance up to which an accuracy is at chance."""


def run_notes(cell: Cell, outcome: Outcome) -> list[str]:
    """What has to be said about the result of a cell."""
    return [note for note in (_batch(cell, outcome), _dropped(cell, outcome), _chance(outcome)) if note]


def _batch(cell: Cell, outcome: Outcome) -> str:
    images, size = outcome.train_images, cell.recipe.batch_size
    if images is None or size <= images:
        return ""
    return f"trained in batches of {images}, because there are no more training images, not of {size}"


def _dropped(cell: Cell, outcome: Outcome) -> str:
    images = outcome.train_images
    if not images or not cell.recipe.drop_last:
        return ""
    dropped = images % min(cell.recipe.batch_size, images)
    if dropped <= MAX_DROPPED * images:
        return ""
    return (
        f"each epoch leaves out {dropped} of the {images} training images, which fill no batch of "
        f"{cell.recipe.batch_size}; drop_last: false trains on them"
    )


def _chance(outcome: Outcome) -> str:
    """Whether the net is as good as guessing although it fits its training images, and what that means."""
    loss, top1, classes, images = outcome.train_loss, outcome.top1, outcome.classes, outcome.test_images
    if outcome.state != "complete" or loss is None or top1 is None or not classes or not images:
        return ""
    if outcome.test_loss is not None and not math.isfinite(outcome.test_loss):
        return f"its test loss is {outcome.test_loss}: the net's scores of some test images are not finite"
    chance = 1 / classes
    spread = math.sqrt(chance * (1 - chance) / images)
    if classes < 2 or top1 > 100 * (chance + SPREAD * spread) or loss > FITTED * math.log(classes):
        return ""
    return (
        f"top-1 is at chance although the training loss fell to {loss:.3g}: in eval mode the net computes something "
        "else than in training (batch norm, dropout), or what it learned does not carry over to the test images"
    )
