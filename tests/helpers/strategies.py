"""Hypothesis strategies for the dataclasses that are written as JSON."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from hypothesis import strategies as st

T = TypeVar("T")

# without it a Mapping is any class of Python's that is one, and few of them become JSON
st.register_type_strategy(
    Mapping, lambda hint: st.dictionaries(*(st.from_type(argument) for argument in get_args(hint)), max_size=2)
)


def values_of(cls: type[T], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Any value of a dataclass, without NaN, which equals nothing."""
    return st.builds(cls, **fields).filter(lambda value: "nan" not in repr(value))
