"""Lock files of cells, of files that several processes write, and of the devices of a machine.

The kernel drops the locks of a process that dies.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def sole_use(path: Path) -> Iterator[bool]:
    """Keep others from the devices of this machine for a block. Yields False where somebody uses them now.

    Yields True where the lock file ``path`` cannot be written, because nobody else can lock it either.
    """
    with _flock(path, fcntl.LOCK_EX) as locked:
        yield locked


@contextmanager
def shared_use(path: Path, *, stopped: Callable[[], bool], waiting: Callable[[], None]) -> Iterator[None]:
    """Use the devices of this machine beside others for a block, once nobody uses them alone.

    Args:
        path: The lock file.
        stopped: Whether to wait no longer.
        waiting: Called once if there is somebody to wait for.
    """
    told = False
    while True:
        with _flock(path, fcntl.LOCK_SH) as locked:
            if locked or stopped():
                yield
                return
        if not told:
            waiting()
            told = True
        time.sleep(0.2)


@contextmanager
def _flock(path: Path, kind: int) -> Iterator[bool]:
    """Hold a lock that several may share; False if others are in the way. filelock has only exclusive ones."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError:
        yield True
        return
    with file:  # closing it drops the lock
        locked = True
        with suppress(OSError):  # a folder without locks
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                locked = False
        yield locked
