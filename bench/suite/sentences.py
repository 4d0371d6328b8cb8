"""Errors of pydantic as sentences that name the key, the wrong value and the valid ones.

Called by :mod:`bench.suite.resolve` for suite files and by :mod:`bench.suite.filters` for ``--set``.
"""

import re
from collections.abc import Mapping

from pydantic_core import ErrorDetails

from bench.catalog.options import suggestion
from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, schedule_options
from bench.suite.document import Path
from bench.suite.fields import Strict
from bench.suite.schema import (
    CellMapping,
    ExcludeMapping,
    ExecutionMapping,
    GridMapping,
    ModelMapping,
    RecipeMapping,
    SuiteMapping,
)

MAPPINGS: dict[str, type[Strict]] = {
    "": SuiteMapping,
    "recipe": RecipeMapping,
    "execution": ExecutionMapping,
    "grid": GridMapping,
    "cells": CellMapping,
    "exclude": ExcludeMapping,
    "model": ModelMapping,
}
"""The last key of a path in the file -> what stands there."""

TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "model_attributes": "a mapping",
    "finite_number": "a finite number",
}
"""Type of a pydantic error without its ending -> what was expected."""

LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def valid_keys(path: Path, chosen: str = "") -> list[str]:
    """The keys that the mapping at a path may hold; ``chosen`` is its name or kind, if it is known."""
    words = [part for part in path if isinstance(part, str)]
    last = words[-1] if words else ""
    if last == "optimizer" and chosen in OPTIMIZERS:
        return ["name", *OPTIMIZERS[chosen].options]
    if last == "augment" and chosen in AUGMENTATIONS:
        return ["name", *AUGMENTATIONS[chosen].options]
    if words[:1] == ["schedules"] and chosen in SCHEDULES:
        return ["kind", *schedule_options(chosen)]
    if last in MAPPINGS and len(words) <= 3:
        return list(MAPPINGS[last].model_fields)
    if last == "optimizer":
        return ["name", *{key for spec in OPTIMIZERS.values() for key in spec.options}]
    if last == "augment":
        return ["name", *{key for spec in AUGMENTATIONS.values() for key in spec.options}]
    if words and words[0] == "schedules":
        return ["kind", *{key for kind in SCHEDULES for key in schedule_options(kind)}]
    return []


def sentence(error: ErrorDetails, path: Path) -> str:
    """Say a pydantic error in words. ``path`` is the place in the file, without pydantic's own steps."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "the file")
    if kind == "extra_forbidden":
        keys = sorted(_keys_beside(error, path))
        return f"unknown key {key!r} ({suggestion(key, keys, 'valid: ' + ', '.join(keys))})"
    if kind == "missing":
        return f"key {error['loc'][-1]!r} is missing" + (f" in {key!r}" if path else "")
    if kind == "union_tag_not_found":
        return f"key {str(context['discriminator']).strip(chr(39))!r} is missing in {key!r}"
    if kind in ("union_tag_invalid", "literal_error"):
        return _unknown_word(key, kind, context, value)
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        limit, bound = next(iter(context.items()))
        number = int(bound) if float(bound).is_integer() and abs(bound) >= 1e6 else f"{bound:g}"
        return f"{key} must be {LIMITS[limit]} {number}, not {value!r}"
    if kind in ("too_short", "too_long"):
        return f"{key} must not be empty"
    if kind == "sentence":
        return error["msg"]
    if key == "schedule" and isinstance(value, dict):
        return f"schedule must be a name; define {_shown(value)} under 'schedules:' and use its name"
    stem = kind.removesuffix("_type").removesuffix("_parsing")
    return f"{key} must be {TYPES.get(stem, stem.replace('_', ' '))}, not {_shown(value)}"


def _keys_beside(error: ErrorDetails, path: Path) -> list[str]:
    """The valid keys of the mapping that an unknown key stands in."""
    steps, place = error["loc"], path[:-1]
    # pydantic's way to the key leads through the name of the component, the file's does not
    chosen = str(steps[-2]) if len(steps) > 1 else ""
    if place[-1:] == (chosen,) and chosen in {*OPTIMIZERS, *AUGMENTATIONS, *SCHEDULES} and len(place) > 1:
        place = place[:-1]
    return valid_keys(place, chosen)


def _unknown_word(key: str, kind: str, context: Mapping[str, object], value: object) -> str:
    tagged = kind == "union_tag_invalid"
    names = re.findall(r"'([^']*)'", str(context["expected_tags" if tagged else "expected"]))
    word = str(context["tag"]) if tagged else value
    what = f"unknown name {word!r} in {key!r}" if tagged else f"{key} cannot be {_shown(word)}"
    valid = f"valid: {', '.join(names)}"
    return f"{what} ({suggestion(word, names, valid) if isinstance(word, str) else valid})"


def _shown(value: object) -> str:
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
