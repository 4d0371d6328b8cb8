"""What images are resized to before their centre is cropped: by recipe and kind of data set, never by their number."""

from dataclasses import replace

import pytest
from helpers.cells import MakeCell
from helpers.streaming import FLIP, RESIZED_CROP

from bench.datasets.prepared import data_key
from bench.datasets.resizing import describe_test, image_sizes
from bench.recipe import recipe_identity


@pytest.mark.parametrize(
    ("dataset", "crops", "input_size", "expected"),
    [
        ("digits", False, 8, (8, 8, True)),
        ("cifar10", False, 32, (32, 32, True)),
        ("imagenet", True, 224, (256, 256, False)),
        ("imagenet", False, 224, (256, 256, False)),
        ("imagenet", False, 32, (36, 36, False)),
        ("folder:not/there", False, 224, (224, 224, True)),
        ("folder:not/there", True, 224, (256, 256, False)),
        ("folder:not/there", False, 32, (32, 32, True)),
        ("folder:not/there", True, 32, (32, 32, False)),
    ],
)
def test_image_sizes_follow_from_the_recipe_and_the_kind_of_data_set(
    make_cell: MakeCell, dataset: str, crops: bool, input_size: int, expected: tuple[int, int, bool]
) -> None:
    cell = make_cell(dataset=dataset, input_size=input_size, augment=(RESIZED_CROP, FLIP) if crops else (FLIP,))
    assert image_sizes(dataset, cell.recipe) == expected
    stated = replace(cell.recipe, test_resize=300)
    assert image_sizes(dataset, stated) == (expected[0], 300, expected[2])


def test_test_resize_makes_other_cells_only_where_it_is_stated(make_cell: MakeCell) -> None:
    assert "test_resize" not in recipe_identity(make_cell().recipe)
    assert make_cell(test_resize=9).id != make_cell().id


def test_the_protocol_is_described_where_images_have_files_or_it_is_stated(make_cell: MakeCell) -> None:
    assert describe_test(make_cell()) == ""
    assert describe_test(make_cell(test_resize=9)) == "tested on the centre 8 px of images resized to 9 px"
    imagenet = make_cell(dataset="imagenet", input_size=224)
    assert describe_test(imagenet) == "tested on the centre 224 px of images resized to 256 px"


def test_data_is_packed_apart_only_for_another_size_of_test_images(make_cell: MakeCell) -> None:
    assert data_key(make_cell()) == data_key(make_cell(test_resize=8))
    assert data_key(make_cell(test_resize=9)).test_resize == 9
    streamed = [data_key(make_cell(dataset="imagenet", input_size=224, test_resize=size)) for size in (None, 224, 300)]
    assert len(set(streamed)) == 1
