"""Choose cells of a suite (``--filter AXIS=GLOB``) and change recipe keys of all cells (``--set recipe.KEY=VALUE``).

Called for options of the command line; :func:`axis_values` also serves the ``exclude`` patterns of a suite file.
"""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from bench.catalog.options import suggestion
from bench.catalog.training import OPTIMIZERS
from bench.codec import JsonObject
from bench.errors import UsageError
from bench.suite.document import emptiness, empty_values, read, scalar
from bench.suite.schema import AXES, RecipeMapping
from bench.suite.sentences import sentence
from bench.suite.spelling import plain_dataset, plain_model
from bench.text import counted
from bench.values import Cell, Suite

FILTER_AXES = (*AXES, "stem", "id")


def parse_overrides(overrides: Sequence[str]) -> RecipeMapping | None:
    """The ``--set`` strings as a recipe.

    Raises:
        UsageError: One is not ``recipe.KEY=VALUE``, or its key or value is wrong.
    """
    content: JsonObject = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        keys = key.strip().split(".")
        if not equals or keys[0] != "recipe" or len(keys) not in (2, 3):
            raise UsageError(f"--set {text}: write recipe.KEY=VALUE, e.g. recipe.epochs=1")
        mapping = content
        for part in keys[1:-1]:
            mapping = mapping.setdefault(part, {})
        if not isinstance(mapping, dict):
            raise UsageError(f"--set {text}: {keys[1]} is set twice")
        mapping[keys[-1]] = parsed = _parse(text, value.strip())
        for path in empty_values({keys[-1]: parsed}):
            raise UsageError(f"--set {text}: {emptiness(path)}")
    if not content:
        return None
    try:
        return TypeAdapter(RecipeMapping).validate_python(content)
    except ValidationError as error:
        faults = [_override_fault(details, overrides) for details in error.errors()]
        raise UsageError("\n".join(dict.fromkeys(faults))) from None


def _parse(override: str, value: str) -> Any:
    """The value of an override: a scalar, or a list or mapping in brackets."""
    if value[:1] not in ("[", "{"):
        return scalar(value)
    document = read(value)
    if document.faults:
        raise UsageError(f"--set {override}: {document.faults[0][1]}")
    return document.content


def _override_fault(error: ErrorDetails, overrides: Sequence[str]) -> str:
    path = tuple(part for part in error["loc"] if part not in OPTIMIZERS or error["type"] == "extra_forbidden")
    keys = [str(part) for part in path if isinstance(part, str)]
    option = next((text for text in overrides if text.startswith("recipe." + keys[0])), overrides[0])
    return f"--set {option}: {sentence(error, ('recipe', *path))}"


def axis_values(cell: Cell) -> dict[str, str]:
    """The values that filters and exclude patterns match."""
    return {
        "model": cell.model,
        "dataset": cell.dataset,
        "schedule": cell.schedule_name,
        "seed": str(cell.seed),
        "stem": cell.recipe.stem,
        "id": cell.id,
    }


def matches(cell: Cell, axis: str, glob: str) -> bool:
    """Whether a glob fits a cell on an axis, however it spells the path of a net or of a folder."""
    value = axis_values(cell)[axis]
    plain = {"model": plain_model, "dataset": plain_dataset}.get(axis)
    return fnmatchcase(value, glob) or (plain is not None and fnmatchcase(value, plain(glob)))


def filter_cells(suite: Suite, filters: Sequence[str]) -> Suite:
    """The suite with only the cells that match: any glob of an axis, on every axis.

    Raises:
        UsageError: A filter is not ``AXIS=GLOB``, its axis is unknown, or no cell matches.
    """
    wanted: dict[str, list[str]] = {}
    for text in filters:
        axis, equals, glob = text.partition("=")
        if not equals or axis not in FILTER_AXES:
            valid = f"axes: {', '.join(FILTER_AXES)}"
            raise UsageError(
                f"--filter {text}: write AXIS=GLOB ({suggestion(axis, FILTER_AXES, valid) if equals else valid})"
            )
        wanted.setdefault(axis, []).append(glob)
    cells = [
        cell
        for cell in suite.cells
        if all(any(matches(cell, axis, glob) for glob in globs) for axis, globs in wanted.items())
    ]
    if not cells:
        raise UsageError(
            f"--filter {' '.join(filters)}: matches no cell of {suite.path}, "
            f"which has {counted(len(suite.cells), 'cell')}"
        )
    return replace(suite, cells=tuple(cells))
