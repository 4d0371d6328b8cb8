"""ImageNet in every common format, complete and not; small trees of real photos."""

import os
import shutil
from pathlib import Path

import pytest
from helpers.dataset_states import contents, not_ready
from helpers.tiny_imagenet import (
    FORMATS,
    WNIDS,
    devkit_files,
    tar_of,
    train_images,
    train_tar,
    val_images,
    val_tar,
    write_flat,
    write_imagenet,
)

from bench.datasets.source import open_source


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_gives_the_same_images_in_the_same_order(
    format_: str, tmp_path: Path, small_imagenet: None
) -> None:
    write_imagenet(tmp_path, format_)
    files = open_source("imagenet").locate(tmp_path)
    for records, images in ((files.records("train"), train_images()), (files.records("test"), val_images())):
        expected = [(wnid, name, images[wnid][name]) for wnid in WNIDS for name in sorted(images[wnid])]
        assert contents(files.root, records) == expected
    assert tuple(files.classes()) == WNIDS
    for deep in (False, True):
        assert open_source("imagenet").status(tmp_path, deep=deep).state == "ready"


def test_a_link_to_imagenet_is_followed(tmp_path: Path, small_imagenet: None) -> None:
    root = write_imagenet(tmp_path / "elsewhere", "folders")
    (tmp_path / "imagenet").symlink_to(root)
    assert open_source("imagenet").status(tmp_path).state == "ready"


def test_missing_images_are_counted_by_split_and_class(tmp_path: Path, small_imagenet: None) -> None:
    root = write_imagenet(tmp_path, "folders")
    (root / "train" / WNIDS[1] / f"{WNIDS[1]}_7.JPEG").unlink()
    shutil.rmtree(root / "val" / WNIDS[2])
    sentence = not_ready(tmp_path)
    assert f"train has 3 of 3 classes and 23 of 24 images (fewest: 7, in {WNIDS[1]})" in sentence
    assert "val has 2 of 3 classes and 8 of 12 images" in sentence
    assert "--max-images-per-class" in sentence


def test_an_extra_image_is_reported_too(tmp_path: Path, small_imagenet: None) -> None:
    root = write_imagenet(tmp_path, "folders")
    (root / "train" / WNIDS[0] / "more.JPEG").write_bytes(b"x")
    assert "25 of 24 images" in not_ready(tmp_path)


def test_class_archives_that_were_not_extracted_are_reported(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, "folders")
    shutil.rmtree(root / "train")
    (root / "train").mkdir()
    (root / "train" / f"{WNIDS[0]}.tar").write_bytes(b"")
    assert "extract each class archive" in not_ready(tmp_path)


@pytest.mark.parametrize("name", ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.8])
def test_a_truncated_archive_is_never_complete(name: str, kept: float, tmp_path: Path, small_imagenet: None) -> None:
    archive = write_imagenet(tmp_path, "archives") / name
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(kept * len(whole))])
    assert name in not_ready(tmp_path)


def test_an_archive_of_something_else_is_refused(tmp_path: Path, small_imagenet: None) -> None:
    root = write_imagenet(tmp_path, "archives")
    (root / "ILSVRC2012_img_train.tar").write_bytes(val_tar(val_images()))
    assert "holds no class archive (n01440764.tar, ...): it is a different archive" in not_ready(tmp_path)
    (root / "ILSVRC2012_img_train.tar").write_bytes(train_tar(train_images()))
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(tar_of({"readme.txt": b"of 2010"}, "w:gz"))
    assert "does not hold ILSVRC2012_validation_ground_truth.txt and meta.mat" in not_ready(tmp_path)
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(b"<html>please log in</html>")
    assert "is not a complete tar archive" in not_ready(tmp_path)


def test_flat_validation_images_without_ground_truth_are_refused(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, "nothing")
    assert "have no ground truth; put ILSVRC2012_devkit_t12.tar.gz" in not_ready(tmp_path)
    numbers = devkit_files(val_images())["ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"]
    (root / "ILSVRC2012_validation_ground_truth.txt").write_bytes(numbers)
    assert "uses the class numbers of the devkit's meta.mat, which is missing" in not_ready(tmp_path)


def test_a_validation_image_without_ground_truth_is_named(tmp_path: Path, small_imagenet: None) -> None:
    root = write_imagenet(tmp_path, "val.txt")
    (root / "val" / "ILSVRC2012_val_00049999.JPEG").write_bytes(b"x")
    assert "ILSVRC2012_val_00049999.JPEG, which is missing from the ground truth" in not_ready(tmp_path)


@pytest.mark.parametrize("line", ["ILSVRC2012_val_00000002.JPEG fish", "what is this", "a.JPEG 3"])
def test_a_malformed_line_of_a_list_is_refused(line: str, tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, "val.txt")
    (root / "val.txt").write_text(f"ILSVRC2012_val_00000001.JPEG {WNIDS[0]}\n{line}\n")
    assert "val.txt" in not_ready(tmp_path)


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, small_imagenet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_imagenet(tmp_path, "folders")
    plain, locked = os.scandir, root / "train" / WNIDS[1]

    def refuse(folder: Path) -> object:
        if Path(folder) == locked:
            raise PermissionError(13, "Permission denied", str(folder))
        return plain(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # the tests may run as root, who may read everything
    assert f"{locked} may not be read by this user" in not_ready(tmp_path)


def test_a_missing_folder_a_dangling_link_and_an_empty_folder_are_distinguished(tmp_path: Path) -> None:
    assert f"{tmp_path / 'imagenet'} does not exist" in not_ready(tmp_path)
    (tmp_path / "imagenet").symlink_to(tmp_path / "nowhere")
    assert "is a dangling link" in not_ready(tmp_path)
    (tmp_path / "imagenet").unlink()
    (tmp_path / "imagenet").mkdir()
    assert "contains neither train/ nor ILSVRC2012_img_train.tar" in not_ready(tmp_path)


def test_numbers_in_a_list_count_the_sorted_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "imagenet"
    wnids = [f"n{number:08d}" for number in range(1000, 2000)]
    for wnid in wnids:
        (root / "train" / wnid).mkdir(parents=True)
    write_flat(root / "val", {wnids[0]: {"ILSVRC2012_val_00000001.JPEG": b"x", "ILSVRC2012_val_00000002.JPEG": b"x"}})
    (root / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG 999\nILSVRC2012_val_00000002.JPEG 0\n")
    found = [(record.category, record.name) for record in open_source("imagenet").locate(tmp_path).records("test")]
    assert found == [(wnids[0], "ILSVRC2012_val_00000002.JPEG"), (wnids[999], "ILSVRC2012_val_00000001.JPEG")]
