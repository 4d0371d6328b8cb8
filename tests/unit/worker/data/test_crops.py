"""Crops: boxes inside the image, distributed as torchvision's."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.photos import difference, photo, read_crop, save
from hypothesis import given
from hypothesis import strategies as st
from torchvision import transforms

from bench.worker.data.crops import UNIFORMS, centre_crop, random_resized_crop

numbers = st.lists(st.floats(0, 1, exclude_max=True), min_size=UNIFORMS, max_size=UNIFORMS)


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), drawn=numbers)
def test_random_resized_crop_lies_inside_an_image_of_any_size(height: int, width: int, drawn: list[float]) -> None:
    crop = random_resized_crop(height, width, size=224, numbers=drawn)
    assert 0 <= crop.top <= crop.top + crop.height <= height
    assert 0 <= crop.left <= crop.left + crop.width <= width
    assert crop.height >= 1
    assert crop.width >= 1


@given(drawn=numbers)
def test_random_resized_crop_has_an_area_and_a_ratio_in_range(drawn: list[float]) -> None:
    crop = random_resized_crop(1000, 1200, size=224, numbers=drawn)
    assert 0.079 < crop.height * crop.width / 1_200_000 <= 1
    assert 0.745 < crop.width / crop.height < 1.345


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), size=st.integers(1, 300), drawn=numbers)
def test_random_resized_crop_starts_and_ends_at_whole_pixels_of_its_scale(
    height: int, width: int, size: int, drawn: list[float]
) -> None:
    crop = random_resized_crop(height, width, size=size, numbers=drawn)
    assert [edge % crop.scale for edge in (crop.top, crop.left, crop.height, crop.width)] == [0, 0, 0, 0]
    assert crop.scale == 8 or min(crop.height, crop.width) < 2 * crop.scale * size
    assert crop.scale == 1 or min(crop.height, crop.width) >= crop.scale * size


def test_random_resized_crop_of_a_long_thin_image_is_its_centre() -> None:
    crop = random_resized_crop(10, 1000, size=224, numbers=[0.5] * UNIFORMS)
    assert (crop.top, crop.left, crop.height, crop.width) == (0, 494, 10, 13)


def test_random_resized_crop_is_distributed_as_torchvisions() -> None:
    image = torch.empty(3, 400, 500)
    torch.manual_seed(0)
    theirs = torch.tensor(
        [transforms.RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)]
    ).double()
    drawn = torch.rand(4000, UNIFORMS, dtype=torch.float64).tolist()
    crops = [random_resized_crop(400, 500, size=224, numbers=row) for row in drawn]
    ours = torch.tensor([(crop.top, crop.left, crop.height, crop.width) for crop in crops]).double()
    assert torch.allclose(ours.mean(0), theirs.mean(0), rtol=0.06)
    assert torch.allclose(ours.std(0), theirs.std(0), rtol=0.06)
    assert 0.46 < sum(crop.mirrored for crop in crops) / 4000 < 0.54


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (333, 500), (256, 256), (50, 31)])
def test_centre_crop_is_what_torchvision_resizes_and_crops(height: int, width: int, tmp_path: Path) -> None:
    image = photo(height, width)
    usual = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    pixels = read_crop(save(image, tmp_path / "a.png"), partial(centre_crop, size=224), 224)
    assert difference(pixels, np.asarray(usual(image))) < 0.5
