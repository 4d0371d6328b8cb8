"""Comparing files with published sizes and checksums."""

import hashlib
from pathlib import Path

import pytest

from bench.catalog.datasets import Archive
from bench.datasets.checksums import archive_problem, file_digest, file_problem, has_sha256, size_problem


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    return path


MD5, SHA256 = hashlib.md5(b"content").hexdigest(), hashlib.sha256(b"content").hexdigest()


def archive(*, md5: str = MD5, sha256: str = "", size: int = 7) -> Archive:
    return Archive(name="a.bin", urls=(), md5=md5, sha256=sha256, size=size)


def test_archive_problem_compares_size_and_then_the_stronger_checksum(file: Path) -> None:
    assert archive_problem(file, archive()) is None
    assert archive_problem(file, archive(md5="wrong", sha256=SHA256)) is None
    assert archive_problem(file, archive(size=8)) == f"{file} has 7 bytes instead of 8"
    assert archive_problem(file, archive(md5="0" * 32)) == f"{file} has MD5 {MD5} instead of {'0' * 32}"
    assert archive_problem(file, archive(sha256="0" * 64)) == f"{file} has SHA256 {SHA256} instead of {'0' * 64}"


def test_an_unpublished_size_is_not_compared(file: Path) -> None:
    assert size_problem(file, archive(size=0)) is None


def test_file_problem_knows_files_by_their_names(file: Path) -> None:
    assert file_problem(file, {}) is None
    assert file_problem(file, {"a.bin": MD5}) is None
    assert "has MD5" in (file_problem(file, {"a.bin": "0" * 32}) or "")


def test_has_sha256_is_false_for_a_missing_file(file: Path) -> None:
    assert has_sha256(file, SHA256)
    assert not has_sha256(file.with_name("b.bin"), SHA256)
    assert file_digest(file, "md5") == MD5
