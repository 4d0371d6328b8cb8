"""Labels of table rows: the model's name, plus the stem or the recipe where the name alone would be ambiguous.

Called by :mod:`bench.report.table` with one cell per row. Labels are part of the table's bytes.
"""

from collections.abc import Sequence

from bench.catalog.models import SMALL_INPUT, model_stems
from bench.values import Cell


def row_labels(cells: Sequence[Cell]) -> list[str]:
    """The labels of a table's rows, given one cell of each row.

    Rows that share a name and a schedule are told apart by the recipe keys in which they differ.
    """
    names = [_name(cell) for cell in cells]
    namesakes: dict[tuple[str, str], list[Cell]] = {}
    for name, cell in zip(names, cells, strict=True):
        namesakes.setdefault((name, cell.schedule_name), []).append(cell)
    differing = {key: _differing_keys(group) for key, group in namesakes.items() if len(group) > 1}
    labels = []
    for name, cell in zip(names, cells, strict=True):
        keys = differing.get((name, cell.schedule_name))
        labels.append(name if keys is None else f"{name} ({_describe_keys(cell, keys)})")
    return labels


def _name(cell: Cell) -> str:
    """The model, marked if it keeps the ImageNet stem on small images although it has a small one."""
    surprising = (
        cell.recipe.stem == "standard" and cell.recipe.input_size <= SMALL_INPUT and "small" in model_stems(cell.model)
    )
    return f"{cell.model} (standard stem)" if surprising else cell.model


def _keys(cell: Cell) -> dict[str, object]:
    return {**vars(cell.recipe), "schedule": cell.schedule}


def _differing_keys(cells: Sequence[Cell]) -> list[str]:
    first, *others = (_keys(cell) for cell in cells)
    return [key for key in first if any(other[key] != first[key] for other in others)]


def _describe_keys(cell: Cell, keys: Sequence[str]) -> str:
    values = _keys(cell)
    return ", ".join(f"{key}={_short(values[key])}" for key in keys)


def _short(value: object) -> str:
    return "+".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
