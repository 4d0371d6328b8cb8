"""What is made of a data set once and shared by all cells: made under a lock, and proven by reading it back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from bench.errors import DataError

Made = TypeVar("Made")


def get_or_create(folder: Path, read: Callable[[], Made | None], make: Callable[[], None]) -> Made:
    """What lies in a folder, made now if it is not there whole; of several processes one makes it.

    Args:
        folder: Where it lies; a lock lies beside it.
        read: Opens it, or returns None where there is none or one that is not whole.
        make: Puts it there, whole or not at all.

    Raises:
        DataError: It cannot be read back.
        OSError: The disk refuses.
    """
    if found := read():
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if found := read():  # another process made it while this one waited
            return found
        make()
    if found := read():
        return found
    raise DataError(f"{folder} was written and cannot be read back; check the disk, remove the folder, run again")


@contextmanager
def os_errors_as(sentence: str) -> Iterator[None]:
    """Turn what the disk refuses into a DataError that begins with a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{sentence}: {error.strerror or error}") from error
