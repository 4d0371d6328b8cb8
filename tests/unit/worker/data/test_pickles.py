"""Pickles of the CIFARs are read; anything else that a pickle may ask for is refused."""

import os
import pickle

import numpy as np
import pytest

from bench.errors import DataError
from bench.worker.data import pickles

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 6)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("order", ["C", "F"])
def test_read_gives_the_arrays_and_lists_of_a_dictionary(protocol: int, order: str) -> None:
    array = np.asarray(PIXELS, order=order)  # type: ignore[call-overload]
    content = pickle.dumps({b"data": array, "labels": [1, 2]}, protocol)
    if protocol == 5:  # where numpy puts arrays through a function of its own
        with pytest.raises(DataError, match="_frombuffer"):
            pickles.read(content, "batch")
        return
    batch = pickles.read(content, "batch")
    assert np.array_equal(batch["data"], PIXELS)
    assert batch["labels"] == [1, 2]


class Call:
    """A pickle that calls a function when it is read."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._call


@pytest.mark.parametrize("function", [os.system, eval, getattr, np.save, np.load])
def test_read_runs_no_code(function: object) -> None:
    with pytest.raises(DataError, match=r"batch was refused: it asks for .* which no file of the CIFARs needs"):
        pickles.read(pickle.dumps({"data": Call(function, "1")}), "batch")


@pytest.mark.parametrize("values", [np.arange(3.0), np.array(["a", "b"]), np.array([b"a"], dtype=object)])
def test_read_refuses_arrays_of_anything_but_bytes(values: "np.ndarray[tuple[int], np.dtype[np.generic]]") -> None:
    with pytest.raises(DataError, match="batch was refused: it has numbers of type"):
        pickles.read(pickle.dumps({"data": values}, 2), "batch")


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"a": 1})[:-2]])
def test_read_refuses_what_is_not_a_pickle(content: bytes) -> None:
    with pytest.raises(DataError, match="batch cannot be read as a pickle"):
        pickles.read(content, "batch")


def test_read_refuses_what_is_not_a_dictionary() -> None:
    with pytest.raises(DataError, match="batch has a list instead of a dictionary of images"):
        pickles.read(pickle.dumps([1]), "batch")
