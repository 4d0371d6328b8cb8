"""``bench data``: what each command prints and how it exits."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers.dataset_files import binary, class_tree, lay, small
from helpers.image_trees import pets_tree
from helpers.tiny_imagenet import TEST, TRAIN, shrink, write_imagenet

from bench.catalog.datasets import DATASETS
from bench.cli import cli
from bench.datasets.source import open_source


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["data", *arguments])


@pytest.fixture
def pets(project: Path) -> Path:
    return pets_tree(project / "pets")


def test_verify_deep_prints_counts_and_examples(pets: Path) -> None:
    result = bench("verify", "--deep", f"folder:{pets}")
    assert result.exit_code == 0, result.stderr
    assert "train: 5 images, 2 to 3 per class, 2 repeat an earlier one" in result.stdout
    assert "test images that are also training images: 1" in result.stdout
    assert "contradicting: train/cat/1.png (cat) = train/dog/1-as-dog.png (dog)" in result.stdout


def test_verify_deep_answers_as_json_also_for_missing_data(pets: Path) -> None:
    result = bench("verify", "--deep", "--json", f"folder:{pets}", "cifar10")
    assert result.exit_code == 3
    content = json.loads(result.stdout)
    assert content["schema"] == 1
    first, second = content["datasets"]
    assert first["contents"]["contradicting"] == {"contents": 1, "images": 2}
    assert (second["state"], "contents" in second) == ("absent", False)


def test_import_refuses_a_data_set_with_other_counts_than_the_official_ones(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has the true catalog, so a small set is refused, by a sentence that counts it."""
    with pytest.MonkeyPatch.context() as patch:
        tree = binary(small("cifar10", patch))
    lay(tree, project / "mine")
    result = CliRunner().invoke(cli, ["data", "get", "cifar10", "--from", "mine"])
    assert result.exit_code == 3
    assert "has 20 images and 20 labels for train instead of 50,000" in result.stderr
    assert open_source("cifar10").status(project / "data").state == "absent"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cifar10", "--from", "nowhere"], "does not exist"),
        (["digits", "--from", "."], "digits is not one of them"),
        (["cifar10", "cifar100", "--from", "."], "--from imports one data set"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_a_worker_starts(
    project: Path, arguments: list[str], sentence: str
) -> None:
    result = CliRunner().invoke(cli, ["data", "get", *arguments])
    assert result.exit_code == (3 if "nowhere" in arguments else 2)
    assert sentence in result.stderr


def test_list_names_every_data_set_with_its_state(project: Path) -> None:
    rows = json.loads(bench("list", "--json").stdout)["datasets"]
    assert [row["dataset"] for row in rows] == list(DATASETS)
    assert {row["dataset"]: row["state"] for row in rows}["digits"] == "ready"
    text = bench("list").stdout
    assert f"folder: {project / 'data'}" in text
    assert "cifar10 is not complete: cifar-10-binary.tar.gz missing from" in text


def test_verify_exits_3_when_a_data_set_is_not_ready(project: Path) -> None:
    result = bench("verify", "digits", "imagenet")
    assert result.exit_code == 3
    assert "digits: ready." in result.stdout
    assert "imagenet: absent." in result.stdout


def test_path_prints_one_folder_per_line(project: Path) -> None:
    folder = class_tree(project / "pets")
    result = bench("path", "cifar10", f"folder:{folder}")
    assert result.stdout.splitlines() == [str(project / "data" / "cifar10"), str(folder)]


@pytest.mark.parametrize("command", ["get", "verify", "card", "path"])
def test_unknown_names_are_refused_together(project: Path, command: str) -> None:
    result = bench(command, "cifar_10", "nothing")
    assert result.exit_code == 2
    assert "did you mean 'cifar10'" in result.stderr
    assert "unknown data set 'nothing'" in result.stderr


def test_get_generates_the_image_list_of_imagenet300(
    project: Path, small_imagenet: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch, "imagenet300", train=3 * TRAIN, test=3 * TEST, classes=3)
    write_imagenet(project / "data", "archives")
    assert exit_code("data", "get", "imagenet300", "--from", "imagenet") == 0
    assert exit_code("data", "verify", "imagenet300") == 0
    assert "imagenet300: ready." in capsys.readouterr().out
    assert exit_code("data", "get", "imagenet300", "--from", "cifar10") == 2
    assert "bench data get imagenet300 --from imagenet" in capsys.readouterr().err


def test_an_image_list_from_an_incomplete_imagenet_is_not_ready(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_imagenet(project / "data", "folders")
    assert exit_code("data", "get", "imagenet300", "--from", "imagenet") == 3
    found = capsys.readouterr()
    assert "imagenet300: incomplete." in found.out
    assert "24 of 300,000 images" in found.out


def exit_code(*arguments: str) -> int:
    """Of the command line, in this process."""
    with pytest.raises(SystemExit) as left:
        cli(list(arguments), prog_name="bench")
    return int(left.value.code or 0)
