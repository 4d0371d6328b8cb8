"""Comparing a data set with its published checksums."""

from pathlib import Path

import pytest
from helpers.archives import cifar10_files, install, random_pixels, tar_of

from bench.errors import DataError
from bench.worker.data.pack import pack


def test_compare_checksums_refuses_an_archive_that_is_not_the_published_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = tar_of(cifar10_files(random_pixels(7, 3, 32, 32), [0] * 7))
    install(monkeypatch, tmp_path, "cifar10", [archive], train_images=5, test_images=2)
    path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    path.write_bytes(archive[:-1] + b"?")
    with pytest.raises(DataError, match="bench data get cifar10"):
        pack("cifar10", 32, tmp_path)
