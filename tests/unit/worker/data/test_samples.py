"""Checking test images before anything trains."""

from pathlib import Path

import pytest
from helpers.streaming import (
    indexed,
    leftovers,
    with_nonstandard,
)
from helpers.tiny_imagenet import (
    TEST,
    TRAIN,
    shrink,
    val_images,
    write_imagenet,
)

from bench.errors import DataError


def test_check_test_images_refuses_a_broken_one_and_leaves_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch, "imagenet", train=3 * TRAIN, test=3 * TEST + 1, classes=3)
    write_imagenet(tmp_path, "folders", test=with_nonstandard(val_images(), "cut.JPEG"))
    with pytest.raises(DataError, match=r"a test image is broken, and every test image counts .*cut\.JPEG"):
        indexed(tmp_path)
    assert leftovers(tmp_path) == []
