"""catalog.options."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bench.values import OptionValue


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a choice: its type, bounds and default. ``default=None`` means that it must be given."""

    type: Literal["float", "int", "bool", "ints", "floats"]
    default: OptionValue | None = None
    above: float | None = None
    """Exclusive lower bound."""
    minimum: float | None = None
    maximum: float | None = None
    doc: str = ""


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The valid name closest to a misspelt one, or None when none is close."""
    names = list(names)
    folded = {name.lower().replace("-", "_"): name for name in names}
    if exact := folded.get(word.lower().replace("-", "_")):
        return exact
    found = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return found[0] if found else None


def _typed(option: Option, value: Any) -> OptionValue:
    if option.type == "float":
        return float(value)
    if option.type in ("ints", "floats"):
        kind = int if option.type == "ints" else float
        return tuple(kind(each) for each in value)
    checked: OptionValue = value
    return checked
