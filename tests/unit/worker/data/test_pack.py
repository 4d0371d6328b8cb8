"""Packs: decoded once, mapped, regenerated when damaged or when the data set changes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.archives import cifar10_files, install, random_pixels, tar_of
from helpers.image_trees import image_tree, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import DataError
from bench.values import DataKey
from bench.worker.data.dataset import load
from bench.worker.data.pack import PackedDataset, channel_statistics, content_digest, open_pack, pack, resize


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def packed(home: Path) -> PackedDataset:
    return pack("digits", 8, home)


def test_a_pack_is_mapped_read_only_and_not_made_again(packed: PackedDataset, home: Path) -> None:
    [card] = (home / "packed").glob("digits-8-*/card.json")
    written = card.stat().st_mtime_ns
    again = pack("digits", 8, home)
    assert isinstance(again.train_images, np.memmap)
    assert not again.train_images.flags.writeable
    assert card.stat().st_mtime_ns == written
    assert again.digest == packed.digest


def test_mean_and_deviation_are_those_of_the_training_pixels(packed: PackedDataset) -> None:
    scaled = packed.train_images / 255
    assert packed.mean == pytest.approx([scaled.mean()])
    assert packed.std == pytest.approx([scaled.std()])


def test_published_mean_and_deviation_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    archive = tar_of(cifar10_files(random_pixels(7, 3, 32, 32), [0] * 7))
    install(monkeypatch, tmp_path, "cifar10", [archive], train_images=5, test_images=2)
    assert pack("cifar10", 32, tmp_path).mean == (0.4914, 0.4822, 0.4465)


def test_channel_statistics_of_one_colour_have_a_deviation_of_1() -> None:
    mean, std = channel_statistics(np.full((2, 1, 3, 3), 51, dtype=np.uint8))
    assert mean == pytest.approx((0.2,))
    assert std == (1.0,)


@pytest.mark.parametrize("damage", ["truncate", "no card", "torn card"])
def test_a_damaged_pack_is_regenerated(tmp_path: Path, damage: str) -> None:
    first = pack("digits", 8, tmp_path)
    [folder] = (tmp_path / "packed").glob("digits-8-*")
    array, card = folder / "train_images.npy", folder / "card.json"
    if damage == "truncate":
        array.write_bytes(array.read_bytes()[:-100])
    elif damage == "no card":
        card.unlink()
    else:
        card.write_text(card.read_text()[:50])
    (folder.parent / f".{folder.name}.1.tmp").mkdir()
    assert pack("digits", 8, tmp_path).digest == first.digest
    assert len(list((tmp_path / "packed").glob("digits-8-*"))) == 1
    assert not list((tmp_path / "packed").glob("*.tmp"))


def test_a_changed_folder_is_packed_again(tmp_path: Path) -> None:
    root = image_tree(tmp_path / "insects")
    first = pack(f"folder:{root}", 8, tmp_path)
    picture(root / "train" / "ant" / "2.png", (8, 8), (1, 2, 3))
    second = pack(f"folder:{root}", 8, tmp_path)
    assert (len(first.train_labels), len(second.train_labels)) == (4, 5)
    assert first.digest != second.digest


def test_the_digest_of_a_pack_does_not_depend_on_where_the_images_are(tmp_path: Path) -> None:
    roots = [image_tree(tmp_path / "here"), image_tree(tmp_path / "there")]
    assert len({pack(f"folder:{root}", 8, tmp_path).digest for root in roots}) == 1


def test_two_processes_pack_once(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from bench.worker.data import pack\n"
        "write = pack._write\n"
        "def counted(*arguments):\n    print('wrote'); write(*arguments)\n"
        "pack._write = counted; print(pack.pack('digits', 8, pathlib.Path(sys.argv[1])).digest)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in processes] == [0, 0]
    assert lines.count("wrote") == 1
    assert len(set(lines) - {"wrote"}) == 1


def test_pack_reports_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "packed").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written to"):
        pack("digits", 8, tmp_path)


@given(value=st.integers(0, 255), channels=st.sampled_from([1, 3]), size=st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_resizing_keeps_one_colour(value: int, channels: int, size: int) -> None:
    resized = resize(np.full((2, channels, 8, 8), value, dtype=np.uint8), size)
    assert resized.shape == (2, channels, size, size)
    assert (resized == value).all()


def test_another_input_size_is_resized_and_packed_apart(packed: PackedDataset, home: Path) -> None:
    larger = pack("digits", 16, home)
    assert larger.train_images.shape == (1437, 1, 16, 16)
    assert np.array_equal(larger.train_labels, packed.train_labels)


def changed_labels(home: Path) -> Path:
    """Shift the labels of the pack of digits, in place. Returns the file."""
    [file] = (home / "packed").glob("digits-8-*/train_labels.npy")
    labels = np.load(file, mmap_mode="r+")
    labels[:] = (labels + 1) % 10
    labels.flush()
    later = file.stat().st_mtime_ns + 1_000_000  # whatever the clock of the file system
    os.utime(file, ns=(later, later))
    return file


def test_changed_bytes_of_a_pack_are_noticed_and_it_is_made_again(tmp_path: Path) -> None:
    first = pack("digits", 8, tmp_path)
    labels = np.array(first.train_labels)
    file = changed_labels(tmp_path)
    assert open_pack(file.parent, "digits") is None
    assert np.array_equal(load(DataKey("digits", 8), tmp_path, workers=1, folder=file.parent).train_labels, labels)


def test_a_pack_with_other_times_and_the_same_bytes_is_read_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pack("digits", 8, tmp_path)
    [folder] = (tmp_path / "packed").glob("digits-8-*")
    card = json.loads((folder / "card.json").read_text())
    del card["times"]  # as older versions wrote it
    (folder / "card.json").write_text(json.dumps(card))
    read: list[object] = []

    def digest(data: PackedDataset) -> str:
        read.append(data)
        return content_digest(data)

    monkeypatch.setattr("bench.worker.data.pack.content_digest", digest)
    for _ in range(2):
        opened = open_pack(folder, "digits")
        assert opened is not None
        assert opened.digest == first.digest
    assert len(read) == 1
