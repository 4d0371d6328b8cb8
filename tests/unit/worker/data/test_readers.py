"""Loaders of the data sets that exist in several formats, on small archives in the published ones."""

import gzip
from pathlib import Path

import pytest
from helpers.archives import cifar10_files, install, labelled, random_pixels, tar_of

from bench.catalog.datasets import DATASETS
from bench.errors import DataError
from bench.worker.data import array_formats, readers


def test_cifar10_is_read_from_its_binary_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images, labels = random_pixels(7, 3, 32, 32), [3, 1, 4, 1, 5, 9, 2]
    archive = tar_of(cifar10_files(images, labels))
    install(monkeypatch, tmp_path, "cifar10", [archive], train_images=5, test_images=2)
    raw = readers.cifar10(tmp_path)
    assert labelled(raw.train_images, raw.train_labels) == labelled(images[:5], labels[:5])
    assert labelled(raw.test_images, raw.test_labels) == labelled(images[5:], labels[5:])
    assert raw.classes == DATASETS["cifar10"].classes


def test_cifar100_takes_the_fine_labels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images = random_pixels(3, 3, 32, 32)
    records = [bytes([7, 40 + number]) + image.tobytes() for number, image in enumerate(images)]
    names = DATASETS["cifar100"].classes
    files = {"train.bin": records[0] + records[1], "test.bin": records[2], "fine_label_names.txt": "\n".join(names)}
    archive = tar_of(
        {name: content if isinstance(content, bytes) else content.encode() for name, content in files.items()}
    )
    install(monkeypatch, tmp_path, "cifar100", [archive], train_images=2, test_images=1)
    raw = readers.cifar100(tmp_path)
    assert labelled(raw.train_images, raw.train_labels) == labelled(images[:2], [40, 41])
    assert labelled(raw.test_images, raw.test_labels) == labelled(images[2:], [42])
    assert raw.classes == names


def test_fashion_mnist_is_read_from_its_idx_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images, labels = random_pixels(5, 28, 28), bytes([9, 0, 3, 4, 5])
    contents = []
    for part in (slice(0, 3), slice(3, 5)):
        count = len(images[part])
        heading = b"".join(number.to_bytes(4, "big") for number in (2051, count, 28, 28))
        contents.append(gzip.compress(heading + images[part].tobytes()))
        contents.append(gzip.compress((2049).to_bytes(4, "big") + count.to_bytes(4, "big") + labels[part]))
    install(monkeypatch, tmp_path, "fashion_mnist", contents, train_images=3, test_images=2)
    raw = readers.fashion_mnist(tmp_path)
    assert labelled(raw.train_images, raw.train_labels) == labelled(images[:3], list(labels[:3]))
    assert labelled(raw.test_images, raw.test_labels) == labelled(images[3:], list(labels[3:]))


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist"])
def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(readers, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(array_formats, "MAX_BYTES", 1_000_000)
    bomb = bytes(50_000_000)
    archives = [tar_of({"data_batch_1.bin": bomb})] if name == "cifar10" else [gzip.compress(bomb)] * 4
    install(monkeypatch, tmp_path, name, archives, train_images=5, test_images=2)
    with pytest.raises(DataError, match="unpacks to more than 1 MB"):
        getattr(readers, name)(tmp_path)


def test_names_inside_an_archive_never_become_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images, labels = random_pixels(7, 3, 32, 32), [3, 1, 4, 1, 5, 9, 2]
    files = {f"../../{name}": content for name, content in cifar10_files(images, labels).items()}
    install(monkeypatch, tmp_path / "home", "cifar10", [tar_of(files)], train_images=5, test_images=2)
    before = set(tmp_path.rglob("*"))
    raw = readers.cifar10(tmp_path / "home")
    assert labelled(raw.train_images, raw.train_labels) == labelled(images[:5], labels[:5])
    assert set(tmp_path.rglob("*")) == before


def test_an_archive_with_too_few_images_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    archive = tar_of(cifar10_files(random_pixels(7, 3, 32, 32), [0] * 7))
    install(monkeypatch, tmp_path, "cifar10", [archive], train_images=6, test_images=2)
    with pytest.raises(DataError, match="cifar10 has"):
        readers.cifar10(tmp_path)
