"""Records as small JSON for the script of the HTML page: what repeats stands once. ``report.js`` has the inverse."""

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise

Record = Mapping[str, object]

DIGITS = 7
"""Significant digits that a number keeps, unless its user says otherwise."""


def pack(records: Sequence[Record], *, digits: int = DIGITS) -> object:
    """Records as columns, see :func:`pack_column`; as they are, where not all have the same keys.

    Numbers keep so many significant ``digits``. A text that shows a number of the same record, with four of them, is
    not kept.
    """
    keys = list(records[0]) if records else []
    if any(list(record) != keys for record in records):
        return list(records)
    columns = {key: [record[key] for record in records] for key in keys}
    packed: dict[str, object] = {}
    for key, values in columns.items():
        source = next((other for other in keys if _shows(values, columns[other])), "")
        packed[key] = {"of": source} if source else pack_column(values, digits=digits)
    return {"count": len(records), "columns": packed}


def pack_column(values: Sequence[object], *, digits: int = DIGITS) -> dict[str, object]:
    """Values, in the shortest of three ways.

    Each value; or each value followed by how many times in a row it stands; or, for whole numbers, each step from the
    number before, likewise.
    """
    short = [float(f"{value:.{digits}g}") if isinstance(value, float) else value for value in values]
    whole = [value for value in values if type(value) is int]
    ways: dict[str, list[object]] = {"each": short, "runs": _runs(short)}
    if len(whole) == len(values):
        ways["steps"] = _runs([b - a for a, b in pairwise([0, *whole])])
    way = min(ways, key=lambda name: len(ways[name]))
    return {way: ways[way]}


def _shows(texts: Sequence[object], numbers: Sequence[object]) -> bool:
    return all(
        isinstance(text, str) and isinstance(number, float) and text == f"{number:.4g}"
        for text, number in zip(texts, numbers, strict=True)
    )


def _runs(values: Sequence[object]) -> list[object]:
    """Each value followed by how many times in a row it stands."""
    # 1, 1.0 and True are equal and not the same in JSON
    return [each for (value, _), run in groupby(values, key=lambda v: (v, type(v))) for each in (value, len(list(run)))]
