"""datasets.checksums."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.catalog.datasets import Archive

if TYPE_CHECKING:
    pass


def archive_problem(path: Path, archive: Archive) -> str | None:
    """Say why an archive on disk is not the published one (size, checksum), or return None."""
    if problem := _size_problem(path, archive):
        return problem
    kind, _, wanted = archive.checksum.partition(":")
    found = file_digest(path, kind)
    return None if found == wanted else f"{path} has {kind.upper()} {found} instead of {wanted}"


def file_digest(path: Path, kind: str) -> str:
    """The ``md5`` or ``sha256`` of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _size_problem(path: Path, archive: Archive) -> str | None:
    found = path.stat().st_size
    if archive.size and found != archive.size:
        return f"{path} has {found:,} bytes instead of {archive.size:,}"
    return None


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and file_digest(path, "sha256") == sha256


def part_problem(path: Path, parts: Mapping[str, str]) -> str | None:
    """Say why an unpacked file is not the published one, or return None, also where no checksum is known."""
    wanted = parts.get(path.name)
    if not wanted or (found := file_digest(path, "md5")) == wanted:
        return None
    return f"{path} has MD5 {found} instead of {wanted}"
