"""Caveats about a row's accuracies, as sentences: what its runs say of themselves that a number does not.

Called by :mod:`bench.report.table`, and by :mod:`bench.api.run` before anything trains. Pure functions of a cell and of
what is known of it.
"""

import math

from bench.text import millions
from bench.values import Cell, Cost, Outcome
from bench.workspace.fingerprint import changes

MAX_DROPPED = 0.05
"""Share of the training images that may be left out of an epoch before a note says so."""
FITTED = 0.9
"""A training loss below this share of that of guessing has fallen."""
SPREAD = 2.0
"""Standard deviations above chance up to which an accuracy is at chance."""


def run_notes(cell: Cell, outcome: Outcome) -> list[str]:
    """What has to be said about the result of a cell."""
    notes = [batch_note(cell, outcome.train_images), _chance(outcome), _accepted(outcome)]
    return [note for note in notes if note]


def batch_note(cell: Cell, train_images: int | None) -> str:
    """How a cell's batches divide its training set, where people would not expect it; else empty."""
    size = cell.recipe.batch_size
    if not train_images:
        return ""
    if size > train_images:
        return f"trains in batches of {train_images} and not of {size}, because there are no more training images"
    dropped = train_images % size if cell.recipe.drop_last else 0
    if dropped <= MAX_DROPPED * train_images:
        return ""
    return (
        f"each epoch leaves out {dropped} of the {train_images} training images, which fill no batch of {size}; "
        "drop_last: false trains on them"
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


def cost_note(cost: Cost) -> str:
    """Whether the counters of a net agree, and what they leave out; else empty."""
    notes = []
    if cost.unmeasured:
        notes.append(cost.unmeasured)
    if not cost.agrees:
        notes.append(
            "the counters disagree on convolutions and matrix products: "
            f"fvcore {millions(cost.conv_linear_macs, 1)} M, torch {millions(cost.torch_macs, 1)} M"
        )
    if cost.uncounted:
        notes.append(f"not counted: {', '.join(cost.uncounted)}")
    return "; ".join(notes)


def _accepted(outcome: Outcome) -> str:
    """What has changed since the result was made, where somebody chose to keep it."""
    changed = changes(outcome.fingerprint, outcome.accepted)
    return f"kept by --accept-stale although {changed} since it was made" if changed else ""
