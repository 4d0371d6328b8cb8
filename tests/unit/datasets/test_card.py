"""Cards of data sets."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers.image_trees import pets_tree

from bench.catalog.datasets import DATASETS
from bench.cli import cli
from bench.worker.data.pack import pack


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["data", *arguments])


@pytest.fixture
def pets(project: Path) -> Path:
    return pets_tree(project / "pets")


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
