"""Compare files with the sizes and checksums that were published for them.

Called by the sources and by the worker's readers. Each answer is a sentence, or None where nothing is wrong.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bench.catalog.datasets import Archive


def archive_problem(path: Path, archive: Archive) -> str | None:
    """Say why an archive on disk is not the published one (size, checksum), or return None."""
    if problem := size_problem(path, archive):
        return problem
    kind, _, published = archive.checksum.partition(":")
    return _mismatch(path, kind, published)


def size_problem(path: Path, archive: Archive) -> str | None:
    """Say why an archive does not have the published size, or return None; None too if no size is published."""
    size = path.stat().st_size
    if archive.size and size != archive.size:
        return f"{path} has {size:,} bytes instead of {archive.size:,}"
    return None


def file_problem(path: Path, file_md5s: Mapping[str, str]) -> str | None:
    """Say why an extracted file is not the published one, or return None; None too if no checksum is published."""
    published = file_md5s.get(path.name)
    return _mismatch(path, "md5", published) if published else None


def has_sha256(path: Path, sha256: str) -> bool:
    """Whether a file exists and has this SHA-256, in hexadecimal."""
    return path.is_file() and file_digest(path, "sha256") == sha256


def file_digest(path: Path, kind: str) -> str:
    """The ``md5`` or ``sha256`` of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _mismatch(path: Path, kind: str, published: str) -> str | None:
    digest = file_digest(path, kind)
    return None if digest == published else f"{path} has {kind.upper()} {digest} instead of {published}"
