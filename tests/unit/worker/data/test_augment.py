"""Augmentations of whole batches."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.worker.data.augment import Augmentation, HorizontalFlip, RandomCrop, RandomErasing


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def changed(change: Augmentation, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return change(images, change.draw(len(images), generator(seed)))


@given(padding=st.integers(1, 5), height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_random_crop_is_a_window_of_the_padded_image(padding: int, height: int, width: int, seed: int) -> None:
    images = torch.randint(1, 256, (3, 2, height, width), dtype=torch.uint8, generator=generator(seed))
    cropped = changed(RandomCrop(padding=padding), images, seed)
    assert cropped.shape == images.shape
    assert cropped.dtype == images.dtype
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    places = [(top, left) for top in range(2 * padding + 1) for left in range(2 * padding + 1)]
    for crop, image in zip(cropped, padded, strict=True):
        assert any(torch.equal(crop, image[:, top : top + height, left : left + width]) for top, left in places)


def test_random_crop_uses_its_own_position_per_image_and_all_positions() -> None:
    image = torch.arange(1, 10).float().view(1, 1, 3, 3).expand(500, 1, 3, 3)
    crops = changed(RandomCrop(padding=1), image)
    assert len({tuple(crop.flatten().tolist()) for crop in crops}) == 9


def test_horizontal_flip_mirrors_about_the_requested_share() -> None:
    images = torch.rand(1000, 3, 4, 5, generator=generator())
    flipped = changed(HorizontalFlip(p=0.3), images)
    mirrored = [torch.equal(after, before.flip(2)) for before, after in zip(images, flipped, strict=True)]
    unchanged = [torch.equal(after, before) for before, after in zip(images, flipped, strict=True)]
    assert sum(mirrored) + sum(unchanged) == 1000
    assert 250 < sum(mirrored) < 350


def test_horizontal_flip_of_probability_one_or_zero_is_certain() -> None:
    images = torch.rand(20, 1, 4, 4, generator=generator())
    assert torch.equal(changed(HorizontalFlip(p=1.0), images), images.flip(3))
    assert torch.equal(changed(HorizontalFlip(p=0.0), images), images)


@given(low=st.floats(0.02, 0.5), extra=st.floats(0, 0.5), side=st.integers(16, 40), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_random_erasing_fills_a_rectangle_with_an_area_in_range(low: float, extra: float, side: int, seed: int) -> None:
    images = torch.ones(16, 3, side, side)
    erased = changed(RandomErasing(p=1.0, area=(low, low + extra), fill=(5.0, 6.0, 7.0)), images, seed)
    for image in erased:
        box = image[0] == 5
        assert torch.equal(image[2] == 7, box)
        height, width = int(box.any(1).sum()), int(box.any(0).sum())
        assert int(box.sum()) == height * width
        smallest, largest = (height - 0.51) * (width - 0.51), (height + 0.51) * (width + 0.51)
        assert largest >= low * side**2
        assert smallest <= (low + extra) * side**2


def test_random_erasing_leaves_about_the_other_share_unchanged() -> None:
    images = torch.full((1000, 1, 8, 8), 200, dtype=torch.uint8)
    erased = changed(RandomErasing(p=0.25, area=(0.02, 0.33), fill=(10.0,)), images)
    assert erased.dtype == torch.uint8
    assert 200 < int((erased == 10).flatten(1).any(1).sum()) < 300
