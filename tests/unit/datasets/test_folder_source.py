"""The source of image folders: status, facts and number of classes."""

import shutil
from pathlib import Path

import pytest
from helpers.dataset_files import class_tree
from PIL import Image

from bench.datasets.source import open_source
from bench.errors import DataError
from bench.suite import parse_suite
from bench.worker.data.pack import pack


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_folder_with_test_or_val_is_ready(tmp_path: Path, split: str) -> None:
    root = class_tree(tmp_path / "pets", splits=("train", split))
    found = open_source(f"folder:{root}").status(tmp_path, deep=True)
    assert found.state == "ready"
    assert f"{split}/ 6 images (3 per class)" in found.sentence
    assert open_source(f"folder:{root}").num_classes == 2


def test_a_missing_folder_and_a_file_are_distinguished(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="there is no folder"):
        _ = open_source(f"folder:{tmp_path / 'missing'}").num_classes
    with pytest.raises(DataError, match="is not a folder"):
        _ = open_source(f"folder:{tmp_path / 'file'}").num_classes


def test_a_corrupt_image_is_named_by_a_deep_status(tmp_path: Path) -> None:
    (class_tree(tmp_path) / "train" / "cat" / "1.png").write_bytes(b"not an image")
    found = open_source(f"folder:{tmp_path}").status(tmp_path, deep=True)
    assert found.state == "corrupt"
    assert "train/cat/1.png" in found.sentence
    assert "train/ 6 images (3 per class)" in found.sentence


def test_a_dangling_link_is_a_corrupt_image(tmp_path: Path) -> None:
    (class_tree(tmp_path) / "train" / "cat" / "1.png").unlink()
    (tmp_path / "train" / "cat" / "1.png").symlink_to(tmp_path / "nowhere.png")
    status = open_source(f"folder:{tmp_path}").status(tmp_path, deep=True)
    assert (status.state, "1 cannot be read:" in status.sentence) == ("corrupt", True)


def test_facts_count_the_images(tmp_path: Path) -> None:
    facts = open_source(f"folder:{class_tree(tmp_path)}").facts()
    assert [facts.num_classes, facts.train_images, facts.test_images, facts.input_size] == [2, 6, 6, 8]


def test_fetch_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        open_source(f"folder:{tmp_path / 'missing'}").fetch(tmp_path)
    open_source(f"folder:{class_tree(tmp_path / 'pets')}").fetch(tmp_path)


def test_a_deep_status_names_every_broken_image_and_what_is_left_out_or_ignored(tmp_path: Path) -> None:
    root = class_tree(tmp_path, splits=("train", "test", "val"))
    for number, content in enumerate((b"", b"<html>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")):
        (root / "train" / "cat" / f"{number}.png").write_bytes(content)
    for name in ("a.gif", "b.gif"):
        (root / "train" / "dog" / name).write_bytes(b"")
    exif = Image.Exif()
    exif[274] = 3
    Image.new("RGB", (8, 8)).save(root / "test" / "dog" / "turned.jpg", exif=exif)
    found = open_source(f"folder:{root}").status(tmp_path, deep=True)
    assert found.state == "corrupt"
    assert all(f"train/cat/{number}.png" in found.sentence for number in range(3))
    assert "0x" not in found.sentence
    assert "2 files are left out (2 .gif)" in found.sentence
    assert "val/ is not used, because there is a test/" in found.sentence
    assert "1 with an EXIF orientation, which is ignored" in found.sentence


def test_remarks_say_what_is_not_used_and_nothing_of_a_clean_folder(tmp_path: Path) -> None:
    source = open_source(f"folder:{class_tree(tmp_path)}")
    assert source.remarks(tmp_path) == []
    (tmp_path / "train" / "dog" / "a.gif").write_bytes(b"")
    assert source.remarks(tmp_path) == ["1 file is left out (1 .gif)"]
    assert open_source("digits").remarks(tmp_path) == []


def tree_of(root: Path, *sizes: tuple[int, int]) -> str:
    """A folder with a class per size, of one image in each split."""
    for split in ("train", "val"):
        for number, size in enumerate(sizes):
            (root / split / f"class{number}").mkdir(parents=True)
            Image.new("RGB", size).save(root / split / f"class{number}" / "0.png")
    return f"folder:{root}"


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(32, 32)] * 3, 32),
        ([(64, 64)] * 2, 64),
        ([(65, 65)] * 2, 224),
        ([(32, 32), (28, 28)], 224),
        ([(32, 28)] * 2, 224),
        ([(500, 375), (32, 32)], 224),
    ],
)
def test_small_images_of_one_size_keep_it_unless_the_suite_says_otherwise(
    tmp_path: Path, sizes: list[tuple[int, int]], expected: int
) -> None:
    name = tree_of(tmp_path, *sizes)
    assert open_source(name).input_size == expected
    text = "suite: s\nRECIPE\ngrid: {model: resnet18, dataset: 'NAME', schedule: cosine}\n".replace("NAME", name)
    for recipe, size in (("", expected), ("recipe: {input_size: 40}", 40)):
        assert parse_suite(text.replace("RECIPE", recipe), "f.yaml").cells[0].recipe.input_size == size


def test_a_folder_that_is_gone_keeps_the_size_that_it_was_prepared_with(project: Path) -> None:
    name = tree_of(project / "tree", (8, 8), (8, 8))
    assert pack(name, 8, project / "data").digest
    shutil.rmtree(project / "tree")
    assert open_source(name).input_size == 8
    assert open_source("folder:other").input_size == 224


def test_remarks_say_that_images_are_enlarged(tmp_path: Path) -> None:
    source = open_source(tree_of(tmp_path, (32, 32), (500, 375)))
    assert source.remarks(tmp_path, [32]) == []
    [remark] = source.remarks(tmp_path, [32, 224])
    assert remark.startswith("images are enlarged to input_size 224: of the 4 that were looked at")
    assert "2 are smaller, down to 32 pixels" in remark
