"""Detecting the format of a data set from file names alone."""

import subprocess
import sys

import pytest
from helpers.dataset_files import (
    FORMS,
    Small,
    binary,
    idx,
    pickles,
    pictures,
    small,
    tables,
)

from bench.catalog.datasets import DATASETS
from bench.datasets.formats import detect_format


@pytest.mark.parametrize(
    ("name", "format_"), [(name, format_) for name, formats in FORMS.items() for format_ in formats]
)
def test_every_format_is_detected(monkeypatch: pytest.MonkeyPatch, name: str, format_: str) -> None:
    data = small(name, monkeypatch)
    stored = detect_format(name, sorted(FORMS[name][format_](data))).format
    assert stored is not None
    kinds = {"pickles": "pickle", "tables": "parquet", "pictures": "images", "plain idx": "idx"}
    assert stored.kind == kinds.get(format_, format_)
    assert set(stored.files) <= set(FORMS[name][format_](data))


def test_the_authors_own_format_goes_before_others(cifar: Small) -> None:
    names = sorted({**pictures(cifar), **tables(cifar), **pickles(cifar), **binary(cifar)})
    stored = detect_format("cifar10", names).format
    assert stored is not None
    assert stored.kind == "binary"


def test_the_shallowest_copy_is_used(cifar: Small) -> None:
    names = [f"{folder}/{name.rpartition('/')[2]}" for folder in ("a/b", "z") for name in binary(cifar)]
    stored = detect_format("cifar10", names).format
    assert stored is not None
    assert {name.partition("/")[0] for name in stored.files} == {"z"}


def test_gzipped_idx_files_of_fashion_go_before_plain_ones_and_those_of_mnist(fashion: Small) -> None:
    names = [f"{folder}/{name}" for folder in ("MNIST", "FashionMNIST") for name in idx(fashion)]
    names += [f"FashionMNIST/{name}" for name in idx(fashion, zipped=False)]
    stored = detect_format("fashion_mnist", names).format
    assert stored is not None
    assert all(name.startswith("FashionMNIST/") and name.endswith(".gz") for name in stored.files)


@pytest.mark.parametrize("lost", ["data_batch_4.bin", "test_batch.bin"])
def test_a_missing_file_is_named(cifar: Small, lost: str) -> None:
    detection = detect_format("cifar10", [name for name in binary(cifar) if not name.endswith(lost)])
    assert (detection.format, detection.problem) == (None, f"of its binary files {lost} is missing")


def test_missing_images_are_counted(cifar: Small) -> None:
    names = [name for name in sorted(pictures(cifar)) if "test" in name or not name.endswith("00000.png")]
    assert "19 of 20 for train" in detect_format("cifar10", names).problem


def test_missing_parquet_files_are_counted(cifar: Small) -> None:
    [train] = [name for name in tables(cifar) if "train" in name]
    assert "no parquet file for test" in detect_format("cifar10", [train]).problem
    several = train.replace("of-00001", "of-00003")
    assert "only 1 of 3 parquet files for train" in detect_format("cifar10", [several]).problem


def test_lossy_images_are_refused_with_the_way_to_use_them(cifar: Small) -> None:
    detection = detect_format("cifar10", [f"mine/{name}" for name in pictures(cifar, suffix=".jpg")])
    assert "uses lossy compression" in detection.problem
    assert detection.remedy == "use it as an image folder, with dataset: folder:PATH (PATH being the folder mine in it)"


def test_a_class_that_is_called_train_is_not_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small("cifar100", monkeypatch)
    names = sorted(pictures(data))
    assert "train" in DATASETS["cifar100"].classes
    stored = detect_format("cifar100", names).format
    assert stored is not None
    assert (len(stored.train), len(stored.test)) == (20, 10)


def test_other_files_are_no_format() -> None:
    detection = detect_format("cifar10", ["thesis.txt", "train/notes/a.png"])
    assert (detection.format, detection.problem) == (None, "")


def test_detecting_a_format_imports_no_decoder() -> None:
    code = (
        "import sys, bench.datasets.formats; print({'torch', 'numpy', 'PIL', 'pyarrow', 'pickle'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() in ("set()", "{'pickle'}")
