"""Parquet files and image trees that are refused: lossy, too large, or something else."""

import struct
import sys
import zlib
from pathlib import Path

import pytest
from helpers.dataset_files import (
    Small,
    lay,
    pictures,
    tables,
)

from bench.datasets.stored import find_copy
from bench.errors import DataError
from bench.worker.data import readers
from bench.worker.data.pack import content_digest


def digest_at(name: str, path: Path) -> str:
    return content_digest(readers.read(name, find_copy(name, path)))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that announces more pixels than a memory has."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


def test_a_jpeg_that_is_called_png_is_refused(cifar: Small, tmp_path: Path) -> None:
    tree = {name.replace(".jpg", ".png"): each for name, each in pictures(cifar, suffix=".jpg").items()}
    with pytest.raises(DataError, match=r"uses lossy compression.*\(JPEG\).*folder:PATH"):
        digest_at("cifar10", lay(tree, tmp_path))


@pytest.mark.parametrize(("size", "sentence"), [(60_000, "cannot be read as an image"), (9000, "instead of 32x32")])
def test_a_picture_bomb_is_refused_before_it_is_decoded(cifar: Small, tmp_path: Path, size: int, sentence: str) -> None:
    tree = pictures(cifar)
    name = next(iter(tree))
    with pytest.raises(DataError, match=sentence) as caught:
        digest_at("cifar10", lay(tree | {name: bomb(size, size)}, tmp_path))
    assert name in str(caught.value)


def test_parquet_without_pyarrow_says_what_to_install(
    cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tables(cifar), tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"need pyarrow: pip install 'bench\[parquet\]'"):
        digest_at("cifar10", tmp_path)


def test_parquet_of_other_columns_and_other_bytes_is_a_sentence(cifar: Small, tmp_path: Path) -> None:
    tree = tables(cifar)
    lay(dict.fromkeys(tree, b"PAR1 and nothing else"), tmp_path / "one")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        digest_at("cifar10", tmp_path / "one")
    lay({name.replace("plain_text/", ""): content for name, content in tables(cifar).items()}, tmp_path / "two")
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "two" / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match="has the columns text, none of images and labels"):
        digest_at("cifar10", tmp_path / "two")
