"""Suite files: YAML -> :class:`bench.values.Suite`, every cell with all defaults spelled out.

Called by the command line before anything else happens. Imports neither torch nor mlflow; says everything that is wrong
with a file at once, each as ``FILE:LINE:COLUMN: sentence``.
"""

from fnmatch import fnmatchcase
from typing import Any

from pydantic import ValidationError

from bench.catalog.datasets import DATASETS, FOLDER_INPUT_SIZE
from bench.catalog.models import default_stem, model_stems
from bench.catalog.training import AUGMENTATIONS, DEFAULT_RECIPE, OPTIMIZERS, SCHEDULES, WARMUP, with_defaults
from bench.suite.document import Document
from bench.suite.filters import axis_values
from bench.suite.schema import (
    CellMapping,
    ExcludeMapping,
    GridMapping,
    ModelMapping,
    RecipeMapping,
    SuiteMapping,
    sentence,
)
from bench.values import Cell, Component, Recipe

PathInFile = tuple[str | int, ...]


def _validate(document: Document) -> SuiteMapping | None:
    content = document.content
    schedules = content.get("schedules")
    context: dict[str, Any] = {"schedules": list(schedules) if isinstance(schedules, dict) else []}
    recipe = content.get("recipe")
    optimizer = recipe.get("optimizer") if isinstance(recipe, dict) else None
    name = optimizer.get("name") if isinstance(optimizer, dict) else optimizer
    context["optimizer"] = name if isinstance(name, str) and name in OPTIMIZERS else "sgd"
    try:
        return SuiteMapping.model_validate(content, context=context)
    except ValidationError as error:
        for each in error.errors():
            path = _path_in(document, each["loc"])
            position = document.key_at(path) if each["type"] == "extra_forbidden" else document.at(path)
            document.fault(position, sentence(each, path))
        return None


def _path_in(document: Document, loc: tuple[str | int, ...]) -> PathInFile:
    """A pydantic location without the steps that only pydantic knows (union branches, lists made of one value)."""
    path: PathInFile = ()
    for part in loc:
        if (*path, part) in document.values:
            path = (*path, part)
    return path


class _Resolver:
    """Spells every cell of a valid file out, and finds what only shows across keys."""

    def __init__(self, document: Document, mapping: SuiteMapping, overrides: RecipeMapping | None) -> None:
        self.document, self.mapping, self.overrides = document, mapping, overrides
        self.schedules = {
            name: _choice(schedule, schedule.kind, "kind", {**SCHEDULES[schedule.kind].options, **WARMUP})
            for name, schedule in mapping.schedules.items()
        }
        self.places: dict[str, PathInFile] = {}
        self.recipes: dict[tuple[Any, ...], Recipe] = {}

    def cells(self) -> list[Cell]:
        """All cells in the file's order, each once."""
        self._check_schedules()
        found: dict[str, Cell] = {}
        for place, grid in self._grids():
            for cell in self._product(place, grid):
                found.setdefault(cell.id, cell)
        excluded = self._excluded(list(found.values()))
        found = {cell_id: cell for cell_id, cell in found.items() if cell_id not in excluded}
        for index, mapping in enumerate(self.mapping.cells):
            cell = self._cell(("cells", index), mapping)
            found.setdefault(cell.id, cell)
        if not found and not self.document.faults:
            self.document.fault((1, 1), "the suite has no cell: give it a 'grid:' or 'cells:'")
        return list(found.values())

    def _grids(self) -> list[tuple[PathInFile, GridMapping]]:
        listed = isinstance(self.document.content.get("grid"), list)
        return [(("grid", index) if listed else ("grid",), grid) for index, grid in enumerate(self.mapping.grid)]

    def _product(self, place: PathInFile, grid: GridMapping) -> list[Cell]:
        return [
            self._make(
                (*place, "model", index), (*place, "schedule", order), model, dataset, schedule, seed, grid.recipe
            )
            for dataset in grid.dataset
            for index, model in enumerate(grid.model)
            for order, schedule in enumerate(grid.schedule)
            for seed in grid.seed
        ]

    def _cell(self, place: PathInFile, mapping: CellMapping) -> Cell:
        where = (*place, "model"), (*place, "schedule")
        return self._make(*where, mapping.model, mapping.dataset, mapping.schedule, mapping.seed, mapping.recipe)

    def _make(
        self,
        model_place: PathInFile,
        schedule_place: PathInFile,
        model: ModelMapping,
        dataset: str,
        schedule: str,
        seed: int,
        recipe: RecipeMapping | None,
    ) -> Cell:
        key = (model.name, model.stem, dataset, id(recipe))
        if key not in self.recipes:
            self.recipes[key] = self._recipe(model_place, model, dataset, recipe)
        spelled = self.recipes[key]
        choice = self.schedules.get(schedule) or _bare(schedule)
        self._check_epochs(schedule_place, schedule, choice, spelled.epochs)
        return Cell(
            model=model.name, dataset=dataset, schedule=choice, schedule_name=schedule, recipe=spelled, seed=seed
        )

    def _recipe(self, place: PathInFile, model: ModelMapping, dataset: str, recipe: RecipeMapping | None) -> Recipe:
        named = RecipeMapping(stem=model.stem) if model.stem else None
        content: dict[str, Any] = dict(DEFAULT_RECIPE)
        for layer in (self.mapping.recipe, recipe, named, self.overrides):
            if layer is not None:
                _overlay(content, layer)
        size = DATASETS[dataset].input_size if dataset in DATASETS else FOLDER_INPUT_SIZE
        content.setdefault("input_size", size)
        content.setdefault("stem", default_stem(model.name, content["input_size"]))
        if content["stem"] not in model_stems(model.name):
            forms = ", ".join(model_stems(model.name))
            self.document.fault(
                self.document.at(place),
                f"{model.name} has no {content['stem']} stem, which the recipe asks for; only {forms}",
            )
        return Recipe(**content)

    def _check_epochs(self, place: PathInFile, name: str, choice: Component, epochs: int) -> None:
        if self.overrides and self.overrides.epochs:
            return  # a shortened trial of the suite never reaches its milestones, on purpose
        options = choice.as_dict()
        position = self.document.at(place)
        milestones = options.get("milestones")
        if isinstance(milestones, tuple) and milestones[-1] >= epochs:
            where = self.document.values.get(("schedules", name, "milestones"), position)
            self.document.fault(where, f"milestone {milestones[-1]} of {name!r} is never reached in {epochs} epochs")
        if int(options.get("warmup_epochs", 0)) >= epochs:  # type: ignore[arg-type]
            where = self.document.values.get(("schedules", name, "warmup_epochs"), position)
            self.document.fault(where, f"the warm-up of {name!r} lasts all {epochs} epochs")

    def _check_schedules(self) -> None:
        seen: dict[Component, str] = {}
        for name, choice in self.schedules.items():
            if choice in seen:
                position = self.document.key_at(("schedules", name))
                self.document.fault(position, f"schedule {name!r} is the same as {seen[choice]!r}; use one of them")
            seen.setdefault(choice, name)

    def _excluded(self, cells: list[Cell]) -> set[str]:
        excluded: set[str] = set()
        for index, pattern in enumerate(self.mapping.exclude):
            matching = {cell.id for cell in cells if _excludes(pattern, cell)}
            if not matching:
                self.document.fault(self.document.at(("exclude", index)), "this pattern matches no cell of the grids")
            excluded |= matching
        return excluded


def _overlay(content: dict[str, Any], layer: RecipeMapping) -> None:
    """Put what a layer says over a recipe's content. Options of the same optimizer are kept where it is silent."""
    for name in layer.model_fields_set:
        value = getattr(layer, name)
        if value is None:
            continue
        if name == "optimizer":
            before = content["optimizer"].as_dict() if content["optimizer"].name == value.name else {}
            given = {key: getattr(value, key) for key in value.model_fields_set - {"name"}}
            value = with_defaults(value.name, {**before, **given}, OPTIMIZERS[value.name].options)
        elif name == "augment":
            value = tuple(_choice(each, each.name, "name", AUGMENTATIONS[each.name].options) for each in value)
        content[name] = float(value) if name == "label_smoothing" else value


def _choice(mapping: Any, name: str, key: str, options: Any) -> Component:
    return with_defaults(name, {each: getattr(mapping, each) for each in mapping.model_fields_set - {key}}, options)


def _bare(kind: str) -> Component:
    return with_defaults(kind, {}, {**SCHEDULES[kind].options, **WARMUP})


def _excludes(pattern: ExcludeMapping, cell: Cell) -> bool:
    axes = axis_values(cell)
    given = {axis: getattr(pattern, axis) for axis in pattern.model_fields_set}
    return bool(given) and all(fnmatchcase(axes[axis], str(value)) for axis, value in given.items())
