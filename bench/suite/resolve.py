"""Turn a suite document into cells with all defaults spelled out.

Called by :func:`bench.suite.parse_suite`. Adds what is wrong with the file to the document's faults, each at its place.
Reads nothing but the headers of some images of a folder whose
input size no recipe states.
"""

from collections.abc import Iterable

from pydantic import ValidationError

from bench.catalog.models import default_stem, model_stems
from bench.catalog.training import (
    AUGMENTATIONS,
    DEFAULT_OPTIMIZER,
    DEFAULT_RECIPE,
    OPTIMIZERS,
    optimizer_problem,
    schedule_options,
    schedule_problem,
    with_defaults,
)
from bench.codec import JsonObject
from bench.datasets.source import open_source
from bench.recipe import Component, Recipe
from bench.suite.document import Document, Path, emptiness, empty_values
from bench.suite.fields import Strict
from bench.suite.filters import matches
from bench.suite.names import Names
from bench.suite.schema import (
    ExcludeMapping,
    GridMapping,
    ModelMapping,
    RecipeMapping,
    SuiteMapping,
)
from bench.suite.sentences import sentence
from bench.values import Cell


def validate(document: Document, *, past: bool = False) -> SuiteMapping | None:
    """The document as a suite mapping, or None if it is not one; the reasons are in ``document.faults``.

    ``past``: only results are wanted, see :class:`Names`.
    """
    content = document.content
    schedules = content.get("schedules")
    recipe = content.get("recipe")
    optimizer = recipe.get("optimizer") if isinstance(recipe, dict) else None
    name = optimizer.get("name") if isinstance(optimizer, dict) else optimizer
    names = Names(
        schedules=tuple(schedules) if isinstance(schedules, dict) else (),
        optimizer=name if isinstance(name, str) and name in OPTIMIZERS else DEFAULT_OPTIMIZER,
        past=past,
    )
    for path in (empty := list(empty_values(content))):
        document.fault(document.at(path), emptiness(path))
    try:
        mapping = SuiteMapping.model_validate(content, context=names)
    except ValidationError as error:
        for details in error.errors():
            if details["input"] is None:
                continue  # said above
            path = _path_in(document, details["loc"])
            position = document.key_at(path) if details["type"] == "extra_forbidden" else document.at(path)
            document.fault(position, sentence(details, path))
        return None
    return None if empty else mapping


def _path_in(document: Document, location: Path) -> Path:
    """A pydantic location without the steps that only pydantic knows (union branches, lists made of one value)."""
    path: Path = ()
    for part in location:
        if (*path, part) in document.values:
            path = (*path, part)
    return path


class Resolver:
    """Makes the cells of a valid mapping and checks what involves several keys."""

    def __init__(self, document: Document, mapping: SuiteMapping, overrides: RecipeMapping | None) -> None:
        self.document, self.mapping, self.overrides = document, mapping, overrides
        self.input_sizes: dict[str, int] = {}
        self.schedules = {name: _schedule(given) for name, given in mapping.schedules.items()}

    def cells(self) -> list[Cell]:
        """All cells in the file's order, each once."""
        self._check_schedules()
        cells: dict[str, Cell] = {}
        for place, grid in self._grids():
            for cell in self._product(place, grid):
                cells.setdefault(cell.id, cell)
        for cell_id in self._excluded(cells.values()):
            del cells[cell_id]
        for index, mapping in enumerate(self.mapping.cells):
            for cell in self._product(("cells", index), mapping.as_grid()):
                cells.setdefault(cell.id, cell)
        if not cells and not self.document.faults:
            self.document.fault((1, 1), "the suite has no cells; add 'grid:' or 'cells:'")
        return list(cells.values())

    def _grids(self) -> list[tuple[Path, GridMapping]]:
        listed = isinstance(self.document.content.get("grid"), list)
        return [(("grid", index) if listed else ("grid",), grid) for index, grid in enumerate(self.mapping.grid)]

    def _product(self, place: Path, grid: GridMapping) -> list[Cell]:
        cells = []
        for dataset in grid.dataset:
            for row, model in enumerate(grid.model):
                recipe = self._recipe((*place, "model", row), model, dataset, grid.recipe)
                for column, name in enumerate(grid.schedule):
                    schedule = self.schedules.get(name) or with_defaults(name, {}, schedule_options(name))
                    self._check_epochs((*place, "schedule", column), name, schedule, recipe.epochs)
                    if problem := schedule_problem(schedule, recipe.optimizer["lr"]):
                        position = self.document.at((*place, "schedule", column))
                        where = self.document.values.get(("schedules", name, "eta_min"), position)
                        self.document.fault(where, f"{name}: {problem}")
                    cells += [
                        Cell(
                            model=model.full_name,
                            dataset=dataset,
                            schedule=schedule,
                            schedule_name=name,
                            recipe=recipe,
                            seed=seed,
                        )
                        for seed in grid.seed
                    ]
        return cells

    def _recipe(self, place: Path, model: ModelMapping, dataset: str, own: RecipeMapping | None) -> Recipe:
        """The recipe of a grid's or a cell's combination: suite, grid or cell, model and ``--set``, in this order."""
        named = RecipeMapping(stem=model.stem) if model.stem else None  # type: ignore[call-arg]
        layers = [layer.given() for layer in (self.mapping.recipe, own, named, self.overrides) if layer]
        keys: JsonObject = dict(DEFAULT_RECIPE)
        for layer in layers:
            keys |= _components(keys["optimizer"], layer)
        if "input_size" not in keys:
            keys["input_size"] = self._input_size(dataset)
        keys.setdefault("stem", default_stem(model.name, keys["input_size"]))
        recipe = Recipe(**keys)
        if recipe.test_resize is not None and recipe.test_resize < recipe.input_size:
            problem = f"test_resize {recipe.test_resize} is smaller than input_size {recipe.input_size}"
            self.document.fault(self.document.at(place), f"{problem}; the centre cannot be cropped from less")
        stems = model_stems(model.name)
        if recipe.stem not in stems:
            problem = f"{model.name} has no {recipe.stem} stem, as the recipe demands; only {', '.join(stems)}"
            self.document.fault(self.document.at(place), problem)
        if refusal := optimizer_problem(recipe.optimizer):
            where = self.document.values.get(("recipe", "optimizer"), self.document.at(place))
            self.document.fault(where, refusal)
        return recipe

    def _input_size(self, dataset: str) -> int:
        """The data set's own input size; of a folder some images are looked at, once."""
        if dataset not in self.input_sizes:
            self.input_sizes[dataset] = open_source(dataset).input_size
        return self.input_sizes[dataset]

    def _check_epochs(self, place: Path, name: str, schedule: Component, epochs: int) -> None:
        if self.overrides and "epochs" in self.overrides.given():
            return  # a trial run of the suite with fewer epochs never reaches its milestones, on purpose
        options = schedule.as_dict()
        position = self.document.at(place)
        milestones = options.get("milestones")
        if isinstance(milestones, tuple) and milestones[-1] >= epochs:
            where = self.document.values.get(("schedules", name, "milestones"), position)
            self.document.fault(where, f"milestone {milestones[-1]} of {name!r} is never reached in {epochs} epochs")
        if schedule["warmup_epochs"] >= epochs:
            where = self.document.values.get(("schedules", name, "warmup_epochs"), position)
            self.document.fault(where, f"the warm-up of {name!r} lasts all {epochs} epochs")

    def _check_schedules(self) -> None:
        names: dict[Component, str] = {}
        for name, schedule in self.schedules.items():
            if schedule in names:
                position = self.document.key_at(("schedules", name))
                self.document.fault(position, f"schedule {name!r} is the same as {names[schedule]!r}; use one of them")
            names.setdefault(schedule, name)

    def _excluded(self, cells: Iterable[Cell]) -> set[str]:
        """The ids of cells that a pattern excludes."""
        excluded: set[str] = set()
        for index, pattern in enumerate(self.mapping.exclude):
            matches = {cell.id for cell in cells if _excludes(pattern, cell)}
            if not matches:
                self.document.fault(self.document.at(("exclude", index)), "this pattern matches no cell of the grids")
            excluded |= matches
        return excluded


def _components(optimizer: Component, layer: JsonObject) -> JsonObject:
    """The keys that a layer gives, with components in place of mappings.

    An optimizer of the same name keeps the options that the layer does not give.
    """
    keys = dict(layer)
    if mapping := layer.get("optimizer"):
        options = mapping.given()
        name = options.pop("name")
        before = optimizer.as_dict() if optimizer.name == name else {}
        keys["optimizer"] = with_defaults(name, {**before, **options}, OPTIMIZERS[name].options)
    if "augment" in layer:
        keys["augment"] = tuple(_augmentation(mapping) for mapping in layer["augment"])
    return keys


def _augmentation(mapping: Strict) -> Component:
    options = mapping.given()
    name = options.pop("name")
    return with_defaults(name, options, AUGMENTATIONS[name].options)


def _schedule(mapping: Strict) -> Component:
    options = mapping.given()
    kind = options.pop("kind")
    return with_defaults(kind, options, schedule_options(kind))


def _excludes(pattern: ExcludeMapping, cell: Cell) -> bool:
    given = pattern.given()
    return bool(given) and all(matches(cell, axis, str(value)) for axis, value in given.items())
