"""The pydantic models of a suite file, made from the definitions in :mod:`bench.recipe` and :mod:`bench.catalog`.

:mod:`bench.suite.resolve` validates with them and :mod:`bench.suite.reference` makes the JSON schema from them. A new
recipe key, schedule, optimizer or augmentation is accepted without a change here. What errors say is in
:mod:`bench.suite.sentences`.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, get_origin, get_type_hints

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, create_model

from bench.catalog.models import MODELS, model_problem, model_stems
from bench.catalog.options import suggestion
from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, schedule_options
from bench.model_names import join_model, split_model
from bench.recipe import Component, Execution, Key, Recipe, Stem, keys_of
from bench.suite.fields import Hint, Strict, bounded, component, documented, option_fields, refuse, value_type
from bench.suite.names import DatasetName, ModelName, Names, ScheduleName, Seed, SuiteName

AXES = ("model", "dataset", "schedule", "seed")


# Schedules, optimizers, augmentations


def _rising(schedule: Strict) -> Strict:
    milestones = schedule.given().get("milestones", [])
    if any(later <= earlier for earlier, later in pairwise(milestones)):
        refuse(f"milestones must rise, not {milestones}")
    return schedule


def _name_as_mapping(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _optimizer_as_mapping(value: object, info: ValidationInfo) -> object:
    value = _name_as_mapping(value)
    if isinstance(value, dict) and "name" not in value:
        return {"name": (info.context or Names()).optimizer, **value}
    return value


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


_OPTIMIZER_OPTIONS = {name: spec.options for name, spec in OPTIMIZERS.items()}
_ANY_OPTIMIZER = {key: option for options in _OPTIMIZER_OPTIONS.values() for key, option in options.items()}

if TYPE_CHECKING:  # made from the catalog at run time, which a type checker cannot follow
    ScheduleMapping: TypeAlias = Strict
    OptimizerMapping: TypeAlias = Strict
    AugmentMapping: TypeAlias = Strict
else:
    ScheduleMapping = Annotated[
        component("kind", {kind: schedule_options(kind) for kind in SCHEDULES}), AfterValidator(_rising)
    ]
    _NamedOptimizer = component("name", _OPTIMIZER_OPTIONS, partial=True)
    _UnnamedOptimizer = create_model(
        "optimizer_options", __base__=Strict, **option_fields(_ANY_OPTIMIZER, partial=True)
    )
    OptimizerMapping = Annotated[
        _NamedOptimizer,
        BeforeValidator(
            _optimizer_as_mapping,
            json_schema_input_type=Literal[tuple(OPTIMIZERS)] | _NamedOptimizer | _UnnamedOptimizer,
        ),
    ]
    _AnyAugmentation = component("name", {name: spec.options for name, spec in AUGMENTATIONS.items()})
    AugmentMapping = Annotated[
        _AnyAugmentation,
        BeforeValidator(_name_as_mapping, json_schema_input_type=Literal[tuple(AUGMENTATIONS)] | _AnyAugmentation),
    ]


def _field_of(hint: Hint, key: Key) -> Hint:
    """The type that a suite file gives for a field of :class:`Recipe` or :class:`Execution`."""
    hint = value_type(hint)
    origin: object = get_origin(hint)
    if hint is Component:
        return OptimizerMapping
    if origin is tuple:
        return list[AugmentMapping]
    return bounded(hint, key) if hint in (int, float) else hint


def _model_of(cls: type, base: type[Strict]) -> type[Strict]:
    """A model of a mapping that may give any of a dataclass's keys."""
    hints = get_type_hints(cls)
    fields: dict[str, Hint] = {
        name: (_field_of(hints[name], key) | None, documented(key, None)) for name, key in keys_of(cls).items()
    }
    return create_model(f"{cls.__name__}Mapping", __base__=base, __doc__=base.__doc__, **fields)


class _RecipeBase(Strict):
    """A recipe, or the part of one that a grid or a cell changes."""


class _ExecutionBase(Strict):
    """How cells are run, which changes how results are rounded."""


if TYPE_CHECKING:
    RecipeMapping: TypeAlias = _RecipeBase
    ExecutionMapping: TypeAlias = _ExecutionBase
else:
    RecipeMapping = _model_of(Recipe, _RecipeBase)
    ExecutionMapping = _model_of(Execution, _ExecutionBase)


Argument = bool | int | float | str | None
"""A value that a suite may give to a net's function."""


class ModelMapping(Strict):
    """A model with the stem it is built with, and the arguments of its function.

    Every key besides `name` and `stem` is an argument of the function of a file, or of timm's: `{name: nets.py:net,
    width: 2}` is the net of `net(num_classes=..., width=2)`. Arguments are part of the model's name and make another
    cell.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Argument | list[Argument]]

    name: ModelName = Field(description="Name of the model; `bench models` lists them.")
    stem: Stem | None = Field(None, description="The stem of this model, whatever the recipe says.")

    @property
    def full_name(self) -> str:
        """The name with its arguments, as cells, labels and tables have it."""
        name, arguments = split_model(self.name)
        return join_model(name, {**arguments, **self.__pydantic_extra__})


def _is_whole(model: ModelMapping, info: ValidationInfo) -> ModelMapping:
    stems = model_stems(model.name)
    if model.stem and model.stem not in stems:
        refuse(f"{model.name} has no {model.stem} stem, only {', '.join(stems)}")
    if model.__pydantic_extra__:
        if model.name in MODELS:
            key = next(iter(model.__pydantic_extra__))
            hint = suggestion(key, ("name", "stem"), "only functions of files and timm's nets take arguments")
            refuse(f"{model.name} takes no argument {key!r} ({hint})")
        if not (info.context or Names()).past:
            refuse(model_problem(model.full_name))
    return model


ModelEntry = Annotated[
    ModelMapping,
    BeforeValidator(_name_as_mapping, json_schema_input_type=ModelName | ModelMapping),
    AfterValidator(_is_whole),
]
SOME = Field(min_length=1)


# The file


class GridMapping(Strict):
    """A product of axes: one cell per combination. An axis takes one value or a list."""

    model: Annotated[
        list[ModelEntry],
        SOME,
        BeforeValidator(_as_list, json_schema_input_type=Annotated[list[ModelEntry], SOME] | ModelEntry),
    ] = Field(description="Models by name, or as `{name: NAME, stem: STEM, ARGUMENT: VALUE}`.")
    dataset: Annotated[
        list[DatasetName],
        SOME,
        BeforeValidator(_as_list, json_schema_input_type=Annotated[list[DatasetName], SOME] | DatasetName),
    ] = Field(description="Data sets by name (`bench datasets` lists them), or `folder:PATH`.")
    schedule: Annotated[
        list[ScheduleName],
        SOME,
        BeforeValidator(_as_list, json_schema_input_type=Annotated[list[ScheduleName], SOME] | ScheduleName),
    ] = Field(description="Names defined under `schedules`, or a kind of schedule that needs no option.")
    seed: Annotated[
        list[Seed], SOME, BeforeValidator(_as_list, json_schema_input_type=Annotated[list[Seed], SOME] | Seed)
    ] = Field([0], description="Seeds; the table gives mean and standard deviation over them.")
    recipe: RecipeMapping | None = Field(None, description="What the cells of this grid change in the suite's recipe.")


class CellMapping(Strict):
    """A single cell besides the grids."""

    model: ModelEntry = Field(description="A model by name, or as `{name: NAME, stem: STEM, ARGUMENT: VALUE}`.")
    dataset: DatasetName = Field(description="A data set by name, or `folder:PATH`.")
    schedule: ScheduleName = Field(description="A name defined under `schedules`, or a kind that needs no option.")
    seed: Seed = Field(0, description="The seed.")
    recipe: RecipeMapping | None = Field(None, description="What this cell changes in the suite's recipe.")

    def as_grid(self) -> GridMapping:
        """The same as a grid of one cell."""
        return GridMapping.model_construct(
            model=[self.model], dataset=[self.dataset], schedule=[self.schedule], seed=[self.seed], recipe=self.recipe
        )


class ExcludeMapping(Strict):
    """A pattern of cells to leave out. A cell is left out if all given axes match; values may be globs."""

    model: str | None = Field(None, description="Model, e.g. `vgg*`.")
    dataset: str | None = Field(None, description="Data set.")
    schedule: str | None = Field(None, description="Name of the schedule.")
    seed: int | str | None = Field(None, description="Seed.")


class SuiteMapping(Strict):
    """A suite file."""

    suite: SuiteName = Field(description="Name of the suite and of its MLflow experiment.")
    description: str = Field("", description="One line that reports show with the suite's name.")
    execution: ExecutionMapping = Field(default_factory=ExecutionMapping, description="How cells are run.")
    recipe: RecipeMapping | None = Field(None, description="The recipe of all cells; grids and cells may change keys.")
    schedules: dict[str, ScheduleMapping] = Field({}, description="Learning-rate schedules by the name you give them.")
    grid: Annotated[
        list[GridMapping], BeforeValidator(_as_list, json_schema_input_type=list[GridMapping] | GridMapping)
    ] = Field([], description="One grid or a list of grids.")
    exclude: list[ExcludeMapping] = Field([], description="Patterns of cells of the grids to leave out.")
    cells: list[CellMapping] = Field([], description="Single cells besides the grids; `exclude` does not apply.")
