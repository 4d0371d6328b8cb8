"""What images are resized to before their centre is cropped: the protocol of training and of testing.

It follows from the recipe and from the kind of data set, never from the number of images. Called on both sides of the
wall: reports show it, workers carry it out. Touches no disk.
"""

from functools import lru_cache
from typing import NamedTuple

from bench.catalog.models import SMALL_INPUT
from bench.catalog.training import AUGMENTATIONS
from bench.datasets.source import open_source
from bench.errors import DataError
from bench.recipe import Recipe
from bench.values import Cell


class Sizes(NamedTuple):
    """What the shorter side of an image is resized to before its centre is cropped, in pixels."""

    train: int
    """Without ``random_resized_crop``."""
    test: int
    exact: bool
    """Whether streamed images are decoded and resized as packed ones are, so that a number does not depend on how many
    images a folder holds. Otherwise JPEGs are decoded at a lower scale, which is faster."""


def image_sizes(dataset: str, recipe: Recipe) -> Sizes:
    """The sizes of a recipe on a data set. They do not depend on how many images it has. Touches no disk."""
    has_files, always_streamed = file_access(dataset)
    crops = has_files and bool(file_augmentations(recipe))
    usual = recipe.input_size * 256 // 224
    size = usual if always_streamed or (crops and recipe.input_size > SMALL_INPUT) else recipe.input_size
    return Sizes(size, recipe.test_resize or size, exact=not always_streamed and not crops)


def describe_test(cell: Cell) -> str:
    """How test images of files are resized and cropped, in words; empty where images are stored at the input size."""
    if not file_access(cell.dataset)[0] and cell.recipe.test_resize is None:
        return ""
    return f"tested on the centre {cell.recipe.input_size} px of images resized to {test_resize(cell)} px"


def test_resize(cell: Cell) -> int:
    """What the shorter side of test images is resized to, in pixels."""
    return image_sizes(cell.dataset, cell.recipe).test


test_resize.__test__ = False  # type: ignore[attr-defined] # or pytest takes it for a test


@lru_cache(maxsize=256)  # asked several times for each of ten thousand cells
def file_access(dataset: str) -> tuple[bool, bool]:
    """Whether a data set has files, and whether they are always streamed."""
    try:
        source = open_source(dataset)
    except DataError:
        return False, False
    return source.has_files, source.always_streamed


def file_augmentations(recipe: Recipe) -> list[int]:
    """Positions in ``augment`` of augmentations that decide which part of a file is decoded."""
    names = [component.name for component in recipe.augment]
    return [position for position, name in enumerate(names) if AUGMENTATIONS[name].of_files]
