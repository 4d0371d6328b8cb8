"""What ``bench data verify --deep`` counts, and the cards of data sets."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers import tiny_imagenet as miniatures
from helpers.dataset_files import Small, binary, lay, small
from PIL import Image

from bench.catalog.datasets import DATASETS
from bench.cli import cli
from bench.datasets.prepared import pack_folder
from bench.errors import DataError
from bench.worker.data.contents import inspect
from bench.worker.data.pack import pack


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["data", *arguments])


def paint(path: Path, colour: int, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 0, 0)).save(path)


@pytest.fixture
def pets(project: Path) -> Path:
    """A tree in which one cat is there twice, one is in the test part too, and one dog is a cat."""
    for name, colour in {
        "train/cat/1.png": 1,
        "train/cat/2.png": 2,
        "train/cat/2-again.bmp": 2,
        "train/dog/3.png": 3,
        "train/dog/1-as-dog.png": 1,
        "test/cat/2.png": 2,
        "test/cat/5.png": 5,
        "test/dog/6.png": 6,
    }.items():
        paint(project / "pets" / name, colour)
    return project / "pets"


def test_equal_images_are_counted_within_a_split_and_between_splits(pets: Path) -> None:
    found = inspect(f"folder:{pets}", pets)
    assert found["splits"]["train"] == {"images": 5, "per_class": {"cat": 3, "dog": 2}, "repeated": 2}
    assert found["splits"]["test"] == {"images": 3, "per_class": {"cat": 2, "dog": 1}, "repeated": 0}
    assert found["shared"] == 1
    assert found["examples"]["shared"] == [["train/cat/2-again.bmp (cat)", "test/cat/2.png (cat)"]]


def test_equal_images_of_different_classes_are_counted_and_named(pets: Path) -> None:
    found = inspect(f"folder:{pets}", pets)
    assert found["contradicting"] == {"contents": 1, "images": 2}
    assert found["examples"]["contradicting"] == [["train/cat/1.png (cat)", "train/dog/1-as-dog.png (dog)"]]


def test_a_photo_of_imagenet_that_is_in_both_splits_is_found_in_folders_and_in_archives(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = miniatures.train_images(), miniatures.val_images()
    first, second = sorted(train)[:2]
    test[first] = {**test[first], min(test[first]): train[second][min(train[second])]}
    miniatures.shrink(
        monkeypatch, "imagenet", train=sum(map(len, train.values())), test=sum(map(len, test.values())), classes=3
    )
    for form in ("folders", "archives"):
        miniatures.write_imagenet(project / form, form, train, test)
        found = inspect("imagenet", project / form)
        assert found["splits"]["train"]["images"] == sum(map(len, train.values()))
        assert found["shared"] == 1
        assert found["contradicting"] == {"contents": 1, "images": 2}


def test_images_of_one_colour_and_different_sizes_are_different(project: Path) -> None:
    for part in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            paint(project / part / name / "1.png", 9, (8 + number, 8 if part == "train" else 4))
    found = inspect(f"folder:{project}", project)
    assert (found["shared"], found["contradicting"]["images"]) == (0, 0)


def test_a_file_that_is_no_image_is_counted_and_named(pets: Path) -> None:
    (pets / "train" / "dog" / "9.png").write_bytes(b"no image")
    found = inspect(f"folder:{pets}", pets)
    assert (found["unreadable"], found["examples"]["unreadable"]) == (1, ["train/dog/9.png"])
    assert found["splits"]["train"]["images"] == 5


def test_the_real_digits_hold_no_image_twice(tmp_path: Path) -> None:
    found = inspect("digits", tmp_path)
    assert [part["images"] for part in found["splits"].values()] == [1437, 360]
    assert [part["repeated"] for part in found["splits"].values()] == [0, 0]
    assert (found["shared"], found["contradicting"]["contents"]) == (0, 0)
    assert min(found["splits"]["test"]["per_class"].values()) == 35


def test_a_set_of_several_forms_is_inspected_as_it_lies_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = small("cifar10", monkeypatch)
    (images, labels), (tested, test_labels) = data.train, data.test
    tested = np.concatenate([images[:2], tested[2:]])
    leaking = Small("cifar10", (images, labels), (tested, [labels[0], (labels[1] + 1) % 10, *test_labels[2:]]))
    lay(binary(leaking), tmp_path / "cifar10")
    found = inspect("cifar10", tmp_path)
    assert (found["shared"], found["contradicting"]) == (2, {"contents": 1, "images": 2})
    assert found["examples"]["shared"][0][0].startswith("train[")


def test_a_set_that_is_not_here_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bench data get cifar100"):
        inspect("cifar100", tmp_path)


def test_the_command_asks_a_worker_and_prints_counts_and_examples(pets: Path) -> None:
    result = bench("verify", "--deep", f"folder:{pets}")
    assert result.exit_code == 0, result.stderr
    assert "train: 5 images, 2 to 3 per class, 2 repeat an earlier one" in result.stdout
    assert "test images that are also training images: 1" in result.stdout
    assert "contradicting: train/cat/1.png (cat) = train/dog/1-as-dog.png (dog)" in result.stdout


def test_the_command_answers_as_json_also_for_what_is_not_here(pets: Path) -> None:
    result = bench("verify", "--deep", "--json", f"folder:{pets}", "cifar10")
    assert result.exit_code == 3
    content = json.loads(result.stdout)
    assert content["schema"] == 1
    first, second = content["datasets"]
    assert first["contents"]["contradicting"] == {"contents": 1, "images": 2}
    assert (second["state"], "contents" in second) == ("absent", False)


# --- Cards -----------------------------------------------------------------------------------------------------------


def test_every_data_set_has_a_card(project: Path) -> None:
    result = bench("card", "--json", *DATASETS)
    assert result.exit_code == 0, result.stderr
    for card in json.loads(result.stdout)["datasets"]:
        spec = DATASETS[card["dataset"]]
        assert (card["num_classes"], card["train_images"]) == (spec.num_classes, spec.train_images)
        assert card["licence"]
        assert card["source"]
        assert card["files"] or card["by_hand"] or card["dataset"] == "digits"


def test_a_card_names_every_source_with_its_checksum(project: Path) -> None:
    text = bench("card", "cifar10").stdout
    for archive in (
        each for group in (DATASETS["cifar10"].archives, *DATASETS["cifar10"].alternatives) for each in group
    ):
        assert archive.checksum in text
        assert all(url in text for url in archive.urls)
    assert "10: airplane, automobile, bird" in text
    assert "0.4914, 0.4822, 0.4465" in text


def test_a_card_has_the_digest_of_what_was_decoded(project: Path) -> None:
    packed = pack("digits", 8, project / "data")
    [card] = json.loads(bench("card", "--json", "digits").stdout)["datasets"]
    assert card["digest"] == packed.digest
    assert card["mean"] == list(packed.mean)


def test_a_card_of_a_folder_counts_its_images_and_finds_its_pack_at_any_size(pets: Path) -> None:
    packed = pack(f"folder:{pets}", 8, pets.parent / "data")
    [card] = json.loads(bench("card", "--json", f"folder:{pets}").stdout)["datasets"]
    assert (card["num_classes"], card["train_images"], card["test_images"]) == (2, 5, 3)
    assert (card["input_size"], card["digest"]) == (8, packed.digest)


def test_the_catalogs_published_checksums_are_whole() -> None:
    for name, spec in DATASETS.items():
        for archive in (each for group in (spec.archives, *spec.alternatives) for each in group):
            assert archive.md5 or archive.sha256, f"{name} {archive.name}"
            assert len(archive.md5) in (0, 32)
            assert len(archive.sha256) in (0, 64)
            assert all(url.partition("?")[0].endswith(archive.name) for url in archive.urls)
        names = [each.name for group in (spec.archives, *spec.alternatives) for each in group]
        assert len(names) == len(set(names)), name


def test_the_classes_of_the_cifars_are_sorted_so_that_folders_give_the_official_labels() -> None:
    for name in ("cifar10", "cifar100"):
        assert list(DATASETS[name].classes) == sorted(DATASETS[name].classes)
        assert len(set(DATASETS[name].classes)) == DATASETS[name].num_classes


def test_the_digits_are_the_ones_whose_table_is_published(project: Path) -> None:
    """Sets of several forms have an order of their own; that changes neither digest nor pack of any other."""
    assert pack_folder("digits", 8, project).name == "digits-8-c193706f3da0"
    published = "b8bf4741d870de2c838c89e476075e288657bfba3da2e3ad866ad3f688e71b0a"
    assert pack("digits", 8, project).digest == published
