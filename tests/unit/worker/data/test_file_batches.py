"""Batches of image files: order and crops are functions of seed, epoch and step."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.photos import photo, read_crop, save
from PIL import Image

from bench.worker.data.crops import centre_crop
from bench.worker.data.file_batches import TestFiles, TrainFiles


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, int]]:
    folder = tmp_path_factory.mktemp("photos")
    sizes = [(40 + 7 * number, 90 - 3 * number) for number in range(22)]
    return [
        (save(photo(height, width, number), folder / f"{number}.jpg"), number)
        for number, (height, width) in enumerate(sizes)
    ]


def train_files(files: list[tuple[Path, int]], workers: int = 2, seed: int = 0) -> TrainFiles:
    return TrainFiles(files, size=24, batch_size=4, seed=seed, workers=workers)


def collected(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> list[bytes]:
    return [images.numpy().tobytes() + labels.numpy().tobytes() for images, labels in batches]


def test_train_files_give_uint8_batches_and_drop_the_last_smaller_one(
    files: list[tuple[Path, int]],
) -> None:
    batches = train_files(files)
    found = list(batches.epoch(0))
    assert len(found) == len(batches) == 5
    for images, labels in found:
        assert (images.shape, images.dtype) == ((4, 3, 24, 24), torch.uint8)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert (labels.shape, labels.dtype) == ((4,), torch.int64)
    seen = torch.cat([labels for _, labels in found]).tolist()
    assert len(set(seen)) == 20


def test_train_files_keep_the_last_smaller_one_where_they_are_asked_to(files: list[tuple[Path, int]]) -> None:
    batches = TrainFiles(files, size=24, batch_size=4, seed=0, workers=2, drop_last=False)
    found = collected(batches.epoch(0))
    assert len(found) == len(batches) == 6
    assert found[:5] == collected(train_files(files).epoch(0))
    seen = torch.cat([labels for _, labels in batches.epoch(0)]).tolist()
    assert sorted(seen) == sorted(label for _, label in files)
    assert collected(batches.epoch(0, start_step=5)) == found[5:]


def test_batches_are_the_same_whatever_the_number_of_workers(files: list[tuple[Path, int]]) -> None:
    one, two, three = (collected(train_files(files, workers=workers).epoch(1)) for workers in (1, 2, 3))
    assert one == two == three


def test_an_epoch_from_a_step_on_equals_the_undisturbed_one(files: list[tuple[Path, int]]) -> None:
    batches = train_files(files)
    whole = collected(batches.epoch(3))
    assert collected(batches.epoch(3, start_step=2)) == whole[2:]
    assert collected(batches.epoch(3, start_step=len(batches))) == []


def test_an_epoch_depends_on_seed_and_epoch_only(files: list[tuple[Path, int]]) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = collected(train_files(files).epoch(0))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert collected(train_files(files).epoch(0)) == first
    assert collected(train_files(files).epoch(1)) != first
    assert collected(train_files(files, seed=1).epoch(0)) != first


def test_an_image_has_its_own_label_and_its_own_crop(tmp_path: Path) -> None:
    colours = [(10 * number, 0, 255 - 10 * number) for number in range(20)]
    files = [
        (save(Image.new("RGB", (30, 30), colour), tmp_path / f"{number}.png"), number)
        for number, colour in enumerate(colours)
    ]
    for images, labels in train_files(files).epoch(0):
        assert images[:, :, 5, 5].tolist() == [list(colours[label]) for label in labels.tolist()]


def test_test_files_hold_every_image_in_order(files: list[tuple[Path, int]]) -> None:
    batches = TestFiles(files, size=24, batch_size=9, workers=2)
    found = list(batches)
    assert [len(labels) for _, labels in found] == [9, 9, 4]
    assert len(batches) == 3
    assert torch.cat([labels for _, labels in found]).tolist() == list(range(22))
    expected = read_crop(files[11][0], partial(centre_crop, size=24), 24)
    assert np.array_equal(found[1][0][2].permute(1, 2, 0).numpy(), expected)
    assert collected(iter(batches)) == collected(iter(TestFiles(files, size=24, batch_size=9, workers=1)))
