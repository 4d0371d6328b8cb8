"""ImageNet, imagenet300 and Clothing1M as people have them: found, counted, refused; small trees of real photos."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.tiny_imagenet import (
    FORMATS,
    TEST,
    TRAIN,
    WNIDS,
    devkit_files,
    shrink,
    tar_of,
    train_images,
    train_tar,
    val_images,
    val_tar,
    write_clothing,
    write_flat,
    write_imagenet,
)
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import cli
from bench.datasets import imagenet300
from bench.datasets.manual import sampling_key, take_per_class
from bench.datasets.source import open_source, require
from bench.datasets.splits import WHOLE, ImageRecord
from bench.errors import DataError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published numbers are those of the small trees."""
    for name in ("imagenet", "imagenet300"):
        shrink(monkeypatch, name, train=3 * TRAIN, test=3 * TEST, classes=3)


def contents(root: Path, entries: Iterator[ImageRecord]) -> list[tuple[str, str, bytes]]:
    """Class, name and bytes of images, read where the entries say."""
    found = []
    for entry in entries:
        data = (root / entry.file).read_bytes()
        begins = 0 if entry.offset == WHOLE else entry.offset
        found.append((entry.category, entry.name, data[begins : begins + entry.size]))
    return found


# --- ImageNet --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_of_imagenet_gives_the_same_images_in_the_same_order(form: str, tmp_path: Path, small: None) -> None:
    write_imagenet(tmp_path, form)
    files = open_source("imagenet").locate(tmp_path)
    for entries, images in ((files.records("train"), train_images()), (files.records("test"), val_images())):
        expected = [(wnid, name, images[wnid][name]) for wnid in WNIDS for name in sorted(images[wnid])]
        assert contents(files.root, entries) == expected
    assert tuple(files.classes()) == WNIDS
    for deep in (False, True):
        assert open_source("imagenet").status(tmp_path, deep=deep).state == "ready"


def test_a_link_to_imagenet_is_followed(tmp_path: Path, small: None) -> None:
    root = write_imagenet(tmp_path / "elsewhere", "folders")
    (tmp_path / "imagenet").symlink_to(root)
    assert open_source("imagenet").status(tmp_path).state == "ready"


def told(home: Path, name: str = "imagenet") -> str:
    """What is said of a data set that is not ready, by the quick look; the thorough one must not think better of it."""
    found = [open_source(name).status(home, deep=deep) for deep in (False, True)]
    assert "ready" not in [status.state for status in found]
    with pytest.raises(DataError):
        require([name], home, download=False)
    return found[0].sentence


def test_an_incomplete_tree_is_told_by_split_classes_and_images(tmp_path: Path, small: None) -> None:
    root = write_imagenet(tmp_path, "folders")
    (root / "train" / WNIDS[1] / f"{WNIDS[1]}_7.JPEG").unlink()
    shutil.rmtree(root / "val" / WNIDS[2])
    sentence = told(tmp_path)
    assert f"train has 3 of 3 classes and 23 of 24 images (fewest: 7, in {WNIDS[1]})" in sentence
    assert "val has 2 of 3 classes and 8 of 12 images" in sentence
    assert "--max-images-per-class" in sentence


def test_an_image_too_many_is_told_too(tmp_path: Path, small: None) -> None:
    root = write_imagenet(tmp_path, "folders")
    (root / "train" / WNIDS[0] / "more.JPEG").write_bytes(b"x")
    assert "25 of 24 images" in told(tmp_path)


def test_class_archives_that_were_not_unpacked_are_told(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, "folders")
    shutil.rmtree(root / "train")
    (root / "train").mkdir()
    (root / "train" / f"{WNIDS[0]}.tar").write_bytes(b"")
    assert "extract each class archive" in told(tmp_path)


@pytest.mark.parametrize("name", ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.8])
def test_an_archive_that_ends_early_is_never_complete(name: str, kept: float, tmp_path: Path, small: None) -> None:
    archive = write_imagenet(tmp_path, "archives") / name
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(kept * len(whole))])
    assert name in told(tmp_path)


def test_an_archive_of_something_else_is_told(tmp_path: Path, small: None) -> None:
    root = write_imagenet(tmp_path, "archives")
    (root / "ILSVRC2012_img_train.tar").write_bytes(val_tar(val_images()))
    assert "holds no class archive (n01440764.tar, ...): it is a different archive" in told(tmp_path)
    (root / "ILSVRC2012_img_train.tar").write_bytes(train_tar(train_images()))
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(tar_of({"readme.txt": b"of 2010"}, "w:gz"))
    assert "does not hold ILSVRC2012_validation_ground_truth.txt and meta.mat" in told(tmp_path)
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(b"<html>please log in</html>")
    assert "is not a complete tar archive" in told(tmp_path)


def test_flat_validation_images_without_their_classes_are_told(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, "nothing")
    assert "have no ground truth; put ILSVRC2012_devkit_t12.tar.gz" in told(tmp_path)
    numbers = devkit_files(val_images())["ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"]
    (root / "ILSVRC2012_validation_ground_truth.txt").write_bytes(numbers)
    assert "uses the class numbers of the devkit's meta.mat, which is missing" in told(tmp_path)


def test_a_validation_image_that_the_ground_truth_lacks_is_told(tmp_path: Path, small: None) -> None:
    root = write_imagenet(tmp_path, "val.txt")
    (root / "val" / "ILSVRC2012_val_00049999.JPEG").write_bytes(b"x")
    assert "ILSVRC2012_val_00049999.JPEG, which is missing from the ground truth" in told(tmp_path)


@pytest.mark.parametrize("line", ["ILSVRC2012_val_00000002.JPEG fish", "what is this", "a.JPEG 3"])
def test_a_line_of_a_list_that_means_nothing_is_told(line: str, tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, "val.txt")
    (root / "val.txt").write_text(f"ILSVRC2012_val_00000001.JPEG {WNIDS[0]}\n{line}\n")
    assert "val.txt" in told(tmp_path)


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_imagenet(tmp_path, "folders")
    plain, locked = os.scandir, root / "train" / WNIDS[1]

    def refuse(folder: Path) -> object:
        if Path(folder) == locked:
            raise PermissionError(13, "Permission denied", str(folder))
        return plain(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # the tests may run as root, who may read everything
    assert f"{locked} may not be read by this user" in told(tmp_path)


def test_no_imagenet_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    assert f"{tmp_path / 'imagenet'} does not exist" in told(tmp_path)
    (tmp_path / "imagenet").symlink_to(tmp_path / "nowhere")
    assert "is a dangling link" in told(tmp_path)
    (tmp_path / "imagenet").unlink()
    (tmp_path / "imagenet").mkdir()
    assert "contains neither train/ nor ILSVRC2012_img_train.tar" in told(tmp_path)


def test_a_part_of_a_data_set_is_enough_where_a_part_is_asked_for(tmp_path: Path) -> None:
    write_imagenet(tmp_path, "folders")
    require(["imagenet"], tmp_path, download=False, partly={"imagenet"})
    with pytest.raises(DataError, match="train has 3 of 1,000 classes"):
        require(["imagenet"], tmp_path, download=False)


# --- imagenet300 -----------------------------------------------------------------------------------------------------


@given(
    st.permutations(
        [ImageRecord(wnid, f"{wnid}_{number}.JPEG", "x", WHOLE, 1) for wnid in WNIDS for number in range(9)]
    )
)
def test_the_first_images_by_rank_do_not_depend_on_the_order_of_files(entries: list[ImageRecord]) -> None:
    found = {(entry.category, entry.name) for entry in take_per_class(entries, "imagenet300", 4)}
    expected = set()
    for wnid in WNIDS:
        names = sorted(
            (f"{wnid}_{number}.JPEG" for number in range(9)), key=lambda n: sampling_key("imagenet300", wnid, n)
        )
        expected |= {(wnid, name) for name in names[:4]}
    assert found == expected


def test_the_rank_is_the_sha256_of_the_documented_text() -> None:
    # sha256sum of imagenet300:n01440764/n01440764_10026.JPEG without a newline
    found = sampling_key("imagenet300", "n01440764", "n01440764_10026.JPEG").hex()
    assert found == "35d45d5afe094f5a9014bf55ee2c329d876a5e8d6b0ca855557020ed9b76a273"


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None) -> Path:
    """A data folder with ImageNet as folders, and a list of five images a class."""
    monkeypatch.setattr(imagenet300, "PER_CLASS", 5)
    shrink(monkeypatch, "imagenet300", train=15, test=3 * TEST, classes=3)
    write_imagenet(tmp_path, "folders")
    imagenet300.write_list(tmp_path)
    return tmp_path


def test_the_list_has_the_first_images_by_rank_and_verify_proves_it(listed: Path) -> None:
    expected = {
        f"{wnid}/{name}"
        for wnid, files in train_images().items()
        for name in sorted(files, key=lambda name: sampling_key("imagenet300", wnid, name))[:5]
    }
    files = open_source("imagenet300").locate(listed)
    assert {f"{entry.category}/{entry.name}" for entry in files.records("train")} == expected
    assert len(list(files.records("test"))) == 3 * TEST
    assert (
        open_source("imagenet300").status(listed, deep=True).state
        == open_source("imagenet300").status(listed).state
        == "ready"
    )


def test_the_list_is_the_same_from_folders_and_from_archives(listed: Path) -> None:
    text = (listed / "imagenet300" / imagenet300.FILE).read_bytes()
    shutil.rmtree(listed / "imagenet")
    write_imagenet(listed, "archives")
    assert imagenet300.write_list(listed).read_bytes() == text


def test_verify_says_how_a_list_differs_from_the_rule(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet300, "PER_CLASS", 4)
    imagenet300.write_list(listed)
    shrink(monkeypatch, "imagenet300", train=12, test=3 * TEST, classes=3)
    monkeypatch.setattr(imagenet300, "PER_CLASS", 5)
    assert (
        "3 images are missing and 0 are extra; regenerate it"
        in open_source("imagenet300").status(listed, deep=True).sentence
    )


def test_a_listed_image_that_is_gone_is_told(listed: Path) -> None:
    line = sorted(open_source("imagenet300").locate(listed).lines)[0]  # type: ignore[attr-defined]
    (listed / "imagenet" / "train" / line).unlink()
    assert "1 of 15 images listed in" in open_source("imagenet300").status(listed, deep=True).sentence


def test_a_list_of_another_format_is_refused(listed: Path) -> None:
    path = listed / "imagenet300" / imagenet300.FILE
    path.write_text(path.read_text().replace("format 1", "format 2"))
    assert "has format 2, and this version of bench reads format 1; regenerate it" in told(listed, "imagenet300")


@pytest.mark.parametrize("change", ["cut", "line", "empty", "other"])
def test_a_list_that_was_cut_or_changed_is_refused(change: str, listed: Path) -> None:
    path = listed / "imagenet300" / imagenet300.FILE
    text = path.read_text()
    changed = {"cut": text[:-20], "line": text.replace("_7.", "_8."), "empty": "", "other": "{}"}[change]
    assert changed != text
    path.write_text(changed)
    assert str(path) in told(listed, "imagenet300")


def test_without_a_list_the_command_that_makes_it_is_named(listed: Path) -> None:
    (listed / "imagenet300" / imagenet300.FILE).unlink()
    assert "bench data get imagenet300 --from imagenet" in told(listed, "imagenet300")


def test_a_full_disk_leaves_no_list(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(listed / "imagenet300")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        imagenet300.write_list(listed)
    assert list((listed / "imagenet300").iterdir()) == []


def test_the_command_makes_the_list_and_verifies_it(
    project: Path, small: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_imagenet(project / "data", "archives")
    assert exit_code("data", "get", "imagenet300", "--from", "imagenet") == 0
    assert exit_code("data", "verify", "imagenet300") == 0
    assert "imagenet300: ready." in capsys.readouterr().out
    assert exit_code("data", "get", "imagenet300", "--from", "cifar10") == 2
    assert "bench data get imagenet300 --from imagenet" in capsys.readouterr().err


def test_a_list_from_an_incomplete_imagenet_is_not_called_ready(
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


# --- Clothing1M ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shrink(monkeypatch, "clothing1m", train=28, test=14, classes=14)
    shrink(monkeypatch, "clothing1m_clean", train=14, test=14, classes=14)
    return write_clothing(tmp_path)


def test_clothing1m_trains_on_noisy_and_tests_on_clean_labels(clothing: Path, tmp_path: Path) -> None:
    files = open_source("clothing1m").locate(tmp_path)
    train, test = list(files.records("train")), list(files.records("test"))
    assert [entry.name for entry in train] == (clothing / "noisy_train_key_list.txt").read_text().split()
    assert [entry.name for entry in test] == (clothing / "clean_test_key_list.txt").read_text().split()
    assert [files.classes().index(entry.category) for entry in train] == [*range(14), *range(14)]
    assert all((clothing / entry.file).stat().st_size == entry.size for entry in train + test)
    assert (
        open_source("clothing1m").status(tmp_path, deep=True).state
        == open_source("clothing1m").status(tmp_path).state
        == "ready"
    )


def test_clothing1m_has_a_clean_training_set_beside_the_noisy_one(clothing: Path, tmp_path: Path) -> None:
    names = [entry.name for entry in open_source("clothing1m_clean").locate(tmp_path).records("train")]
    assert names == (clothing / "clean_train_key_list.txt").read_text().split()
    assert open_source("clothing1m_clean").status(tmp_path, deep=True).state == "ready"


def test_annotations_may_lie_in_a_folder_of_their_own(clothing: Path, tmp_path: Path) -> None:
    (clothing / "annotations").mkdir()
    for file in clothing.glob("*.txt"):
        file.rename(clothing / "annotations" / file.name)
    assert open_source("clothing1m").status(tmp_path, deep=True).state == "ready"


def test_each_missing_annotation_file_is_named(clothing: Path, tmp_path: Path) -> None:
    for name in ("noisy_label_kv.txt", "clean_val_key_list.txt"):
        (clothing / name).unlink()
    shutil.rmtree(clothing / "images")
    assert "clean_val_key_list.txt, noisy_label_kv.txt, images/ missing from" in told(tmp_path, "clothing1m")


def test_images_are_counted_against_every_list(clothing: Path, tmp_path: Path) -> None:
    for name in ("noisy_train", "clean_val"):
        (clothing / (clothing / f"{name}_key_list.txt").read_text().split()[3]).unlink()
    assert "noisy_train_key_list.txt has 14 of 14 classes and 27 of 28 images" in told(tmp_path, "clothing1m")
    sentence = open_source("clothing1m").status(tmp_path, deep=True).sentence
    assert "1 of 28 images listed in noisy_train_key_list.txt are missing, e.g. images/" in sentence
    assert "1 of 14 images listed in clean_val_key_list.txt are missing" in sentence


@pytest.mark.parametrize("line", ["images/0/00/0,0.jpg 14", "images/0/00/0,0.jpg", "images/0/00/0,0.jpg -1", "x y"])
def test_a_label_that_is_none_is_told(line: str, clothing: Path, tmp_path: Path) -> None:
    (clothing / "noisy_label_kv.txt").write_text(f"{line}\n")
    assert "should hold 'images/... LABEL' lines, labels 0 to 13" in told(tmp_path, "clothing1m")


def test_a_key_without_a_label_and_one_that_leads_outside_are_told(clothing: Path, tmp_path: Path) -> None:
    keys = (clothing / "noisy_train_key_list.txt").read_text()
    (clothing / "noisy_train_key_list.txt").write_text(keys + "images/9/99/new.jpg\n")
    assert "images/9/99/new.jpg, which has no label in noisy_label_kv.txt" in told(tmp_path, "clothing1m")
    (clothing / "noisy_train_key_list.txt").write_text("images/../../secret.jpg\n")
    assert "is outside" in told(tmp_path, "clothing1m")


def test_no_clothing1m_is_told_with_where_to_ask_for_it(tmp_path: Path) -> None:
    assert "https://github.com/Cysu/noisy_label" in open_source("clothing1m").status(tmp_path).sentence


def test_numbers_in_a_list_count_the_sorted_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "imagenet"
    wnids = [f"n{number:08d}" for number in range(1000, 2000)]
    for wnid in wnids:
        (root / "train" / wnid).mkdir(parents=True)
    write_flat(root / "val", {wnids[0]: {"ILSVRC2012_val_00000001.JPEG": b"x", "ILSVRC2012_val_00000002.JPEG": b"x"}})
    (root / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG 999\nILSVRC2012_val_00000002.JPEG 0\n")
    found = [(entry.category, entry.name) for entry in open_source("imagenet").locate(tmp_path).records("test")]
    assert found == [(wnids[0], "ILSVRC2012_val_00000002.JPEG"), (wnids[999], "ILSVRC2012_val_00000001.JPEG")]
