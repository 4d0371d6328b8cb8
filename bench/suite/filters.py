"""suite.filters."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.catalog.options import nearest
from bench.catalog.training import OPTIMIZERS
from bench.errors import UsageError
from bench.suite.document import read, scalar
from bench.suite.schema import (
    AXES,
    RecipeMapping,
    sentence,
)
from bench.values import Cell, Suite

FILTER_AXES = (*AXES, "stem", "id")


def parse_overrides(overrides: Sequence[str]) -> RecipeMapping | None:
    """The ``--set`` strings as a recipe.

    Raises:
        UsageError: One is not ``recipe.KEY=VALUE``, or its key or value is wrong.
    """
    content: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        parts = key.strip().split(".")
        if not equals or parts[0] != "recipe" or len(parts) not in (2, 3):
            raise UsageError(f"--set {text}: write recipe.KEY=VALUE, e.g. recipe.epochs=1")
        place = content
        for part in parts[1:-1]:
            place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set {text}: {parts[1]} is set twice")
        place[parts[-1]] = read(value).content if value.strip()[:1] in "[{" else scalar(value.strip())
    if not content:
        return None
    try:
        return TypeAdapter(RecipeMapping).validate_python(content)
    except ValidationError as error:
        faults = [_override_fault(each, overrides) for each in error.errors()]
        raise UsageError("\n".join(dict.fromkeys(faults))) from None


def _override_fault(error: Any, overrides: Sequence[str]) -> str:
    path = tuple(part for part in error["loc"] if part not in OPTIMIZERS or error["type"] == "extra_forbidden")
    words = [str(part) for part in path if isinstance(part, str)]
    option = next((text for text in overrides if text.startswith("recipe." + words[0])), overrides[0])
    return f"--set {option}: {sentence(error, ('recipe', *path))}"


def axis_values(cell: Cell) -> dict[str, str]:
    """What filters and exclude patterns are matched against."""
    return {
        "model": cell.model,
        "dataset": cell.dataset,
        "schedule": cell.schedule_name,
        "seed": str(cell.seed),
        "stem": cell.recipe.stem,
        "id": cell.id,
    }


def filter_cells(suite: Suite, filters: Sequence[str]) -> Suite:
    """The suite with only the cells that match: globs of one axis are alternatives, axes must all match.

    Raises:
        UsageError: A filter is not ``AXIS=GLOB``, its axis is unknown, or no cell is left.
    """
    wanted: dict[str, list[str]] = {}
    for text in filters:
        axis, equals, glob = text.partition("=")
        if not equals or axis not in FILTER_AXES:
            hint = nearest(axis, FILTER_AXES)
            valid = f"did you mean {hint!r}?" if hint and equals else f"axes: {', '.join(FILTER_AXES)}"
            raise UsageError(f"--filter {text}: write AXIS=GLOB ({valid})")
        wanted.setdefault(axis, []).append(glob)
    cells = [
        cell
        for cell in suite.cells
        if all(any(fnmatchcase(axis_values(cell)[axis], glob) for glob in globs) for axis, globs in wanted.items())
    ]
    if not cells:
        raise UsageError(f"--filter {' '.join(filters)}: matches none of the {len(suite.cells)} cells of {suite.path}")
    return replace(suite, cells=tuple(cells))
