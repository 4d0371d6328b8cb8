"""The list of imagenet300: its rule, and lists that do not follow it."""

import os
import shutil
from pathlib import Path

import pytest
from helpers.dataset_states import not_ready
from helpers.tiny_imagenet import (
    TEST,
    shrink,
    train_images,
    write_imagenet,
)

from bench.datasets import imagenet300
from bench.datasets.manual import sampling_key
from bench.datasets.source import open_source
from bench.errors import DataError


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_imagenet: None) -> Path:
    """A data folder with ImageNet as folders, and a list of five images a class."""
    monkeypatch.setattr(imagenet300, "PER_CLASS", 5)
    shrink(monkeypatch, "imagenet300", train=15, test=3 * TEST, classes=3)
    write_imagenet(tmp_path, "folders")
    imagenet300.write_list(tmp_path)
    return tmp_path


def test_the_list_has_the_first_images_by_sampling_key_as_a_deep_status_confirms(listed: Path) -> None:
    expected = {
        f"{wnid}/{name}"
        for wnid, files in train_images().items()
        for name in sorted(files, key=lambda name: sampling_key("imagenet300", wnid, name))[:5]
    }
    files = open_source("imagenet300").locate(listed)
    assert {f"{record.category}/{record.name}" for record in files.records("train")} == expected
    assert len(list(files.records("test"))) == 3 * TEST
    assert (
        open_source("imagenet300").status(listed, deep=True).state
        == open_source("imagenet300").status(listed).state
        == "ready"
    )


def test_the_list_is_the_same_from_folders_and_from_archives(listed: Path) -> None:
    text = (listed / "imagenet300" / imagenet300.FILE).read_bytes()
    shutil.rmtree(listed / "imagenet")
    write_imagenet(listed, "archives")
    assert imagenet300.write_list(listed).read_bytes() == text


def test_a_deep_status_says_how_a_list_differs_from_the_rule(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet300, "PER_CLASS", 4)
    imagenet300.write_list(listed)
    shrink(monkeypatch, "imagenet300", train=12, test=3 * TEST, classes=3)
    monkeypatch.setattr(imagenet300, "PER_CLASS", 5)
    assert (
        "3 images are missing and 0 are extra; regenerate it"
        in open_source("imagenet300").status(listed, deep=True).sentence
    )


def test_a_listed_image_that_is_missing_is_counted(listed: Path) -> None:
    line = sorted(open_source("imagenet300").locate(listed).lines)[0]  # type: ignore[attr-defined]
    (listed / "imagenet" / "train" / line).unlink()
    assert "1 of 15 images listed in" in open_source("imagenet300").status(listed, deep=True).sentence


def test_a_list_of_another_format_is_refused(listed: Path) -> None:
    path = listed / "imagenet300" / imagenet300.FILE
    path.write_text(path.read_text().replace("format 1", "format 2"))
    assert "has format 2, and this version of bench reads format 1; regenerate it" in not_ready(listed, "imagenet300")


@pytest.mark.parametrize("change", ["cut", "line", "empty", "other"])
def test_a_list_that_was_truncated_or_changed_is_refused(change: str, listed: Path) -> None:
    path = listed / "imagenet300" / imagenet300.FILE
    text = path.read_text()
    changed = {"cut": text[:-20], "line": text.replace("_7.", "_8."), "empty": "", "other": "{}"}[change]
    assert changed != text
    path.write_text(changed)
    assert str(path) in not_ready(listed, "imagenet300")


def test_without_a_list_the_command_that_generates_it_is_named(listed: Path) -> None:
    (listed / "imagenet300" / imagenet300.FILE).unlink()
    assert "bench data get imagenet300 --from imagenet" in not_ready(listed, "imagenet300")


def test_a_full_disk_leaves_no_list(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(listed / "imagenet300")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot be written to .*: No space left on device"):
        imagenet300.write_list(listed)
    assert list((listed / "imagenet300").iterdir()) == []
