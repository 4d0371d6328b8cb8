"""What ``bench data verify --deep`` counts: classes, repeated, shared and contradicting images."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers import tiny_imagenet as miniatures
from helpers.dataset_files import Small, binary, lay, small
from helpers.image_trees import paint, pets_tree

from bench.cli import cli
from bench.errors import DataError
from bench.worker.data.contents import inspect


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["data", *arguments])


@pytest.fixture
def pets(project: Path) -> Path:
    return pets_tree(project / "pets")


def test_inspect_counts_equal_images_within_a_split_and_between_splits(pets: Path) -> None:
    counts = inspect(f"folder:{pets}", pets)
    assert counts["splits"]["train"] == {"images": 5, "per_class": {"cat": 3, "dog": 2}, "repeated": 2}
    assert counts["splits"]["test"] == {"images": 3, "per_class": {"cat": 2, "dog": 1}, "repeated": 0}
    assert counts["shared"] == 1
    assert counts["examples"]["shared"] == [["train/cat/2-again.bmp (cat)", "test/cat/2.png (cat)"]]


def test_equal_images_of_different_classes_are_counted_and_named(pets: Path) -> None:
    counts = inspect(f"folder:{pets}", pets)
    assert counts["contradicting"] == {"contents": 1, "images": 2}
    assert counts["examples"]["contradicting"] == [["train/cat/1.png (cat)", "train/dog/1-as-dog.png (dog)"]]


def test_inspect_finds_a_photo_of_imagenet_that_is_in_both_splits(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = miniatures.train_images(), miniatures.val_images()
    first, second = sorted(train)[:2]
    test[first] = {**test[first], min(test[first]): train[second][min(train[second])]}
    miniatures.shrink(
        monkeypatch, "imagenet", train=sum(map(len, train.values())), test=sum(map(len, test.values())), classes=3
    )
    for stored_format in ("folders", "archives"):
        miniatures.write_imagenet(project / stored_format, stored_format, train, test)
        counts = inspect("imagenet", project / stored_format)
        assert counts["splits"]["train"]["images"] == sum(map(len, train.values()))
        assert counts["shared"] == 1
        assert counts["contradicting"] == {"contents": 1, "images": 2}


def test_images_of_one_colour_and_different_sizes_are_different(project: Path) -> None:
    for part in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            paint(project / part / name / "1.png", 9, (8 + number, 8 if part == "train" else 4))
    counts = inspect(f"folder:{project}", project)
    assert (counts["shared"], counts["contradicting"]["images"]) == (0, 0)


def test_inspect_counts_and_names_a_file_that_is_not_an_image(pets: Path) -> None:
    (pets / "train" / "dog" / "9.png").write_bytes(b"no image")
    counts = inspect(f"folder:{pets}", pets)
    assert (counts["unreadable"], counts["examples"]["unreadable"]) == (1, ["train/dog/9.png"])
    assert counts["splits"]["train"]["images"] == 5


def test_the_real_digits_hold_no_image_twice(tmp_path: Path) -> None:
    counts = inspect("digits", tmp_path)
    assert [part["images"] for part in counts["splits"].values()] == [1437, 360]
    assert [part["repeated"] for part in counts["splits"].values()] == [0, 0]
    assert (counts["shared"], counts["contradicting"]["contents"]) == (0, 0)
    assert min(counts["splits"]["test"]["per_class"].values()) == 35


def test_inspect_reads_the_format_in_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = small("cifar10", monkeypatch)
    (images, labels), (tested, test_labels) = data.train, data.test
    tested = np.concatenate([images[:2], tested[2:]])
    leaking = Small("cifar10", (images, labels), (tested, [labels[0], (labels[1] + 1) % 10, *test_labels[2:]]))
    lay(binary(leaking), tmp_path / "cifar10")
    counts = inspect("cifar10", tmp_path)
    assert (counts["shared"], counts["contradicting"]) == (2, {"contents": 1, "images": 2})
    assert counts["examples"]["shared"][0][0].startswith("train[")


def test_inspect_reports_a_data_set_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bench data get cifar100"):
        inspect("cifar100", tmp_path)
