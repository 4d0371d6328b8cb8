"""Prepared data that all cells share: created once under a lock, and proven by reading it back.

Called by :mod:`bench.worker.data.pack` and :mod:`bench.worker.data.index`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.errors import DataError
from bench.workspace.locks import wait_for_lock

Prepared = TypeVar("Prepared")


def get_or_create(folder: Path, read: Callable[[], Prepared | None], make: Callable[[], None]) -> Prepared:
    """The content of a folder, created now if it is missing or damaged; of several processes one creates it.

    Args:
        folder: Where it is kept; the lock is a file next to it.
        read: Opens it, or returns None if it is missing or damaged.
        make: Creates it, whole or not at all.

    Raises:
        DataError: It cannot be read back.
        OSError: A disk error.
    """
    if prepared := read():
        return prepared
    folder.parent.mkdir(parents=True, exist_ok=True)
    with wait_for_lock(folder.parent / f".{folder.name}.lock"):
        if prepared := read():  # another process created it while this one waited
            return prepared
        make()
    if prepared := read():
        return prepared
    raise DataError(f"{folder} was written but cannot be read back; check the disk, delete the folder and run again")
