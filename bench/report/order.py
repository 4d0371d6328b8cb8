"""The order of values in a column, and which of them are the best. Pure functions, used by :mod:`bench.report.grid`."""

import math
import re
from collections.abc import Sequence
from typing import Literal

from bench.report.columns import Value


def sorted_positions(values: Sequence[Value], *, descending: bool) -> list[int]:
    """The positions of values in order; those of missing ones last. Equal values keep their order."""
    present = [(_key(value), position) for position, value in enumerate(values) if value is not None]
    present.sort(key=lambda pair: pair[0], reverse=descending)
    return [position for _, position in present] + [i for i, value in enumerate(values) if value is None]


def _key(value: float | str) -> list[tuple[float, str]]:
    """Numbers before texts, and ``resnet18`` before ``resnet101``."""
    if not isinstance(value, str):
        return [(value, "")]
    parts = re.split(r"([0-9]+)", value.casefold())
    return [(int(part), "") if place % 2 else (math.inf, part) for place, part in enumerate(parts)]


def best_positions(texts: Sequence[str], better: Literal["higher", "lower"]) -> set[int]:
    """The positions of the best numbers, with those that are equal in the digits shown; empty if nothing is compared.

    A text is what a column shows of a number, e.g. ``93.76 ± 0.12 (n=3)``: the number that it begins with counts.
    """
    numbers = {position: number for position, text in enumerate(texts) if (number := _number(text)) is not None}
    if len(numbers) < 2:
        return set()
    best = (max if better == "higher" else min)(numbers.values())
    return {position for position, number in numbers.items() if number == best}


def _number(text: str) -> float | None:
    found = re.match(r"-?[0-9][0-9 ]*(\.[0-9]+)?", text)
    return float(found[0].replace(" ", "")) if found else None
