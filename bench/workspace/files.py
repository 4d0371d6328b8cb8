"""Write files and folders whole or not at all, so that a crash or a power cut leaves the old or the new content."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.workspace.failpoint import failpoint


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file: readers, and the next boot, see either the old or the new content.

    Raises:
        OSError: It cannot be written; the old content stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    data = content.encode() if isinstance(content, str) else content
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        failpoint(f"before-rename{path.suffix}" if path.suffix == ".pt" else f"before-rename-{path.name}")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A temporary folder to write files into, which replaces the folder when the block ends without an error.

    The caller holds a lock on the folder, and syncs what it writes.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left_over in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(left_over)  # the lock is held, so the process that wrote it is dead
    temporary = folder.parent / f".{folder.name}.{os.getpid()}.tmp"
    temporary.mkdir()
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def disk_problem(folder: Path, why: str | None) -> str:
    """The sentence for a folder of a run that cannot be written."""
    return (
        f"{folder} cannot be written: {why or 'the disk is full or read-only'}; saved work is intact. "
        "Free some space and run the same command to resume."
    )


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
