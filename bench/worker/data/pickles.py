"""The python version of the CIFARs: dictionaries that Python 2 pickled, read without running what a pickle may ask for.

A pickle is a program. One that is read here can name four things and no other: numpy's function that makes an array,
the array's class, numpy's type of numbers (bytes only) and the codec that Python 3 writes bytes with. For each of them
something else stands in, so that not even numpy's own code sees what the file says.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import DataError

BYTES = ("u1", b"u1", "|u1", "uint8")


class _Numbers:
    """Stands for numpy's type of bytes; what else a pickle tells of it changes nothing."""

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """Stands for numpy's array: takes the state that numpy would, and trusts none of it."""

    values: npt.NDArray[np.uint8]

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Numbers, bool, bytes]) -> None:
        _, shape, numbers, by_column, data = state
        if not isinstance(numbers, _Numbers) or not isinstance(data, bytes):
            raise DataError("it holds an array of other things than bytes")
        self.values = np.frombuffer(data, dtype=np.uint8).reshape(shape, order="F" if by_column else "C")


def _numbers(name: object, *_: object) -> _Numbers:
    if name not in BYTES:
        raise DataError(f"it holds numbers of type {name!r}, where the CIFARs have bytes")
    return _Numbers()


def _encoded(text: str, _: str = "latin1") -> bytes:
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    ("numpy", "ndarray"): "numpy.ndarray",  # only handed to the function above
    ("numpy", "dtype"): _numbers,
    ("_codecs", "encode"): _encoded,
}
"""What stands for the things that a pickle may name."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise DataError(
                f"it asks for {module}.{name}, which no file of the CIFARs needs and which may run anything"
            )
        return ALLOWED[module, name]


def read(content: bytes, path: Path | str) -> dict[str, Any]:
    """A pickled dictionary with its keys as text: ``data`` (N, 3072) uint8 and lists of labels or names.

    Args:
        content: The file.
        path: Named in errors.

    Raises:
        DataError: It is no such dictionary, or asks for code.
    """
    try:
        found = _Reader(io.BytesIO(content), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path} is not read: {error}; get the data set from its authors") from None
    except MemoryError:
        raise DataError(f"{path} asks for more memory than there is; get the data set from its authors") from None
    except Exception as error:  # whatever bytes make a pickle machine do: each opcode has errors of its own
        raise DataError(f"{path} cannot be read as a pickle ({type(error).__name__}: {error})") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} holds a {type(found).__name__} and no dictionary of images")
    return {
        key.decode("latin1") if isinstance(key, bytes) else str(key): value.values
        if isinstance(value, _Array)
        else value
        for key, value in found.items()
    }
