"""Names that are too long for where they are shown: they keep the parts in which they differ."""

from collections.abc import Sequence

SEPARATOR = " · "
"""Between the parts of a cell's title."""


def differing_parts(names: Sequence[str], width: int = 0) -> list[str]:
    """Names with the parts in which they differ, and with as many of the others as ``width`` has room for."""
    parts = [name.split(SEPARATOR) for name in names]
    if len({len(each) for each in parts}) != 1:
        return list(names)
    positions = range(len(parts[0]))
    kept = {position for position in positions if len({each[position] for each in parts}) > 1} or {0}

    def joined() -> list[str]:
        return [SEPARATOR.join(each[position] for position in sorted(kept)) for each in parts]

    for position in positions:
        before = set(kept)
        kept.add(position)
        if max(map(len, joined())) > width:
            kept = before
    return joined()


def shorten(names: Sequence[str], width: int) -> list[str]:
    """Names of at most ``width`` characters, which differ wherever that is possible."""
    if all(len(name) <= width for name in names):
        return list(names)
    names = differing_parts(names, width)
    cut = list(names)
    for tail in sorted(range(width), key=lambda length: abs(length - width // 2)):
        cut = [_cut(name, width, tail) for name in names]
        if len(set(cut)) == len(set(names)):
            break
    return cut


def _cut(name: str, width: int, tail: int) -> str:
    """A name without its middle: the last ``tail`` characters stay."""
    if len(name) <= width:
        return name
    return f"{name[: max(0, width - 1 - tail)]}…{name[len(name) - tail :]}"[:width]
