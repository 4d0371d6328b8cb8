"""Read the python version of the CIFARs: dictionaries pickled by Python 2, without running code from the file.

A pickle is a program. One that is read here can name four things and no other: numpy's function that makes an array,
the array's class, numpy's dtype (bytes only) and the codec with which Python 3 writes bytes. A stand-in replaces each
of them, so that not even numpy's own code sees what the file says. Called by :mod:`bench.worker.data.array_formats`.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.codec import JsonObject
from bench.errors import DataError

BYTES = ("u1", b"u1", "|u1", "uint8")


class _DType:
    """Stands in for numpy's dtype of bytes; its state in the file is ignored."""

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """Stands in for numpy's array: accepts the same state and trusts none of it."""

    values: npt.NDArray[np.uint8]

    def __setstate__(self, state: tuple[int, tuple[int, ...], _DType, bool, bytes]) -> None:
        _, shape, dtype, by_column, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise DataError("it has an array of something other than bytes")
        self.values = np.frombuffer(data, dtype=np.uint8).reshape(shape, order="F" if by_column else "C")


def _dtype(name: object, *_: object) -> _DType:
    if name not in BYTES:
        raise DataError(f"it has numbers of type {name!r}; those of the CIFARs are bytes")
    return _DType()


def _encoded(text: str, _: str = "latin1") -> bytes:
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    ("numpy", "ndarray"): "numpy.ndarray",  # only handed to the function above
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encoded,
}
"""Everything that a pickle may name, and what stands in for it."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise DataError(
                f"it asks for {module}.{name}, which no file of the CIFARs needs and which could run anything"
            )
        return ALLOWED[module, name]


def read(content: bytes, path: Path | str) -> JsonObject:
    """A pickled dictionary with its keys as text: ``data`` (N, 3072) uint8 and lists of labels or names.

    Args:
        content: The file.
        path: Named in errors.

    Raises:
        DataError: It is not such a dictionary, or asks for code.
    """
    try:
        unpickled = _Reader(io.BytesIO(content), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path} was refused: {error}; download the data set from its authors") from None
    except MemoryError:
        raise DataError(
            f"{path} asks for more memory than is available; download the data set from its authors"
        ) from None
    except Exception as error:  # arbitrary bytes make arbitrary opcodes fail, each in its own way
        raise DataError(f"{path} cannot be read as a pickle ({type(error).__name__}: {error})") from error
    if not isinstance(unpickled, dict):
        raise DataError(f"{path} has a {type(unpickled).__name__} instead of a dictionary of images")
    return {_text(key): value.values if isinstance(value, _Array) else value for key, value in unpickled.items()}


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
