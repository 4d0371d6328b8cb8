"""How a user asks for a layout: ``--columns``, ``--sort`` and the like, checked before anything is read."""

from collections.abc import Sequence
from typing import get_args, get_type_hints

from bench.errors import UsageError
from bench.report.columns import find_column
from bench.report.model import Layout

SIGNS = ("+", "-")
"""Before the name of a column that joins or leaves the default ones."""
PIVOTS = tuple(pivot for pivot in get_args(get_type_hints(Layout)["pivot"]) if pivot)
"""What ``--pivot`` takes."""


def make_layout(
    *,
    columns: str | Sequence[str] = (),
    sort: str = "",
    highlight: bool = False,
    pivot: str = "",
    title: str = "",
    separate: bool = False,
) -> Layout:
    """A layout from the words of a command line.

    Args:
        columns: Names of columns, as a sequence or with commas between them; or changes of the default ones, each
            ``+name`` or ``-name``.
        sort: ``COLUMN``, ``COLUMN:desc`` or ``COLUMN:asc``. Without a direction the best come first, where a column
            says which values are better; else the smallest.
        highlight: The best of every column is bold.
        pivot: ``dataset`` or ``schedule``: a column of results each.
        title: Heading of the tables.
        separate: Every suite has tables of its own.

    Raises:
        UsageError: A name is unknown, or names and changes are mixed.
    """
    names = [name.strip() for name in (columns.split(",") if isinstance(columns, str) else columns)]
    names = [name for name in names if name]
    for name in names:
        find_column(name.removeprefix("+").removeprefix("-"))
    if 0 < sum(name.startswith(SIGNS) for name in names) < len(names):
        raise UsageError(
            f"--columns {','.join(names)}: either name all columns, or change the default ones with + or - before each"
        )
    column, _, direction = sort.partition(":")
    if direction not in ("", "asc", "desc"):
        raise UsageError(f"--sort {sort}: a direction is asc or desc, not {direction!r}")
    if pivot and pivot not in PIVOTS:
        raise UsageError(f"unknown pivot {pivot!r}; valid pivots: {', '.join(PIVOTS)}")
    best_first = bool(sort) and find_column(column).better == "higher"
    return Layout(
        columns=tuple(names),
        sort=column,
        descending=direction == "desc" or (not direction and best_first),
        highlight=highlight,
        pivot="dataset" if pivot == "dataset" else "schedule" if pivot == "schedule" else "",
        title=title.strip(),
        separate=separate,
    )


def chosen_columns(asked: Sequence[str], default: Sequence[str]) -> list[str]:
    """The names of the columns of a table, each once.

    Raises:
        UsageError: All of them were taken away.
    """
    names = list(dict.fromkeys([name for name in asked if not name.startswith(SIGNS)] or default))
    for name in asked:
        column = name[1:]
        if name.startswith("+") and column not in names:
            names.append(column)
        elif name.startswith("-") and column in names:
            names.remove(column)
    if not names:
        raise UsageError(f"--columns {','.join(asked)} leaves no column")
    return names
