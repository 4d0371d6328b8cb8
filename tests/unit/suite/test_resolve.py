"""Cells of whole data sets and of a few images per class."""

from dataclasses import replace

from conftest import MakeCell

from bench.report.table import build_tables
from bench.suite import parse_suite
from bench.values import Cell, from_json, to_json


def test_max_images_per_class_makes_other_cells_and_other_tables(make_cell: MakeCell) -> None:
    source = "suite: s\ngrid: {model: resnet18, dataset: [imagenet, digits], schedule: cosine}\n"
    whole = parse_suite(source, "s.yaml")
    limited = parse_suite(source, "s.yaml", overrides=["recipe.max_images_per_class=10"])
    assert not {cell.id for cell in whole.cells} & {cell.id for cell in limited.cells}
    assert from_json(Cell, to_json(limited.cells[0])) == limited.cells[0]
    both = replace(whole, cells=whole.cells + limited.cells)
    assert [table.title for table in build_tables(both, {})] == [
        "ImageNet",
        "Digits",
        "ImageNet, at most 10 images a class",
        "Digits, at most 10 images a class",
    ]


def test_the_id_of_a_cell_on_a_whole_data_set_never_changes() -> None:
    source = "suite: s\ngrid: {model: resnet18, dataset: digits, schedule: cosine}\n"
    assert parse_suite(source, "s.yaml").cells[0].id == "526bdce3f180"
