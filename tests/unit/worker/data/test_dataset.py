"""Loading a data set: packed, streamed, or limited to a few images per class."""

from pathlib import Path

import numpy as np
import pytest
from helpers.streaming import digest_of
from helpers.tiny_imagenet import (
    WNIDS,
    train_images,
    val_images,
    write_folders,
)

from bench.datasets import prepared
from bench.values import DataKey
from bench.worker.data.dataset import load
from bench.worker.data.index import IndexedDataset
from bench.worker.data.pack import PackedDataset


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
