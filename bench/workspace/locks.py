"""Lock files of cells and of files that several processes write. The kernel drops the locks of a process that dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bench.workspace.paths import CellFolder


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock file for a block, without waiting. Yields False if another process holds it, which then is alive.

    Yields True for a folder that cannot be written, because it has no writer either.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    except OSError:
        yield True
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def wait_for_lock(path: Path) -> Iterator[None]:
    """Hold a lock file for a block, after waiting for it.

    Raises:
        OSError: The lock file cannot be written.
    """
    with FileLock(path):
        yield


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock file for a block, after waiting for it; without it if the folder cannot be written by any process."""
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def is_held(folder: CellFolder) -> bool:
    """Whether a living scheduler or worker holds this cell."""
    with try_lock(folder.lock) as free, try_lock(folder.worker_lock) as idle:
        return not (free and idle)


def lock_cell(folder: CellFolder) -> FileLock | None:
    """Lock a cell for this run; None while another run holds it or its last worker still saves.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.lock)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    with try_lock(folder.worker_lock) as idle:
        if idle:
            return lock
    lock.release()
    return None
