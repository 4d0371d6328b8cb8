"""Which rows a pivot puts into one line: those of one net, with a column of results per data set or per schedule.

Used by :mod:`bench.report.grid`. Without a pivot every row is a line of its own.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from bench.report.model import Row, Table

Pivot = Literal["", "dataset", "schedule"]
Member = tuple[Table, Row]
"""A row with its table."""
Key = tuple[object, ...]


def slot_of(member: Member, pivot: Pivot) -> str:
    """The data set or the schedule that a row has its column under."""
    table, row = member
    return table.title if pivot == "dataset" else row.schedule if pivot == "schedule" else ""


def grouped(tables: Sequence[Table], pivot: Pivot) -> list[list[Member]]:
    """The rows of each line. No two of them have the same column."""
    keys = _dataset_keys(tables) if pivot == "dataset" else [[_schedule_key(r) for r in t.rows] for t in tables]
    groups: dict[Key, list[Member]] = {}
    for table, own in zip(tables, keys, strict=True):
        for number, (row, key) in enumerate(zip(table.rows, own, strict=True)):
            group = groups.setdefault(key, [])
            if not pivot or slot_of((table, row), pivot) in {slot_of(member, pivot) for member in group}:
                group = groups.setdefault((table.title, number), [])
            group.append((table, row))
    return [group for group in groups.values() if group]


def distinctions(tables: Sequence[Table]) -> set[str]:
    """What tells the lines apart where data sets are columns, beside the model: names of columns."""
    keys = [key for own in _dataset_keys(tables) for key in own]
    return {name for place, name in enumerate(("schedule", "recipe", "input"), 1) if any(key[place] for key in keys)}


def _dataset_keys(tables: Sequence[Table]) -> list[list[Key]]:
    """The keys of all rows: as much of a row, beside its model, as other rows of its data set make necessary.

    So a net is one line although every data set has a recipe of its own.
    """
    schedules = any(len({row.schedule for row in table.rows}) > 1 for table in tables)
    keys: list[list[Key]] = []
    for table in tables:
        nets = Counter((row.name, row.schedule) for row in table.rows)
        recipes = Counter((row.name, row.schedule, row.variant) for row in table.rows)
        keys.append(
            [
                (
                    row.name,
                    row.schedule if schedules else "",
                    row.variant if nets[row.name, row.schedule] > 1 else "",
                    row.input_size if recipes[row.name, row.schedule, row.variant] > 1 else 0,
                )
                for row in table.rows
            ]
        )
    return keys


def _schedule_key(row: Row) -> Key:
    """A net with its recipe: schedules are compared where nothing else differs."""
    return row.name, row.input_size, *(f"{name}={value}" for name, value in row.recipe.items())
