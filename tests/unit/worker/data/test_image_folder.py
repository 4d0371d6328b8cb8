"""Folders of images as arrays of one size."""

from pathlib import Path

import numpy as np
import pytest
from helpers.archives import random_pixels
from helpers.image_trees import image_tree, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.datasets.image_folder import open_image_folder
from bench.errors import DataError
from bench.worker.data import image_folder


def test_a_folder_is_read_in_sorted_order_and_cropped_to_its_centre(tmp_path: Path) -> None:
    raw = image_folder.folder(open_image_folder(image_tree(tmp_path)), 8)
    assert raw.classes == ("ant", "bee")
    assert raw.train_images.shape == (4, 3, 8, 8)
    assert raw.train_images[:, :, 0, 0].tolist() == [[0, 0, 9], [0, 1, 9], [1, 0, 9], [1, 1, 9]]
    assert raw.test_labels.tolist() == [0, 0, 1, 1]


def test_decode_image_keeps_the_pixels_of_an_image_of_the_right_size(tmp_path: Path) -> None:
    pixels = random_pixels(8, 8, 3)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    assert np.array_equal(image_folder.decode_image(tmp_path / "image.png", 8), pixels.transpose(2, 0, 1))


@given(width=st.integers(1, 40), height=st.integers(1, 40), size=st.integers(1, 24))
@settings(max_examples=40, deadline=None)
def test_decode_image_brings_an_image_of_any_size_to_the_input_size(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("image") / "image.png"
    picture(path, (width, height), (7, 8, 9))
    decoded = image_folder.decode_image(path, size)
    assert decoded.shape == (3, size, size)
    assert (decoded == np.array([7, 8, 9])[:, None, None]).all()


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    (image_tree(tmp_path) / "train" / "bee" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train/bee/1\.png cannot be read as an image"):
        image_folder.folder(open_image_folder(tmp_path), 8)


def test_all_unreadable_images_of_both_splits_are_named_at_once(tmp_path: Path) -> None:
    broken = ["train/ant/0.png", "train/bee/1.png", "val/bee/0.png"]
    image_tree(tmp_path)
    for name in broken:
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"3 images of .* cannot be read:") as caught:
        image_folder.folder(open_image_folder(tmp_path), 8)
    assert all(name in str(caught.value) for name in broken)
