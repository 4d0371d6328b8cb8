"""What a recipe may ask of a data set, by how its images are kept."""

from dataclasses import replace

from conftest import MakeCell
from helpers.streaming import FLIP, RESIZED_CROP, augmentation

from bench.datasets.prepared import augmentation_problem
from bench.values import Cell, Component


def problem(cell: Cell, *augment: Component, dataset: str = "imagenet") -> str:
    return augmentation_problem(replace(cell, dataset=dataset, recipe=replace(cell.recipe, augment=augment))) or ""


def test_augmentation_problem_names_what_cannot_be_done(make_cell: MakeCell) -> None:
    cell = make_cell()
    assert problem(cell, RESIZED_CROP, FLIP) == problem(cell, FLIP) == problem(cell, dataset="digits") == ""
    assert "kept decoded at the input size" in problem(cell, RESIZED_CROP, dataset="digits")
    assert "once and first" in problem(cell, FLIP, RESIZED_CROP)
    assert "once and first" in problem(cell, RESIZED_CROP, RESIZED_CROP)
    assert "two rising numbers for area" in problem(cell, augmentation("random_resized_crop", area=[1.0, 0.1]))
