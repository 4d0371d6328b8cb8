"""The source of image folders: status, facts and number of classes."""

from pathlib import Path

import pytest
from helpers.dataset_files import class_tree

from bench.datasets.source import open_source
from bench.errors import DataError


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
    assert (status.state, "1 cannot be read, e.g." in status.sentence) == ("corrupt", True)


def test_facts_count_the_images(tmp_path: Path) -> None:
    facts = open_source(f"folder:{class_tree(tmp_path)}").facts()
    assert [facts.num_classes, facts.train_images, facts.test_images, facts.input_size] == [2, 6, 6, 224]


def test_fetch_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        open_source(f"folder:{tmp_path / 'missing'}").fetch(tmp_path)
    open_source(f"folder:{class_tree(tmp_path / 'pets')}").fetch(tmp_path)
