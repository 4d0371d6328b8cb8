"""Options of schedules, optimizers and augmentations, and suggestions for misspelt names.

Imported by the rest of :mod:`bench.catalog` and by :mod:`bench.suite`. Knows no option itself.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bench.recipe import Key, OptionValue


@dataclass(frozen=True, kw_only=True)
class Option(Key):
    """One option of a component. ``default=None`` means that it is required."""

    type: Literal["float", "int", "bool", "ints", "floats"]
    default: OptionValue | None = None
    count: int | None = None
    """How many numbers a list must have; None: any number but none."""

    def convert(self, value: Any) -> OptionValue:
        """A valid value as the option's type: ``1`` and ``1.0`` are one value of a float, and lists become tuples."""
        if self.type == "float":
            return float(value)
        if self.type in ("ints", "floats"):
            number = int if self.type == "ints" else float
            return tuple(number(item) for item in value)
        checked: OptionValue = value
        return checked


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The valid name closest to a misspelt one, or None if none is close. Case, ``-`` and ``_`` make no difference."""
    names = list(names)
    folded = {name.lower().replace("-", "_"): name for name in names}
    if exact := folded.get(word.lower().replace("-", "_")):
        return exact
    matches = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggestion(word: str, names: Iterable[str], otherwise: str) -> str:
    """``did you mean 'NAME'?`` if a valid name is close, else the given words."""
    close = nearest(word, names)
    return f"did you mean {close!r}?" if close else otherwise
