"""What a suite file may hold, as pydantic models made from the catalog; their errors as sentences.

A new schedule, optimizer or augmentation of the catalog is accepted here without a change.
"""

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, create_model
from pydantic_core import ErrorDetails, PydanticCustomError

from bench.catalog.datasets import dataset_problem
from bench.catalog.models import model_problem, model_stems
from bench.catalog.options import Option, nearest
from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, WARMUP

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
AXES = ("model", "dataset", "schedule", "seed")


class Strict(BaseModel):
    """No unknown key, no conversion of types."""

    model_config = STRICT


def _field_type(option: Option) -> Any:
    bounds = Field(gt=option.above, ge=option.minimum, le=option.maximum)
    if option.type == "bool":
        return bool
    number: Any = Annotated[float if option.type.startswith("float") else int, bounds]
    return Annotated[list[number], Field(min_length=1)] if option.type in ("ints", "floats") else number


def _options_model(kind: str, key: str, options: dict[str, Option], *, partial: bool) -> type[Strict]:
    """A model of a choice's mapping; ``partial``: options without a default may be left out too."""
    fields: dict[str, Any] = {key: (Literal[kind], ...)}
    for name, option in options.items():
        required = option.default is None and not partial
        fields[name] = (_field_type(option), ... if required else None)
    return create_model(kind, __base__=Strict, **fields)


def _choice(specs: dict[str, Any], key: str, extra: dict[str, Option], *, partial: bool = False) -> Any:
    made = [_options_model(kind, key, {**spec.options, **extra}, partial=partial) for kind, spec in specs.items()]
    return Annotated[Union[tuple(made)], Field(discriminator=key)]  # noqa: UP007 - a union made at run time


def _rising(schedule: Any) -> Any:
    milestones = getattr(schedule, "milestones", None)
    if milestones and any(later <= earlier for earlier, later in pairwise(milestones)):
        raise PydanticCustomError("sentence", "milestones must rise, not {found}", {"found": str(milestones)})
    return schedule


def _two_betas(optimizer: Any) -> Any:
    betas = getattr(optimizer, "betas", None)
    if betas is not None and len(betas) != 2:
        raise PydanticCustomError("sentence", "betas must be two numbers, not {count}", {"count": len(betas)})
    return optimizer


def _name_as_mapping(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _optimizer_as_mapping(value: Any, info: ValidationInfo) -> Any:
    value = _name_as_mapping(value)
    if isinstance(value, dict) and "name" not in value:
        return {"name": (info.context or {}).get("optimizer", "sgd"), **value}
    return value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _check_model(name: str) -> str:
    if problem := model_problem(name):
        raise PydanticCustomError("sentence", "{problem}", {"problem": problem})
    return name


def _check_dataset(name: str) -> str:
    if problem := dataset_problem(name):
        raise PydanticCustomError("sentence", "{problem}", {"problem": problem})
    return name


def _check_schedule(name: str, info: ValidationInfo) -> str:
    names = (info.context or {}).get("schedules", ())
    bare = [kind for kind, spec in SCHEDULES.items() if all(o.default is not None for o in spec.options.values())]
    if name in names or name in bare:
        return name
    if name in SCHEDULES:
        needed = ", ".join(key for key, option in SCHEDULES[name].options.items() if option.default is None)
        sentence = f"schedule {name!r} needs {needed}: give it a name under 'schedules:'"
    else:
        hint = nearest(name, [*names, *bare])
        sentence = f"unknown schedule {name!r}" + (
            f" (did you mean {hint!r}?)" if hint else "; define it in schedules:"
        )
    raise PydanticCustomError("sentence", "{problem}", {"problem": sentence})


def _check_suite_name(name: str) -> str:
    if not NAME.fullmatch(name):
        problem = (
            f"suite name {name!r} may hold letters, digits, '.', '_' and '-' only, up to 64, and begin with a letter"
        )
        raise PydanticCustomError("sentence", "{problem}", {"problem": problem})
    return name


if TYPE_CHECKING:  # made from the catalog at run time, which a type checker cannot follow
    ScheduleMapping: TypeAlias = Any
    OptimizerMapping: TypeAlias = Any
    AugmentMapping: TypeAlias = Any
else:
    ScheduleMapping = Annotated[_choice(SCHEDULES, "kind", WARMUP), AfterValidator(_rising)]
    OptimizerMapping = Annotated[
        _choice(OPTIMIZERS, "name", {}, partial=True),
        BeforeValidator(_optimizer_as_mapping),
        AfterValidator(_two_betas),
    ]
    AugmentMapping = Annotated[_choice(AUGMENTATIONS, "name", {}), BeforeValidator(_name_as_mapping)]
ModelName = Annotated[str, AfterValidator(_check_model)]
DatasetName = Annotated[str, AfterValidator(_check_dataset)]
ScheduleName = Annotated[str, AfterValidator(_check_schedule)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class RecipeMapping(Strict):
    """A recipe, or the part of one that a grid or a cell changes."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    optimizer: OptimizerMapping | None = None
    augment: list[AugmentMapping] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    precision: Literal["fp32", "bf16", "auto"] | None = None
    stem: Literal["small", "standard"] | None = None
    input_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    max_images_per_class: Annotated[int, Field(ge=1)] | None = None


class ModelMapping(Strict):
    """A model of a grid: its name, or its name with the form it is built in."""

    name: ModelName
    stem: Literal["small", "standard"] | None = None


def _has_form(model: ModelMapping) -> ModelMapping:
    if model.stem and model.stem not in model_stems(model.name):
        problem = f"{model.name} has no {model.stem} stem, only {', '.join(model_stems(model.name))}"
        raise PydanticCustomError("sentence", "{problem}", {"problem": problem})
    return model


ModelEntry = Annotated[ModelMapping, BeforeValidator(_name_as_mapping), AfterValidator(_has_form)]
AxisOf = BeforeValidator(_as_list)
SOME = Field(min_length=1)


class GridMapping(Strict):
    """A product of axes, with what it changes in the recipe."""

    model: Annotated[list[ModelEntry], SOME, AxisOf]
    dataset: Annotated[list[DatasetName], SOME, AxisOf]
    schedule: Annotated[list[ScheduleName], SOME, AxisOf]
    seed: Annotated[list[Seed], SOME, AxisOf] = [0]
    recipe: RecipeMapping | None = None


class CellMapping(Strict):
    """A single cell beside the grids."""

    model: ModelEntry
    dataset: DatasetName
    schedule: ScheduleName
    seed: Seed = 0
    recipe: RecipeMapping | None = None


class ExcludeMapping(Strict):
    """A pattern of cells to leave out: axis -> value or glob."""

    model: str | None = None
    dataset: str | None = None
    schedule: str | None = None
    seed: int | str | None = None


class ExecutionMapping(Strict):
    """How cells are run, which changes no result beyond rounding."""

    deterministic: bool = False
    timed: bool = False
    memory_format: Literal["auto", "channels_last", "contiguous"] = "auto"
    compile: Literal["auto", "always", "never"] = "auto"


class SuiteMapping(Strict):
    """A suite file."""

    suite: Annotated[str, AfterValidator(_check_suite_name)]
    description: str = ""
    execution: ExecutionMapping = ExecutionMapping()
    recipe: RecipeMapping | None = None
    schedules: dict[str, ScheduleMapping] = {}
    grid: Annotated[list[GridMapping], AxisOf] = []
    exclude: list[ExcludeMapping] = []
    cells: list[CellMapping] = []


def known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that the mapping at a path may hold, for suggestions."""
    words = [part for part in path if isinstance(part, str)]
    last = words[-1] if words else ""
    by_key: dict[str, Any] = {
        "": SuiteMapping,
        "recipe": RecipeMapping,
        "execution": ExecutionMapping,
        "grid": GridMapping,
        "cells": CellMapping,
        "exclude": ExcludeMapping,
        "model": ModelMapping,
    }
    if last in by_key and len(words) <= 3:
        return list(by_key[last].model_fields)
    if last == "optimizer":
        return ["name", *{key for spec in OPTIMIZERS.values() for key in spec.options}]
    if last == "augment":
        return ["name", *{key for spec in AUGMENTATIONS.values() for key in spec.options}]
    if words and words[0] == "schedules":
        return ["kind", *WARMUP, *{key for spec in SCHEDULES.values() for key in spec.options}]
    return []


WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "model_attributes": "a mapping",
    "finite_number": "a finite number",
}


def sentence(error: ErrorDetails, path: tuple[str | int, ...]) -> str:
    """A pydantic error in words. ``path`` is the place in the file, without pydantic's own steps."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "the file")
    if kind == "extra_forbidden":
        hint = nearest(key, known_keys(path[:-1]))
        valid = f"did you mean {hint!r}?" if hint else f"valid: {', '.join(sorted(known_keys(path[:-1])))}"
        return f"unknown key {key!r} ({valid})"
    if kind == "missing":
        return f"key {error['loc'][-1]!r} is missing" + (f" in {key!r}" if path else "")
    if kind == "union_tag_not_found":
        return f"{key!r} needs the key {str(context['discriminator']).strip(chr(39))!r}"
    if kind in ("union_tag_invalid", "literal_error"):
        return _unknown_word(key, kind, context, value)
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        word = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
        limit, bound = next(iter(context.items()))
        return f"{key} must be {word[limit]} {bound:g}, not {value!r}"
    if kind in ("too_short", "too_long"):
        return f"{key} must not be empty"
    if kind == "sentence":
        return error["msg"]
    stem = kind.removesuffix("_type").removesuffix("_parsing")
    return f"{key} must be {WANTED.get(stem, stem.replace('_', ' '))}, not {_shown(value)}"


def _unknown_word(key: str, kind: str, context: dict[str, Any], value: Any) -> str:
    listed = context["expected_tags"] if kind == "union_tag_invalid" else context["expected"]
    names = re.findall(r"'([^']*)'", str(listed))
    found = str(context["tag"]) if kind == "union_tag_invalid" else value
    hint = nearest(found, names) if isinstance(found, str) else None
    valid = f"did you mean {hint!r}?" if hint else f"valid: {', '.join(names)}"
    what = {"union_tag_invalid": f"unknown name {found!r} in {key!r}"}.get(kind, f"{key} cannot be {_shown(found)}")
    return f"{what} ({valid})"


def _shown(value: Any) -> str:
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
