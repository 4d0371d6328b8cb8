"""Image folders: what is accepted, in which order images come, and what is refused."""

import os
from pathlib import Path

import pytest
from helpers.dataset_files import class_tree
from helpers.users import open_folder, ordinary_user

from bench.datasets.image_folder import open_image_folder
from bench.datasets.splits import WHOLE, ImageRecord
from bench.datasets.walk import LEADS_ABOVE, OUTSIDE_CLASSES, image_names
from bench.errors import DataError


def test_test_goes_before_val(tmp_path: Path) -> None:
    assert open_image_folder(class_tree(tmp_path, splits=("train", "test", "val"))).test.name == "test"


def test_a_folder_without_a_test_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no val/ or test/"):
        open_image_folder(class_tree(tmp_path, splits=("train",)))


def test_a_folder_without_a_train_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no train/"):
        open_image_folder(class_tree(tmp_path, splits=("test",)))


def test_classes_that_differ_are_named(tmp_path: Path) -> None:
    class_tree(tmp_path, splits=("train",), classes=("cat", "dog", "cow"))
    class_tree(tmp_path, splits=("test",), classes=("cat", "dog", "owl"))
    with pytest.raises(DataError, match=r"cow \(only in train/\), owl \(only in test/\)"):
        open_image_folder(tmp_path)


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    root = class_tree(tmp_path)
    for file in (root / "test" / "dog").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="test/dog holds no image"):
        open_image_folder(root)


def test_one_class_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 2"):
        open_image_folder(class_tree(tmp_path, classes=("cat",)))


def test_a_folder_that_may_not_be_read_is_a_sentence() -> None:
    with open_folder() as folder:
        root = class_tree(folder)
        locked = root / "train" / "dog"
        locked.chmod(0)
        with ordinary_user(), pytest.raises(DataError, match="dog may not be read by this user"):
            open_image_folder(root)
        locked.chmod(0o755)


def test_image_names_go_depth_first_and_leave_out_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", ".hidden.png", "notes.txt", "sub/c.webp", "sub/.d/e.png", "d.bmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = [name.removeprefix(f"{tmp_path}/") for name in image_names(str(tmp_path))]
    assert names == ["a.JPG", "b.png", "d.bmp", "sub/c.webp"]


def test_records_have_class_name_and_file_also_below_a_subfolder(tmp_path: Path) -> None:
    root = class_tree(tmp_path / "pets")
    (root / "train" / "cat" / "sub").mkdir()
    (root / "train" / "cat" / "0.png").rename(root / "train" / "cat" / "sub" / "0.png")
    records = list(open_image_folder(root).records("train"))
    size = (root / "train/cat/1.png").stat().st_size
    assert records[0] == ImageRecord("cat", "1.png", "train/cat/1.png", WHOLE, size)
    assert [record.name for record in records] == ["1.png", "2.png", "sub/0.png", "0.png", "1.png", "2.png"]
    assert all((root / record.file).is_file() for record in records)


def test_the_signature_changes_with_names_sizes_and_times(tmp_path: Path) -> None:
    root = class_tree(tmp_path / "pets")
    before = open_image_folder(root).signature()
    assert open_image_folder(root).signature() == before
    os.utime(root / "train" / "cat" / "0.png", ns=(1, 1))
    touched = open_image_folder(root).signature()
    (root / "train" / "cat" / "0.png").rename(root / "train" / "cat" / "9.png")
    assert len({before[1], touched[1], open_image_folder(root).signature()[1]}) == 3
    assert before[0] == str(root)


def test_a_class_of_other_files_alone_is_refused_with_what_was_seen_and_what_is_read(tmp_path: Path) -> None:
    root = class_tree(tmp_path)
    for number, file in enumerate(sorted((root / "train" / "cat").iterdir())):
        file.rename(file.with_suffix("" if number == 0 else ".jfif"))
    with pytest.raises(DataError) as caught:
        open_image_folder(root)
    assert "train/cat holds no image among its files (2 .jfif, 1 without a suffix)" in str(caught.value)
    assert ".jpg, .jpeg, .png" in str(caught.value)


def test_classes_that_differ_in_their_unicode_form_alone_are_said_to(tmp_path: Path) -> None:
    class_tree(tmp_path, splits=("train",), classes=("caf\u00e9", "dog"))
    class_tree(tmp_path, splits=("test",), classes=("cafe\u0301", "dog"))
    with pytest.raises(DataError, match="caf\u00e9 is the same name in two Unicode forms"):
        open_image_folder(tmp_path)


def test_what_is_left_out_of_both_splits_is_counted(tmp_path: Path) -> None:
    root = class_tree(tmp_path)
    (root / "train" / "cat" / "3.gif").write_bytes(b"GIF89a")
    (root / "test" / "dog" / "notes.txt").write_text("")
    (root / "train" / "4.png").write_bytes(b"")
    (root / "train" / "all").symlink_to("/")
    assert open_image_folder(root).left_out() == {".gif": 1, ".txt": 1, OUTSIDE_CLASSES: 1, LEADS_ABOVE: 1}
    assert open_image_folder(root).class_names == ("cat", "dog")
