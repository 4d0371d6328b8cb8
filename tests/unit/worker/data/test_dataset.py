"""Loading a data set: packed, streamed, or limited to a few images per class."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.photos import photo, save
from helpers.streaming import CPU, digest_of, recipe_of
from helpers.tiny_imagenet import (
    WNIDS,
    train_images,
    val_images,
    write_folders,
)

from bench.datasets import prepared
from bench.values import DataKey
from bench.worker.data.batches import PackedInputs
from bench.worker.data.dataset import load, test_batches, train_batches
from bench.worker.data.index import IndexedDataset
from bench.worker.data.pack import PackedDataset, resize
from bench.worker.data.stream import StreamedInputs


def test_load_streams_a_folder_whose_pack_would_be_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folders(tmp_path / "tree" / "train", train_images())
    write_folders(tmp_path / "tree" / "val", val_images())
    name = f"folder:{tmp_path / 'tree'}"
    assert isinstance(load(DataKey(name, 16, None), tmp_path, workers=2), PackedDataset)
    monkeypatch.setattr(prepared, "STREAM_ABOVE", 36 * 3 * 16 * 16)
    assert isinstance(load(DataKey(name, 16, None), tmp_path, workers=2), PackedDataset)
    data = load(DataKey(name, 17, None), tmp_path, workers=2)
    assert isinstance(data, IndexedDataset)
    assert data.classes == WNIDS
    assert data.num_classes == 3
    assert all(0.2 < value < 0.8 for value in data.mean)
    assert all(0.05 < value < 0.5 for value in data.std)
    assert digest_of(DataKey(name, 17, None), tmp_path) == data.digest


def test_limited_takes_the_same_images_each_time(tmp_path: Path) -> None:
    data, again, whole = (load(DataKey("digits", 8, limit), tmp_path, workers=1) for limit in (5, 5, None))
    assert isinstance(data, PackedDataset)
    assert isinstance(again, PackedDataset)
    assert np.bincount(data.train_labels).tolist() == np.bincount(data.test_labels).tolist() == [5] * 10
    assert np.array_equal(data.train_images, again.train_images)
    assert data.digest == again.digest == digest_of(DataKey("digits", 8, 5), tmp_path) != whole.digest


@pytest.mark.parametrize("test_resize", [None, 31])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_folder_gives_the_same_pixels_packed_and_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, test_resize: int | None
) -> None:
    for split in ("train", "val"):
        for number, (height, width) in enumerate([(90, 61), (24, 24), (20, 33), (200, 300)]):
            for name in ("cat", "dog"):
                (tmp_path / "tree" / split / name).mkdir(parents=True, exist_ok=True)
                save(photo(height, width, number), tmp_path / "tree" / split / name / f"{number}{suffix}")
    name = f"folder:{tmp_path / 'tree'}"
    recipe = recipe_of(input_size=24, batch_size=8, augment=(), test_resize=test_resize)
    key = DataKey(name, 24, None, test_resize=test_resize or 0)
    packed = load(key, tmp_path, workers=1)
    monkeypatch.setattr(prepared, "STREAM_ABOVE", 1)
    streamed = load(key, tmp_path, workers=1)
    assert isinstance(packed, PackedDataset)
    assert isinstance(streamed, IndexedDataset)
    both = []
    for data in (packed, streamed):
        tested = test_batches(data, recipe, batch_size=100, device=CPU, workers=1)
        train = train_batches(data, recipe, seed=0, device=CPU, workers=1)
        inputs = next(iter(train.epoch_inputs(0)))
        if isinstance(inputs, PackedInputs):
            both.append((torch.cat(list(tested)).numpy(), packed.train_images[inputs.order]))
        elif isinstance(inputs, StreamedInputs):
            both.append((torch.cat(list(tested)).numpy(), inputs.images.numpy()))
    assert np.array_equal(both[0][0], both[1][0])
    assert np.array_equal(both[0][1], both[1][1])


def test_test_resize_crops_the_centre_of_test_images_alone(tmp_path: Path) -> None:
    plain, cropped = (load(DataKey("digits", 8, None, test_resize=size), tmp_path, workers=1) for size in (0, 12))
    assert isinstance(plain, PackedDataset)
    assert isinstance(cropped, PackedDataset)
    assert np.array_equal(plain.train_images, cropped.train_images)
    assert np.array_equal(cropped.test_images, resize(np.array(plain.test_images), 12)[:, :, 2:10, 2:10])
    assert plain.digest != cropped.digest
    assert digest_of(DataKey("digits", 8, None, test_resize=12), tmp_path) == cropped.digest
