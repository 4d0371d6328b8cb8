"""Class folders and flat folders: classes, counts, order."""

from pathlib import Path

import pytest

from bench.datasets.reading import is_image, listing, reading
from bench.datasets.splits import WHOLE, ClassFolders, FlatFolder, ImageRecord, class_of, hash_of
from bench.errors import DataError


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")


class TestClassFolders:
    def test_records_are_sorted_by_class_and_name(self, tmp_path: Path) -> None:
        touch(tmp_path / "train" / "b", "2.png", "1.JPEG", ".hidden.jpg", "notes.txt")
        touch(tmp_path / "train" / "a", "3.bmp")
        split = ClassFolders(tmp_path, "train")
        assert split.classes() == ["a", "b"]
        assert split.quick_counts() == {"a": 1, "b": 2}
        assert [record.file for record in split.records()] == ["train/a/3.bmp", "train/b/1.JPEG", "train/b/2.png"]

    def test_the_signature_changes_when_a_file_is_added(self, tmp_path: Path) -> None:
        touch(tmp_path / "train" / "a", "1.png")
        split = ClassFolders(tmp_path, "train")
        before = split.signature()
        (tmp_path / "train" / "a" / "2.png").write_bytes(b"x")
        assert split.signature() != before


class TestFlatFolder:
    def test_records_have_the_class_of_the_ground_truth(self, tmp_path: Path) -> None:
        touch(tmp_path / "val", "1.png", "2.png")
        split = FlatFolder(tmp_path, "val", {"1.png": "dog", "2.png": "cat", "3.png": "cow"})
        assert split.classes() == ["cat", "dog"]
        assert next(split.records()) == ImageRecord("cat", "2.png", "val/2.png", WHOLE, 1)

    def test_an_image_without_ground_truth_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"holds 1\.png, which is missing from the ground truth"):
            class_of({}, "1.png", tmp_path)

    def test_the_signature_changes_with_the_ground_truth(self, tmp_path: Path) -> None:
        touch(tmp_path / "val", "1.png")
        signatures = [FlatFolder(tmp_path, "val", {"1.png": category}).signature() for category in ("a", "b")]
        assert signatures[0] != signatures[1]


def test_hash_of_tells_lines_apart() -> None:
    assert hash_of(["ab", "c"]) != hash_of(["a", "bc"])


class TestReading:
    def test_every_os_error_is_a_sentence(self, tmp_path: Path) -> None:
        for error, text in (
            (FileNotFoundError(2, "No such file or directory", "x"), "x does not exist"),
            (PermissionError(13, "Permission denied", "x"), "allow it with: chmod -R u+rX x"),
            (OSError(5, "Input/output error"), f"{tmp_path} cannot be read: Input/output error"),
        ):
            with pytest.raises(DataError) as caught, reading(tmp_path):
                raise error
            assert text in str(caught.value)

    def test_listing_leaves_out_hidden_files(self, tmp_path: Path) -> None:
        touch(tmp_path / "a", "1.png", ".2.png")
        assert [entry.name for entry in listing(tmp_path / "a")] == ["1.png"]

    def test_is_image_looks_at_the_suffix_alone(self) -> None:
        names = ("a.JPEG", "b.png", "c.webp", ".d.jpg", "jpg", "e.txt", "f.tiff")
        assert [is_image(name) for name in names] == [True, True, True, False, False, False, True]
