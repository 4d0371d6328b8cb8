"""Data sets whose files are read as they are trained on: index, batches, odd files, parts of data sets; real photos."""

import json
import os
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MakeCell
from helpers.cli import bench
from helpers.tiny_imagenet import (
    FORMS,
    TEST,
    TRAIN,
    WNIDS,
    Images,
    encoded,
    jpeg,
    photo,
    shrink,
    train_images,
    val_images,
    write_clothing,
    write_folders,
    write_imagenet,
)

from bench.catalog.datasets import DATASETS
from bench.catalog.training import AUGMENTATIONS, with_defaults
from bench.datasets import prepared
from bench.datasets.manual import rank
from bench.datasets.prepared import augmentation_problem, index_folder, look
from bench.errors import DataError, InterruptedTrainingError
from bench.report.table import build_tables
from bench.suite import parse_suite
from bench.values import Attempt, Cell, Component, DataKey, Mode, Recipe, from_json, to_json
from bench.worker import speed
from bench.worker.data import index as indexing
from bench.worker.data.batches import Batch
from bench.worker.data.dataset import load
from bench.worker.data.file_batches import TestFiles, TrainFiles
from bench.worker.data.index import IndexedDataset, index
from bench.worker.data.pack import PackedDataset
from bench.worker.data.stream import StreamedTestBatches, StreamedTrainBatches, nonstandard_images
from bench.worker.train import run as train
from bench.workspace.events import DataLoaded, NonstandardImages, Resumed
from bench.workspace.journal import Journal, read_from
from bench.workspace.paths import CellFolder

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


def choice(name: str, **options: object) -> Component:
    return with_defaults(name, options, AUGMENTATIONS[name].options)  # type: ignore[arg-type]


RESIZED_CROP, FLIP = choice("random_resized_crop"), choice("horizontal_flip")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published numbers are those of the small trees."""
    shrink(monkeypatch, "imagenet", train=3 * TRAIN, test=3 * TEST, classes=3)


@pytest.fixture
def home(tmp_path: Path, small: None) -> Path:
    """A data folder with a complete small ImageNet."""
    write_imagenet(tmp_path, "folders")
    return tmp_path


def indexed(home: Path, limit: int | None = None, name: str = "imagenet") -> IndexedDataset:
    return index(name, limit, home, workers=2)


def pixels(batches: Iterator[Batch]) -> list[bytes]:
    return [images.numpy().tobytes() + labels.numpy().tobytes() for images, labels in batches]


def leftovers(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "indexed").iterdir() if not path.name.endswith(".lock"))


# --- Index -----------------------------------------------------------------------------------------------------------


def test_every_form_of_imagenet_has_one_digest_and_the_same_pixels(tmp_path: Path, small: None) -> None:
    found = set()
    for form in FORMS:
        write_imagenet(tmp_path / form, form)
        data = indexed(tmp_path / form)
        batches = TestFiles(data.test, size=32, batch_size=5, workers=2)
        train_files = TrainFiles(data.train, size=32, batch_size=6, seed=0, workers=2)
        content = b"".join(pixels(iter(batches)) + pixels(train_files.epoch(0)))
        found.add((data.digest, data.classes, data.train_labels.tobytes(), content))
    assert len(found) == 1


def test_an_index_holds_labels_counts_and_the_published_mean(home: Path) -> None:
    data = indexed(home)
    assert data.classes == WNIDS
    assert data.train_labels.tolist() == [0] * TRAIN + [1] * TRAIN + [2] * TRAIN
    assert data.test_labels.tolist() == [0] * TEST + [1] * TEST + [2] * TEST
    assert (data.mean, data.std) == (DATASETS["imagenet"].mean, DATASETS["imagenet"].std)
    assert digest_of(("imagenet", 224, None), home) == digest_of(("imagenet", 64, None), home) == data.digest


def test_an_index_is_made_once_and_again_when_images_come_or_go(home: Path) -> None:
    first = indexed(home)
    (made,) = leftovers(home)
    before = (home / "indexed" / made / "card.json").stat().st_mtime_ns
    assert indexed(home).digest == first.digest
    assert (home / "indexed" / made / "card.json").stat().st_mtime_ns == before
    (home / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_7.JPEG").rename(
        home / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_8.JPEG"
    )
    assert digest_of(("imagenet", 224, None), home) == ""
    assert indexed(home).digest != first.digest


@pytest.mark.parametrize("damage", ["cut", "no card", "bad card"])
def test_a_damaged_index_is_made_anew(home: Path, damage: str) -> None:
    digest = indexed(home).digest
    folder = index_folder("imagenet", None, home)
    if damage == "cut":
        content = (folder / "names.bin").read_bytes()
        (folder / "names.bin").write_bytes(content[:-1])
    elif damage == "no card":
        (folder / "card.json").unlink()
    else:
        (folder / "card.json").write_text("{")
    assert indexed(home).digest == digest


def test_an_incomplete_data_set_gets_no_index(home: Path) -> None:
    (home / "imagenet" / "val" / WNIDS[0] / "ILSVRC2012_val_00000001.JPEG").unlink()
    with pytest.raises(DataError, match="val has 3 of 3 classes and 11 of 12 images"):
        indexed(home)
    assert leftovers(home) == []


def test_an_empty_file_gets_no_index(home: Path) -> None:
    (home / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_7.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match=r"_7\.JPEG is empty; download it again"):
        indexed(home)


def test_a_full_disk_leaves_no_index(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"imagenet cannot be indexed in .*: No space left on device"):
        indexed(home)
    assert leftovers(home) == []


def test_an_index_is_written_in_pieces(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = indexed(home)
    monkeypatch.setattr(indexing, "CHUNK", 5)
    again = index("imagenet", 1000, home, workers=1)
    assert again.digest == whole.digest
    assert [str(file) for file, _ in again.train] == [str(file) for file, _ in whole.train]


# --- Odd and broken files --------------------------------------------------------------------------------------------


def odd_files() -> dict[str, bytes]:
    """Real photos as grey, CMYK, a PNG named .JPEG, and one that ends early."""
    return {
        "grey.JPEG": encoded(photo(1).convert("L")),
        "cmyk.JPEG": encoded(photo(2).convert("CMYK")),
        "png.JPEG": encoded(photo(3), "PNG"),
        "cut.JPEG": jpeg(4)[:-500],
    }


def with_odd(images: Images, *names: str) -> Images:
    odd = {name: odd_files()[name] for name in names}
    return {**images, WNIDS[1]: {**images[WNIDS[1]], **odd}}


def streamed(data: IndexedDataset, workers: int = 2, **recipe: object) -> StreamedTrainBatches:
    content = {"input_size": 32, "batch_size": 5, "augment": (RESIZED_CROP, FLIP), **recipe}
    base = Recipe(
        epochs=1,
        optimizer=choice("horizontal_flip"),
        label_smoothing=0.0,
        precision="fp32",
        stem="standard",
        **content,  # type: ignore[arg-type]
    )
    return StreamedTrainBatches(data, base, seed=0, device=CPU, workers=workers)


def test_odd_training_files_are_decoded_and_counted_by_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch, "imagenet", train=3 * TRAIN + 3, test=3 * TEST, classes=3)
    write_imagenet(tmp_path, "folders", with_odd(train_images(), "grey.JPEG", "cmyk.JPEG", "png.JPEG"))
    batches = streamed(indexed(tmp_path), batch_size=27)
    assert len(list(batches.epoch(0))) == 1
    assert nonstandard_images(batches) == {"cmyk": 1, "grey": 1, "not_jpeg": 1}
    assert nonstandard_images(batches) == {}


def test_a_broken_training_image_is_replaced_by_the_next_whole_one_and_counted(tmp_path: Path) -> None:
    files = []
    for number, content in enumerate([jpeg(0), b"broken", jpeg(1)[:-300], jpeg(2)]):
        (tmp_path / f"{number}.JPEG").write_bytes(content)
        files.append((tmp_path / f"{number}.JPEG", number))
    batches = TrainFiles(files, size=32, batch_size=4, seed=0, workers=2)
    ((_, labels),) = list(batches.epoch(0))
    assert Counter(labels.tolist()) == {0: 1, 3: 3}
    assert batches.nonstandard == {"broken": 2}


def test_replacing_does_not_depend_on_workers_or_on_where_an_epoch_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch, "imagenet", train=3 * TRAIN + 4, test=3 * TEST, classes=3)
    write_imagenet(tmp_path, "folders", with_odd(train_images(), *odd_files()))
    data = indexed(tmp_path)
    one, two, three = (pixels(streamed(data, workers).epoch(1)) for workers in (1, 2, 3))
    assert one == two == three
    assert pixels(streamed(data).epoch(1, start_step=2)) == one[2:]


def test_training_ends_where_many_images_in_a_row_are_broken(tmp_path: Path) -> None:
    files = []
    for number in range(20):
        (tmp_path / f"{number}.JPEG").write_bytes(b"broken")
        files.append((tmp_path / f"{number}.JPEG", 0))
    with pytest.raises(DataError, match="and so are the 16 training images after it"):
        list(TrainFiles(files, size=32, batch_size=4, seed=0, workers=2).epoch(0))


def test_a_training_file_that_cannot_be_read_is_never_replaced(home: Path) -> None:
    data = indexed(home)
    (home / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_7.JPEG").unlink()
    with pytest.raises(DataError, match=r"_7\.JPEG cannot be read"):
        list(streamed(data, batch_size=24).epoch(0))


def test_a_broken_test_image_is_refused_before_anything_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, "imagenet", train=3 * TRAIN, test=3 * TEST + 1, classes=3)
    write_imagenet(tmp_path, "folders", test=with_odd(val_images(), "cut.JPEG"))
    with pytest.raises(DataError, match=r"a test image is broken, and every test image counts .*cut\.JPEG"):
        indexed(tmp_path)
    assert leftovers(tmp_path) == []


def test_odd_test_images_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, "imagenet", train=3 * TRAIN, test=3 * TEST + 3, classes=3)
    write_imagenet(tmp_path, "folders", test=with_odd(val_images(), "grey.JPEG", "cmyk.JPEG", "png.JPEG"))
    batches = StreamedTestBatches(indexed(tmp_path), 32, batch_size=4, device=CPU, workers=2)
    assert sum(len(images) for images in batches) == 3 * TEST + 3
    assert nonstandard_images(batches) == {"cmyk": 1, "grey": 1, "not_jpeg": 1}


# --- Batches ---------------------------------------------------------------------------------------------------------


def test_streamed_batches_are_normalised_floats_of_three_channels(home: Path) -> None:
    data = indexed(home)
    (batch, *_), bytes_ = (
        list(streamed(data, augment=()).epoch(0)),
        TrainFiles(data.train, size=32, batch_size=5, seed=0, workers=1),
    )
    images, labels = batch
    assert (images.shape, images.dtype, labels.dtype) == ((5, 3, 32, 32), torch.float32, torch.int64)
    assert len(bytes_) == 4
    tested = StreamedTestBatches(data, 32, batch_size=5, device=CPU, workers=1)
    whole = torch.cat([tested.normalise(images) for images in tested])
    assert len(tested.labels) == len(whole)
    assert whole.shape == (3 * TEST, 3, 32, 32)
    assert -2.2 < whole.min() < 0 < whole.max() < 2.7


def test_without_a_random_part_an_image_is_always_seen_at_its_centre(home: Path) -> None:
    data = indexed(home)
    first, second = (
        {
            images[number].numpy().tobytes()
            for images, _ in streamed(data, augment=(), batch_size=4).epoch(epoch)
            for number in range(4)
        }
        for epoch in (0, 1)
    )
    assert first == second
    assert len(first) == 3 * TRAIN


def test_a_recipe_decides_on_part_and_mirror(home: Path) -> None:
    data = indexed(home)
    always, whole = choice("horizontal_flip", p=1.0), choice("random_resized_crop", area=[1.0, 1.0], ratio=[1.0, 1.0])

    def seen(*augment: Component) -> torch.Tensor:
        return torch.cat([images for images, _ in streamed(data, augment=augment).epoch(0)])

    assert torch.equal(seen(always), seen().flip(3))
    assert torch.equal(seen(whole, always), seen(whole).flip(3))
    assert not torch.equal(seen(RESIZED_CROP), seen())
    assert not torch.equal(seen(RESIZED_CROP), seen(whole))
    erased = seen(choice("random_erasing", p=1.0))
    assert 0.01 < (erased != seen()).float().mean() < 0.35


def problem(cell: Cell, *augment: Component, dataset: str = "imagenet") -> str:
    return augmentation_problem(replace(cell, dataset=dataset, recipe=replace(cell.recipe, augment=augment))) or ""


def test_augmentations_that_cannot_be_done_are_told_before_work_starts(make_cell: MakeCell) -> None:
    cell = make_cell()
    assert problem(cell, RESIZED_CROP, FLIP) == problem(cell, FLIP) == problem(cell, dataset="digits") == ""
    assert "kept decoded at the input size" in problem(cell, RESIZED_CROP, dataset="digits")
    assert "once and first" in problem(cell, FLIP, RESIZED_CROP)
    assert "once and first" in problem(cell, RESIZED_CROP, RESIZED_CROP)
    assert "two rising numbers for area" in problem(cell, choice("random_resized_crop", area=[1.0, 0.1]))


def test_the_command_refuses_them_too(project: Path) -> None:
    (project / "tiny.yaml").write_text(
        "suite: tiny\nrecipe: {augment: [random_resized_crop]}\n"
        "grid: {model: resnet18, dataset: digits, schedule: cosine}\n"
    )
    done = bench("run", "tiny.yaml", "--device", "cpu", "--offline")
    assert done.returncode == 2
    assert "random_resized_crop takes a part of an image file, and the images of digits are kept" in done.stderr


def test_a_folder_is_streamed_when_its_pack_would_be_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folders(tmp_path / "tree" / "train", train_images())
    write_folders(tmp_path / "tree" / "val", val_images())
    name = f"folder:{tmp_path / 'tree'}"
    assert isinstance(load((name, 16, None), tmp_path, workers=2), PackedDataset)
    monkeypatch.setattr(prepared, "STREAM_ABOVE", 36 * 3 * 16 * 16)
    assert isinstance(load((name, 16, None), tmp_path, workers=2), PackedDataset)
    data = load((name, 17, None), tmp_path, workers=2)
    assert isinstance(data, IndexedDataset)
    assert data.classes == WNIDS
    assert data.num_classes == 3
    assert all(0.2 < value < 0.8 for value in data.mean)
    assert all(0.05 < value < 0.5 for value in data.std)
    assert digest_of((name, 17, None), tmp_path) == data.digest


def test_opening_an_index_of_a_million_images_takes_little_memory(tmp_path: Path) -> None:
    count, name = 1_000_000, b"train/n01440764/n01440764_1.JPEG"
    rows = np.zeros(count, dtype=indexing.PLACE)
    rows["length"], rows["archive"], rows["label"] = len(name), -1, np.arange(count) % 1000
    contents = {"train.bin": rows.tobytes(), "test.bin": rows[:10].tobytes(), "names.bin": name}
    for file, content in contents.items():
        (tmp_path / file).write_bytes(content)
    card = {"root": "/data", "archives": [], "classes": ["a"], "num_classes": 1000, "mean": [0.5], "std": [1.0]}
    sizes = {file: len(content) for file, content in contents.items()}
    (tmp_path / "card.json").write_text(json.dumps({**card, "digest": "d", "bytes": sizes}))
    del rows, contents
    tracemalloc.start()
    try:
        data = indexing.open_index(tmp_path, "imagenet")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert data is not None
    assert data.train[999_999] == (Path("/data/train/n01440764/n01440764_1.JPEG"), 999)
    assert peak < 30e6, "the labels, 8 bytes each, twice"


# --- Parts of data sets ----------------------------------------------------------------------------------------------


def test_a_part_has_the_first_images_of_each_class_by_rank(home: Path) -> None:
    data = indexed(home, limit=3)
    assert data.train_labels.tolist() == data.test_labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    names = {Path(str(file)).name for file, _ in data.train}
    for wnid, files in train_images().items():
        assert set(sorted(files, key=lambda name: rank("imagenet300", wnid, name))[:3]) <= names
    assert data.digest != indexed(home).digest
    assert digest_of(("imagenet", 32, 3), home) == data.digest


def test_a_part_of_an_incomplete_data_set_keeps_the_published_number_of_classes(tmp_path: Path) -> None:
    write_imagenet(tmp_path, "archives")
    data = indexed(tmp_path, limit=2)
    assert (len(data.classes), data.num_classes) == (3, 1000)
    assert len(data.train) == len(data.test) == 6


def test_a_part_of_a_packed_data_set_is_the_same_each_time(tmp_path: Path) -> None:
    data, again, whole = (load(("digits", 8, limit), tmp_path, workers=1) for limit in (5, 5, None))
    assert isinstance(data, PackedDataset)
    assert isinstance(again, PackedDataset)
    assert np.bincount(data.train_labels).tolist() == np.bincount(data.test_labels).tolist() == [5] * 10
    assert np.array_equal(data.train_images, again.train_images)
    assert data.digest == again.digest == digest_of(("digits", 8, 5), tmp_path) != whole.digest


def test_a_part_makes_other_cells_and_other_tables(make_cell: MakeCell) -> None:
    source = "suite: s\ngrid: {model: resnet18, dataset: [imagenet, digits], schedule: cosine}\n"
    whole = parse_suite(source, "s.yaml")
    part = parse_suite(source, "s.yaml", overrides=["recipe.max_images_per_class=10"])
    assert not {cell.id for cell in whole.cells} & {cell.id for cell in part.cells}
    assert from_json(Cell, to_json(part.cells[0])) == part.cells[0]
    both = replace(whole, cells=whole.cells + part.cells)
    assert [table.title for table in build_tables(both, {})] == [
        "ImageNet",
        "Digits",
        "ImageNet, at most 10 images a class",
        "Digits, at most 10 images a class",
    ]


def vars_of(cell: Cell) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(cell)


def test_the_id_of_a_cell_on_a_whole_data_set_is_what_it_was_before_there_were_parts() -> None:
    source = "suite: s\ngrid: {model: resnet18, dataset: digits, schedule: cosine}\n"
    assert parse_suite(source, "s.yaml").cells[0].id == "526bdce3f180"


def digest_of(key: DataKey, home: Path) -> str:
    found = look(key, home)
    return found.digest if found else ""


def test_the_speed_of_a_cell_on_streamed_images_can_be_measured(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WARM_UP_STEPS", "MIN_STEPS"):
        monkeypatch.setattr(speed, name, 1)
    cell = make_cell(dataset="imagenet", augment=(RESIZED_CROP, FLIP), input_size=32, batch_size=4, stem="standard")
    mode = {"threads": 1}
    request = {"cell": asdict(cell), "num_classes": 10, "mode": mode, "device": "cpu", "deterministic": False}
    assert speed.measure(request, None).keys() == {"images_per_s", "warm_up_s", "peak_mb"}


# --- Whole runs ------------------------------------------------------------------------------------------------------


def attempt(cell: Cell, root: Path, home: Path, threads: int = 1) -> Attempt:
    return Attempt(
        cell=cell,
        number=1,
        folder=str(root),
        data_home=str(home),
        device="cpu",
        mode=Mode(threads=threads),
        suite="s",
        series="s",
        created_ms=0,
    )


def test_a_cell_that_was_interrupted_inside_an_epoch_ends_equal_to_the_bit(
    home: Path, make_cell: MakeCell, tmp_path: Path
) -> None:
    cell = make_cell(
        dataset="imagenet", augment=(RESIZED_CROP, FLIP), input_size=32, batch_size=4, epochs=2, stem="standard"
    )
    undisturbed, cut = CellFolder(tmp_path / "one"), CellFolder(tmp_path / "two")
    for folder in (undisturbed, cut):
        folder.attempt(1).root.mkdir(parents=True)
        folder.environment.write_text("{}")
    with Journal(undisturbed.attempt(1).journal) as journal:
        train(attempt(cell, undisturbed.root, home), journal, lambda: False)
    steps = iter([False, False, False, False, True])
    with Journal(cut.attempt(1).journal) as journal:
        with pytest.raises(InterruptedTrainingError):
            train(attempt(cell, cut.root, home), journal, lambda: next(steps))
        train(attempt(cell, cut.root, home), journal, lambda: False)
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
def test_a_suite_runs_on_a_miniature_tree_in_the_official_layout(project: Path, name: str, model: str) -> None:
    """imagenet and imagenet300 from archives, with an odd and a broken file."""
    data = project / "data"
    write_imagenet(data, "archives", with_odd(train_images(), "grey.JPEG", "cut.JPEG"))
    write_clothing(data)
    if name == "imagenet300":
        made = bench("data", "get", "imagenet300", "--from", "imagenet")
        assert made.returncode == 3, "it is made, of an ImageNet that is not complete"
    small = ["--filter", f"model={model}", "--set", "recipe.precision=fp32", "--set", "recipe.input_size=32"]
    small += ["--set", "recipe.epochs=1", "--set", "recipe.batch_size=12", "--device", "cpu", "--offline"]
    suite = str(ROOT / "suites" / f"{name}.yaml")
    refused = bench("run", suite, *small)
    assert refused.returncode == 3
    assert f"{name} is not complete in" in refused.stderr
    done = bench("run", suite, *small, "--max-images-per-class", "12")
    assert done.returncode == 0, done.stderr
    assert f"## {TITLES[name]}, at most 12 images a class" in done.stdout
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
