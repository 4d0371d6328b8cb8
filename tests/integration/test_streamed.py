"""Whole cells and suites on streamed data: small trees with the official structure, of real photos."""

import re
from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.cli import bench
from helpers.runs import attempt_of
from helpers.streaming import FLIP, RESIZED_CROP, with_nonstandard
from helpers.tiny_imagenet import (
    train_images,
    val_images,
    write_clothing,
    write_folders,
    write_imagenet,
)

from bench.errors import InterruptedTrainingError
from bench.worker.train import run as train
from bench.workspace.events import DataLoaded, NonstandardImages, Resumed
from bench.workspace.journal import Journal, read_from
from bench.workspace.paths import CellFolder

ROOT = Path(__file__).parents[2]


def test_a_cell_that_was_interrupted_inside_an_epoch_ends_equal_to_the_bit(
    imagenet_home: Path, make_cell: MakeCell, tmp_path: Path
) -> None:
    cell = make_cell(
        dataset="imagenet", augment=(RESIZED_CROP, FLIP), input_size=32, batch_size=4, epochs=2, stem="standard"
    )
    undisturbed, cut = CellFolder(tmp_path / "one"), CellFolder(tmp_path / "two")
    for folder in (undisturbed, cut):
        folder.attempt(1).root.mkdir(parents=True)
        folder.environment.write_text("{}")
    with Journal(undisturbed.attempt(1).journal) as journal:
        train(attempt_of(cell, undisturbed, imagenet_home), journal, lambda: False)
    steps = iter([False, False, False, False, True])
    with Journal(cut.attempt(1).journal) as journal:
        with pytest.raises(InterruptedTrainingError):
            train(attempt_of(cell, cut, imagenet_home), journal, lambda: next(steps))
        train(attempt_of(cell, cut, imagenet_home), journal, lambda: False)
    events = read_from(cut.attempt(1).journal)[0]
    assert next(event.steps_done for event in events if isinstance(event, Resumed)) == 5
    assert cut.weights.read_bytes() == undisturbed.weights.read_bytes()


TITLES = {
    "imagenet": "ImageNet",
    "imagenet300": "ImageNet (300 images a class)",
    "clothing1m": "Clothing1M",
}
IMAGES = {"imagenet": (26, 12, 1000), "imagenet300": (26, 12, 1000), "clothing1m": (28, 14, 14)}
"""Training images, test images and outputs of the net."""


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("imagenet", "shufflenet_v2_x0_5"),
        pytest.param("imagenet300", "mobilenet_v2", marks=pytest.mark.slow),
        pytest.param("clothing1m", "resnet18", marks=pytest.mark.slow),
    ],
)
def test_a_suite_runs_on_a_miniature_tree_with_the_official_structure(project: Path, name: str, model: str) -> None:
    """imagenet and imagenet300 from archives, with a non-standard and a broken file."""
    data = project / "data"
    write_imagenet(data, "archives", with_nonstandard(train_images(), "grey.JPEG", "cut.JPEG"))
    write_clothing(data)
    if name == "imagenet300":
        made = bench("data", "get", "imagenet300", "--from", "imagenet")
        assert made.returncode == 3, "it is made, of an ImageNet that is not complete"
    small_imagenet = ["--filter", f"model={model}", "--set", "recipe.precision=fp32", "--set", "recipe.input_size=32"]
    small_imagenet += ["--set", "recipe.epochs=1", "--set", "recipe.batch_size=12", "--device", "cpu", "--offline"]
    suite = str(ROOT / "suites" / f"{name}.yaml")
    refused = bench("run", suite, *small_imagenet)
    assert refused.returncode == 3
    assert f"{name} is not complete in" in refused.stderr
    done = bench("run", suite, *small_imagenet, "--max-images-per-class", "12")
    assert done.returncode == 0, done.stderr
    assert f"## {TITLES[name]}, at most 12 images per class" in done.stdout
    (journal,) = (project / ".bench" / "cells").glob("*/attempt-1/journal.jsonl")
    events = {event.name: event for event in read_from(journal)[0]}
    counts = events["data"]
    assert isinstance(counts, DataLoaded)
    assert (counts.train_images, counts.test_images, counts.classes) == IMAGES[name]
    if name != "clothing1m":
        # the grey image stands behind the broken one, and so is read once more in its stead
        nonstandard = events["nonstandard_images"]
        assert isinstance(nonstandard, NonstandardImages)
        assert (nonstandard.counts["broken"], nonstandard.counts["grey"]) == (1, 2)


def test_one_folder_is_packed_and_streamed_in_one_suite(project: Path) -> None:
    """random_resized_crop works on a small folder of photos; a recipe without it trains on the same folder's pack."""
    write_folders(project / "photos" / "train", train_images())
    write_folders(project / "photos" / "val", val_images())
    (project / "photos.yaml").write_text(
        "suite: photos\n"
        "recipe: {epochs: 1, batch_size: 8, input_size: 32}\n"
        "grid:\n"
        + "".join(
            f"  - {{model: shufflenet_v2_x0_5, dataset: 'folder:photos', schedule: cosine, recipe: {recipe}}}\n"
            for recipe in ("{augment: [random_resized_crop, horizontal_flip]}", "{augment: [horizontal_flip]}")
        )
    )
    done = bench("run", "photos.yaml", "--device", "cpu", "--offline")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| shufflenet_v2_x0_5 \| random_resized_crop", done.stdout, re.MULTILINE), "a row of the table"
    assert len(list((project / "data" / "indexed").glob("folder-photos-*/card.json"))) == 1
    assert len(list((project / "data" / "packed").glob("folder-photos-32-*/card.json"))) == 1
    events = [read_from(path)[0] for path in (project / ".bench" / "cells").glob("*/attempt-1/journal.jsonl")]
    digests = {event.digest for journal in events for event in journal if isinstance(event, DataLoaded)}
    assert len(digests) == 2


@pytest.mark.parametrize("command", [["run", "--device", "cpu", "--offline"], ["plan"]])
def test_an_augmentation_that_the_data_set_cannot_have_is_refused(project: Path, command: list[str]) -> None:
    (project / "tiny.yaml").write_text(
        "suite: tiny\nrecipe: {augment: [random_resized_crop]}\n"
        "grid: {model: resnet18, dataset: digits, schedule: cosine}\n"
    )
    done = bench(*command, "tiny.yaml")
    assert done.returncode == 2
    assert "random_resized_crop crops image files, but the images of digits are decoded once" in done.stderr
