"""Clothing1M as its authors send it, complete and not."""

import shutil
from pathlib import Path

import pytest
from helpers.dataset_states import not_ready
from helpers.tiny_imagenet import (
    shrink,
    write_clothing,
)

from bench.datasets.source import open_source


@pytest.fixture
def clothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shrink(monkeypatch, "clothing1m", train=28, test=14, classes=14)
    shrink(monkeypatch, "clothing1m_clean", train=14, test=14, classes=14)
    return write_clothing(tmp_path)


def test_clothing1m_trains_on_noisy_and_tests_on_clean_labels(clothing: Path, tmp_path: Path) -> None:
    files = open_source("clothing1m").locate(tmp_path)
    train, test = list(files.records("train")), list(files.records("test"))
    assert [record.name for record in train] == (clothing / "noisy_train_key_list.txt").read_text().split()
    assert [record.name for record in test] == (clothing / "clean_test_key_list.txt").read_text().split()
    assert [files.classes().index(record.category) for record in train] == [*range(14), *range(14)]
    assert all((clothing / record.file).stat().st_size == record.size for record in train + test)
    assert (
        open_source("clothing1m").status(tmp_path, deep=True).state
        == open_source("clothing1m").status(tmp_path).state
        == "ready"
    )


def test_clothing1m_clean_trains_on_the_clean_list(clothing: Path, tmp_path: Path) -> None:
    names = [record.name for record in open_source("clothing1m_clean").locate(tmp_path).records("train")]
    assert names == (clothing / "clean_train_key_list.txt").read_text().split()
    assert open_source("clothing1m_clean").status(tmp_path, deep=True).state == "ready"


def test_annotations_may_be_in_a_folder_of_their_own(clothing: Path, tmp_path: Path) -> None:
    (clothing / "annotations").mkdir()
    for file in clothing.glob("*.txt"):
        file.rename(clothing / "annotations" / file.name)
    assert open_source("clothing1m").status(tmp_path, deep=True).state == "ready"


def test_each_missing_annotation_file_is_named(clothing: Path, tmp_path: Path) -> None:
    for name in ("noisy_label_kv.txt", "clean_val_key_list.txt"):
        (clothing / name).unlink()
    shutil.rmtree(clothing / "images")
    assert "clean_val_key_list.txt, noisy_label_kv.txt, images/ missing from" in not_ready(tmp_path, "clothing1m")


def test_images_are_counted_against_every_list(clothing: Path, tmp_path: Path) -> None:
    for name in ("noisy_train", "clean_val"):
        (clothing / (clothing / f"{name}_key_list.txt").read_text().split()[3]).unlink()
    assert "noisy_train_key_list.txt has 14 of 14 classes and 27 of 28 images" in not_ready(tmp_path, "clothing1m")
    sentence = open_source("clothing1m").status(tmp_path, deep=True).sentence
    assert "1 of 28 images listed in noisy_train_key_list.txt are missing, e.g. images/" in sentence
    assert "1 of 14 images listed in clean_val_key_list.txt are missing" in sentence


@pytest.mark.parametrize("line", ["images/0/00/0,0.jpg 14", "images/0/00/0,0.jpg", "images/0/00/0,0.jpg -1", "x y"])
def test_a_malformed_label_is_refused(line: str, clothing: Path, tmp_path: Path) -> None:
    (clothing / "noisy_label_kv.txt").write_text(f"{line}\n")
    assert "should hold 'images/... LABEL' lines, labels 0 to 13" in not_ready(tmp_path, "clothing1m")


def test_a_key_without_a_label_or_outside_the_folder_is_refused(clothing: Path, tmp_path: Path) -> None:
    keys = (clothing / "noisy_train_key_list.txt").read_text()
    (clothing / "noisy_train_key_list.txt").write_text(keys + "images/9/99/new.jpg\n")
    assert "images/9/99/new.jpg, which has no label in noisy_label_kv.txt" in not_ready(tmp_path, "clothing1m")
    (clothing / "noisy_train_key_list.txt").write_text("images/../../secret.jpg\n")
    assert "is outside" in not_ready(tmp_path, "clothing1m")


def test_a_missing_clothing1m_says_where_to_ask_for_it(tmp_path: Path) -> None:
    assert "https://github.com/Cysu/noisy_label" in open_source("clothing1m").status(tmp_path).sentence
