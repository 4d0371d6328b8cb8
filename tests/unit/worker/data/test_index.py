"""Indexes of small ImageNet trees: one digest for every format, regenerated when damaged or changed."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers.streaming import (
    batch_bytes,
    digest_of,
    indexed,
    leftovers,
)
from helpers.tiny_imagenet import (
    FORMATS,
    TEST,
    TRAIN,
    WNIDS,
    train_images,
    write_imagenet,
)

from bench.catalog.datasets import DATASETS
from bench.datasets.manual import sampling_key
from bench.datasets.prepared import index_folder
from bench.errors import DataError
from bench.values import DataKey
from bench.worker.data import index as indexing
from bench.worker.data.file_batches import TestFiles, TrainFiles
from bench.worker.data.index import index


def test_every_format_of_imagenet_has_one_digest_and_the_same_pixels(tmp_path: Path, small_imagenet: None) -> None:
    found = set()
    for stored_format in FORMATS:
        write_imagenet(tmp_path / stored_format, stored_format)
        data = indexed(tmp_path / stored_format)
        batches = TestFiles(data.test, size=32, batch_size=5, workers=2)
        train_files = TrainFiles(data.train, size=32, batch_size=6, seed=0, workers=2)
        content = b"".join(batch_bytes(iter(batches)) + batch_bytes(train_files.epoch(0)))
        found.add((data.digest, data.classes, data.train_labels.tobytes(), content))
    assert len(found) == 1


def test_an_index_holds_labels_counts_and_the_published_mean(imagenet_home: Path) -> None:
    data = indexed(imagenet_home)
    assert data.classes == WNIDS
    assert data.train_labels.tolist() == [0] * TRAIN + [1] * TRAIN + [2] * TRAIN
    assert data.test_labels.tolist() == [0] * TEST + [1] * TEST + [2] * TEST
    assert (data.mean, data.std) == (DATASETS["imagenet"].mean, DATASETS["imagenet"].std)
    assert (
        digest_of(DataKey("imagenet", 224, None), imagenet_home)
        == digest_of(DataKey("imagenet", 64, None), imagenet_home)
        == data.digest
    )


def test_an_index_is_made_once_and_again_when_images_come_or_go(imagenet_home: Path) -> None:
    first = indexed(imagenet_home)
    (made,) = leftovers(imagenet_home)
    before = (imagenet_home / "indexed" / made / "card.json").stat().st_mtime_ns
    assert indexed(imagenet_home).digest == first.digest
    assert (imagenet_home / "indexed" / made / "card.json").stat().st_mtime_ns == before
    (imagenet_home / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_7.JPEG").rename(
        imagenet_home / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_8.JPEG"
    )
    assert digest_of(DataKey("imagenet", 224, None), imagenet_home) == ""
    assert indexed(imagenet_home).digest != first.digest


@pytest.mark.parametrize("damage", ["cut", "no card", "bad card"])
def test_a_damaged_index_is_regenerated(imagenet_home: Path, damage: str) -> None:
    digest = indexed(imagenet_home).digest
    folder = index_folder("imagenet", None, imagenet_home)
    if damage == "cut":
        content = (folder / "names.bin").read_bytes()
        (folder / "names.bin").write_bytes(content[:-1])
    elif damage == "no card":
        (folder / "card.json").unlink()
    else:
        (folder / "card.json").write_text("{")
    assert indexed(imagenet_home).digest == digest


def test_an_incomplete_data_set_gets_no_index(imagenet_home: Path) -> None:
    (imagenet_home / "imagenet" / "val" / WNIDS[0] / "ILSVRC2012_val_00000001.JPEG").unlink()
    with pytest.raises(DataError, match="val has 3 of 3 classes and 11 of 12 images"):
        indexed(imagenet_home)
    assert leftovers(imagenet_home) == []


def test_an_empty_file_gets_no_index(imagenet_home: Path) -> None:
    (imagenet_home / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_7.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match=r"_7\.JPEG is empty; download it again"):
        indexed(imagenet_home)


def test_a_full_disk_leaves_no_index(imagenet_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"imagenet cannot be written to .*: No space left on device"):
        indexed(imagenet_home)
    assert leftovers(imagenet_home) == []


def test_an_index_is_written_in_chunks(imagenet_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = indexed(imagenet_home)
    monkeypatch.setattr(indexing, "CHUNK", 5)
    again = index("imagenet", 1000, imagenet_home, workers=1)
    assert again.digest == whole.digest
    assert [str(file) for file, _ in again.train] == [str(file) for file, _ in whole.train]


def test_open_index_of_a_million_images_takes_little_memory(tmp_path: Path) -> None:
    count, name = 1_000_000, b"train/n01440764/n01440764_1.JPEG"
    rows = np.zeros(count, dtype=indexing.PLACE)
    rows["length"], rows["archive"], rows["label"] = len(name), -1, np.arange(count) % 1000
    contents = {"train.bin": rows.tobytes(), "test.bin": rows[:10].tobytes(), "names.bin": name}
    for file, content in contents.items():
        (tmp_path / file).write_bytes(content)
    card = {"root": "/data", "archives": [], "classes": ["a"], "num_classes": 1000, "mean": [0.5], "std": [1.0]}
    sizes = {file: len(content) for file, content in contents.items()}
    (tmp_path / "card.json").write_text(json.dumps({**card, "digest": "d", "bytes": sizes}))
    del rows, contents
    tracemalloc.start()
    try:
        data = indexing.open_index(tmp_path, "imagenet")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert data is not None
    assert data.train[999_999] == (Path("/data/train/n01440764/n01440764_1.JPEG"), 999)
    assert peak < 30e6, "the labels, 8 bytes each, twice"


def test_a_limited_index_has_the_first_images_per_class_by_sampling_key(imagenet_home: Path) -> None:
    data = indexed(imagenet_home, limit=3)
    assert data.train_labels.tolist() == data.test_labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    names = {Path(str(file)).name for file, _ in data.train}
    for wnid, files in train_images().items():
        assert set(sorted(files, key=lambda name: sampling_key("imagenet300", wnid, name))[:3]) <= names
    assert data.digest != indexed(imagenet_home).digest
    assert digest_of(DataKey("imagenet", 32, 3), imagenet_home) == data.digest


def test_a_limited_index_of_incomplete_data_keeps_the_number_of_classes(tmp_path: Path) -> None:
    write_imagenet(tmp_path, "archives")
    data = indexed(tmp_path, limit=2)
    assert (len(data.classes), data.num_classes) == (3, 1000)
    assert len(data.train) == len(data.test) == 6
