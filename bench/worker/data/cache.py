"""Prepared data that all cells share: created once under a lock, and proven by reading it back.

Called by :mod:`bench.worker.data.pack` and :mod:`bench.worker.data.index`.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from bench.codec import JsonObject
from bench.errors import DataError
from bench.workspace.files import write_atomically
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


def times_of(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """Modification times of files in nanoseconds, as ``card.json`` records them under ``times``.

    Raises:
        OSError: One is missing.
    """
    return {name: (folder / name).stat().st_mtime_ns for name in names}


def is_unchanged(folder: Path, card: JsonObject, names: Iterable[str], is_same: Callable[[], bool]) -> bool:
    """Whether prepared files hold what was written to them.

    Every cell asks at its start, so their times decide. Only files with other times, copied ones say, are read by
    ``is_same``; if they are as they were, the new times are recorded.

    Raises:
        OSError: A file is missing.
    """
    times = times_of(folder, names)
    if card.get("times") == times:
        return True
    if not is_same():
        return False
    with suppress(OSError):  # a data folder that cannot be written is read every time
        write_atomically(folder / "card.json", json.dumps({**card, "times": times}, indent=1))
    return True
