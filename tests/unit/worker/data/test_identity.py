"""Every format of a data set gives the same images, in the same order, with the same digest."""

from pathlib import Path

import numpy as np
import pytest
from helpers.dataset_files import (
    FORMS,
    Small,
    binary,
    lay,
    pickles,
    pictures,
    small,
    tar_of,
)

from bench.catalog.datasets import DATASETS
from bench.datasets.stored import find_copy
from bench.worker.data import readers
from bench.worker.data.pack import content_digest, pack

EVERY = [(name, format_) for name, formats in FORMS.items() for format_ in formats]


def expected(data: Small) -> set[tuple[int, bytes]]:
    return {(label, image.tobytes()) for part in data.parts.values() for image, label in zip(*part, strict=True)}


def digest_at(name: str, path: Path) -> str:
    return content_digest(readers.read(name, find_copy(name, path)))


@pytest.mark.parametrize(("name", "format_"), EVERY)
def test_every_format_gives_the_same_images_and_labels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, format_: str
) -> None:
    data = small(name, monkeypatch)
    raw = readers.read(name, find_copy(name, lay(FORMS[name][format_](data), tmp_path)))
    found = [(raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels)]
    assert {(int(label), image.tobytes()) for part in found for image, label in zip(*part, strict=True)} == expected(
        data
    )
    assert (len(raw.train_labels), len(raw.test_labels)) == (20, 10)
    assert raw.classes == DATASETS[name].classes


@pytest.mark.parametrize("name", FORMS)
def test_all_formats_have_one_digest_in_folders_and_in_archives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    data, digests = small(name, monkeypatch), {}
    for format_, make in FORMS[name].items():
        digests[format_] = digest_at(name, lay(make(data), tmp_path / format_))
        archive = tmp_path / f"{format_}.tar.gz"
        archive.write_bytes(tar_of(make(data)))
        digests[f"{format_} in a tar"] = digest_at(name, archive)
    assert len(digests) == 8
    assert len(set(digests.values())) == 1, digests


def test_another_label_or_pixel_gives_another_digest(cifar: Small, tmp_path: Path) -> None:
    whole = digest_at("cifar10", lay(binary(cifar), tmp_path / "one"))
    images, labels = cifar.test
    other = Small("cifar10", cifar.train, (images, [(labels[0] + 1) % 10, *labels[1:]]))
    assert digest_at("cifar10", lay(binary(other), tmp_path / "two")) != whole
    changed = images.copy()
    changed[0, 0, 0, 0] ^= 1
    other = Small("cifar10", cifar.train, (changed, labels))
    assert digest_at("cifar10", lay(binary(other), tmp_path / "three")) != whole


def test_the_packs_of_two_formats_hold_the_same_images_in_the_same_order(cifar: Small, tmp_path: Path) -> None:
    packs = [
        pack("cifar10", 16, lay(tree, tmp_path / format_ / "cifar10").parent)
        for format_, tree in (("pickles", pickles(cifar)), ("pictures", pictures(cifar)))
    ]
    assert packs[0].digest == packs[1].digest
    assert np.array_equal(packs[0].train_images, packs[1].train_images)
    assert np.array_equal(packs[0].train_labels, packs[1].train_labels)


def test_torchvision_reads_the_small_pickles_too(cifar: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stand-in is in torchvision's format: it loads the same images from what bench is tested on."""
    from torchvision.datasets import CIFAR10

    lay(pickles(cifar), tmp_path)
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda _: True)
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})
    train = CIFAR10(str(tmp_path), train=True)
    found = {
        (label, image.transpose(2, 0, 1).tobytes()) for image, label in zip(train.data, train.targets, strict=True)
    }
    assert found == {(label, image.tobytes()) for image, label in zip(*cifar.train, strict=True)}
