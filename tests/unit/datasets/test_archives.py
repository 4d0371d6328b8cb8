"""Splits in tar archives are read in place, in little memory."""

import io
import tarfile
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from bench.datasets.archives import members
from bench.errors import DataError


def write_tar(path: Path, count: int) -> Path:
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            member = tarfile.TarInfo(f"images/{number:06d}.JPEG")
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    return path


def test_members_gives_name_offset_and_size(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", 3)
    with path.open("rb") as stream:
        files = list(members(stream, path, 0))
    assert [name for name, _, _ in files] == ["000000.JPEG", "000001.JPEG", "000002.JPEG"]
    content = path.read_bytes()
    assert all(content[offset : offset + size] == b"x" for _, offset, size in files)


def test_members_keeps_no_header_in_memory(tmp_path: Path) -> None:
    """tarfile would keep every header: 20,000 of them take more than 20 MB, ImageNet's more than a gigabyte."""
    path = write_tar(tmp_path / "a.tar", 20_000)
    tracemalloc.start()
    try:
        with path.open("rb") as stream:
            files = members(stream, path, 0)
            last = next(islice(files, 19_999, None))
            snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    assert last[0] == "019999.JPEG"
    # pathlib interns names: the table of all such strings of the process may be enlarged at any of them
    held = snapshot.filter_traces([tracemalloc.Filter(False, "*pathlib*")])
    assert sum(trace.size for trace in held.traces) < 2_000_000


def test_a_truncated_tar_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", 3)
    size = path.stat().st_size
    with path.open("rb") as stream, pytest.raises(DataError, match="is truncated: it has"):
        list(members(stream, path, 0, size + 1))
