"""Which files below a class folder are images, and what is counted instead."""

import os
from pathlib import Path

import pytest

from bench.datasets.walk import LEADS_ABOVE, NO_SUFFIX, SPECIAL, image_names, left_out_files


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def images(root: Path) -> list[str]:
    return [name.removeprefix(f"{root}/") for name in image_names(str(root))]


def test_a_folder_with_the_name_of_an_image_is_entered_like_any_other(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "dir.jpg/b.jpg")
    (tmp_path / "empty.png").mkdir()
    assert images(tmp_path) == ["a.jpg", "dir.jpg/b.jpg"]


def test_devices_and_pipes_are_left_out_whatever_they_are_called(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    assert images(tmp_path) == ["a.jpg"]
    assert left_out_files(str(tmp_path)) == {SPECIAL: 2}


def test_links_to_images_and_to_other_folders_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/more/b.jpg", "cat/a.jpg")
    (tmp_path / "cat" / "c.jpg").symlink_to(tmp_path / "elsewhere" / "more" / "b.jpg")
    (tmp_path / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    assert images(tmp_path / "cat") == ["a.jpg", "c.jpg", "more/more/b.jpg"]


@pytest.mark.parametrize("target", ["/", "..", ".", "sub"])
def test_a_link_to_a_folder_that_holds_it_is_left_out(tmp_path: Path, target: str) -> None:
    make(tmp_path, "cat/a.jpg", "cat/sub/b.jpg")
    (tmp_path / "cat" / "sub" / "link").symlink_to(tmp_path / "cat" / target)
    assert images(tmp_path / "cat") == ["a.jpg", "sub/b.jpg"]
    assert left_out_files(str(tmp_path / "cat")) == {LEADS_ABOVE: 1}


def test_two_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    make(tmp_path, "cat/a.jpg", "other/b.jpg")
    (tmp_path / "cat" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(tmp_path / "cat")
    assert images(tmp_path / "cat") == ["a.jpg", "link/b.jpg"]


def test_links_that_lead_nowhere_are_images_that_cannot_be_read_if_they_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self").symlink_to("self")
    assert images(tmp_path) == ["gone.jpg", "self.png"]
    assert left_out_files(str(tmp_path)) == {".txt": 1, NO_SUFFIX: 1}


def test_what_is_left_out_is_counted_by_suffix_without_hidden_files(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.GIF", "c.gif", "README", ".DS_Store", "sub/d.jfif")
    assert left_out_files(str(tmp_path)) == {".gif": 2, NO_SUFFIX: 1, ".jfif": 1}
