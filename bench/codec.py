"""Frozen dataclasses as JSON and back: one generic codec for all values, requests and answers.

It follows the annotations: nested dataclasses, tuples and unions with them are rebuilt; everything else is what JSON
holds. Journal events have a format of their own, see :mod:`bench.workspace.events`.
"""

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

JsonObject = dict[str, Any]
"""What the JSON of a mapping is read as, before it is decoded to a value: the one name for untyped content."""
Decoder = Callable[[Any], Any]
"""Turns parsed JSON into a value."""


def to_json(value: "DataclassInstance") -> str:
    """Serialise a frozen dataclass as one line of JSON with sorted keys; :func:`from_json` reads it back."""
    return json.dumps(asdict(value), sort_keys=True)


def from_json(cls: type[T], text: str | bytes) -> T:
    """Rebuild a dataclass from the text that :func:`to_json` made of it.

    Raises:
        ValueError: The text is not JSON, or not the JSON of this class.
    """
    return from_dict(cls, json.loads(text))


def from_dict(cls: type[T], content: object) -> T:
    """Rebuild a dataclass from parsed JSON, nested dataclasses and tuples included.

    Missing keys take the field's default. An unknown key is refused: a recipe key that a newer version added would make
    it another cell.

    Raises:
        ValueError: The content does not fit the class.
    """
    try:
        decoded: T = _dataclass_decoder(cls)(content)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a {cls.__name__}: {error}") from error
    return decoded


def read_object(text: str) -> JsonObject:
    """Parse JSON that must be an object.

    Raises:
        ValueError: It is not.
    """
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"it is not a JSON object: {text[:80]}")
    return content


def read_known(cls: type[T], content: JsonObject, place: str = "") -> T:
    """Rebuild a dataclass from parsed JSON that a newer version, or anything else, may have written.

    Keys that are unknown here are ignored; values of another type than the field's are refused, by their ``place``.

    Raises:
        ValueError: The content does not fit the class.
    """
    known = {
        name: content[name] if type(content[name]) in exact else _read(hint, content[name], f"{place}{name}")
        for name, (hint, exact) in _fields(cls).items()
        if name in content
    }
    try:
        return cls(**known)
    except TypeError as error:
        raise ValueError(f"{place.rstrip('.')}{': ' if place else ''}not a {cls.__name__}: {error}") from error


def _read(hint: object, value: object, place: str) -> Any:
    """One value of a dataclass, checked and rebuilt."""
    nested, is_tuple = _nested(hint), get_origin(hint) is tuple
    if nested and is_tuple and isinstance(value, list):
        return tuple([_read(nested, each, f"{place}[{i}]") for i, each in enumerate(value)])
    if nested and not is_tuple and isinstance(value, dict):
        return read_known(nested, value, f"{place}.")
    if not _fits(hint, value):
        raise ValueError(f"{place} is {json.dumps(value)[:80]}")
    return tuple(value) if isinstance(value, list) else value


@cache
def _fields(cls: type["DataclassInstance"]) -> dict[str, tuple[object, Set[type]]]:
    """The fields of a dataclass: their types, and the scalars that need no further look, which are most of a report."""
    hints = get_type_hints(cls)
    scalars: dict[object, set[type]] = {str: {str}, int: {int}, float: {int, float}, bool: {bool}, NoneType: {NoneType}}
    found: dict[str, tuple[object, Set[type]]] = {}
    for each in fields(cls):
        hint = hints[each.name]
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        found[each.name] = (hint, set[type]().union(*(scalars.get(kind, ()) for kind in kinds)))
    return found


@cache
def _nested(hint: object) -> "type[DataclassInstance] | None":
    """The dataclass in a type, if there is one."""
    return next((each for each in (hint, *get_args(hint)) if isinstance(each, type) and is_dataclass(each)), None)


def _fits(hint: object, value: object) -> bool:
    """Whether parsed JSON may stand for a type. Dataclasses are left to :func:`read_known`."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(each, value) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if isinstance(value, bool) and hint is not bool:
        return hint is object
    kinds: dict[object, tuple[type, ...]] = {float: (int, float), tuple: (list,), Mapping: (dict,)}
    kind = get_origin(hint) or hint
    return isinstance(value, kinds.get(kind, (kind if isinstance(kind, type) else object,)))


@cache
def _dataclass_decoder(cls: type["DataclassInstance"]) -> Decoder:
    hints = get_type_hints(cls)
    decoders = [(each.name, decode) for each in fields(cls) if (decode := _decoder(hints[each.name]))]

    def decode_fields(content: Mapping[str, Any]) -> "DataclassInstance":
        decoded = {**content}
        for name, decode in decoders:
            if name in decoded:
                decoded[name] = decode(decoded[name])
        return cls(**decoded)

    return decode_fields


def _decoder(hint: object) -> Decoder | None:
    """The function that decodes a type; None for a type whose parsed JSON is the value itself."""
    if is_dataclass(hint):
        return _dataclass_decoder(hint)  # type: ignore[arg-type]
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        return _tuple_decoder(arguments)
    if get_origin(hint) in (Union, UnionType):
        # scalars and null stand for themselves in JSON: only the objects and arrays of a union need decoding
        decode = next((decode for each in arguments if (decode := _decoder(each))), None)
        return decode and (lambda content: decode(content) if isinstance(content, list | dict) else content)
    return None


def _tuple_decoder(arguments: tuple[Any, ...]) -> Decoder:
    """Decode ``tuple[X, ...]`` or a tuple of fixed length from a JSON array."""
    if arguments[-1] is Ellipsis:
        decode = _decoder(arguments[0])
        return tuple if decode is None else lambda content: tuple([decode(each) for each in content])
    decoders = [_decoder(each) or (lambda content: content) for each in arguments]
    return lambda content: tuple([decode(each) for decode, each in zip(decoders, content, strict=True)])
