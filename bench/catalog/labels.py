"""What tells cells apart, in words: rows of tables, plans, displays, logs and runs in MLflow all name cells with these.

A cell's name is its model; what else differs between the cells of a data set follows in short form, e.g. ``8 epochs``
or ``lr 0.05``, and nothing that they share. Called by every room that shows cells. Labels are part of a table's bytes.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from bench.catalog.models import SMALL_INPUT, model_stems
from bench.recipe import RecipeKey, keys_of
from bench.text import one_line
from bench.values import Cell, Component, Recipe

OWN_COLUMNS = ("stem", "input_size", "max_images_per_class")
"""Keys that a table shows elsewhere: with the model, in a column, in the heading."""

Facet = tuple[str, ...]
"""What cells can differ in: the name of a key, followed by component and option for the options of components."""


def model_label(cell: Cell) -> str:
    """The model, marked if it has another stem than its input size leads one to expect.

    A net of torchvision or timm without a small stem is marked at 32 pixels, too: it is the net for ImageNet.
    """
    small = cell.recipe.input_size <= SMALL_INPUT
    if ".py:" in cell.model or cell.recipe.stem == ("small" if small else "standard"):
        return cell.model
    return f"{cell.model} (standard stem)" if small else _with_small_stem(cell.model)


def _with_small_stem(model: str) -> str:
    return f"{model} (small stem)" if "standard" in model_stems(model) else model


def variants(cells: Sequence[Cell], *, shown: Collection[str] = OWN_COLUMNS) -> list[str]:
    """For each cell, the values in which it differs from others of its data set; empty if there are none.

    Options of a component are compared among the cells that have this component, and those of a schedule among the
    cells that call it by the same name. ``shown`` are keys of the recipe that are left out.
    """
    facets = {_key(cell): _facets(cell, shown) for cell in cells}
    differing: dict[str, list[Facet]] = {}
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        recipes = dict.fromkeys(_key(cell) for cell in cells if cell.dataset == dataset)
        differing[dataset] = _differing(facets[key] for key in recipes)
    texts: dict[object, str] = {}
    labels = []
    for cell in cells:
        key = (cell.dataset, *_key(cell))
        if key not in texts:
            own = facets[_key(cell)]
            texts[key] = ", ".join(_words(facet, own[facet]) for facet in differing[cell.dataset] if facet in own)
        labels.append(texts[key])
    return labels


def titles(cells: Sequence[Cell]) -> dict[str, str]:
    """What cells are called in progress lines, logs and the tracking UI, by id: different for different cells.

    What differs comes first, because a narrow column shows the beginning; a data set that all share is left out.
    """
    datasets = dataset_labels(cell.dataset for cell in cells)
    found = {}
    for cell, variant in zip(cells, variants(cells, shown=("stem",)), strict=True):
        dataset = datasets[cell.dataset] if len(datasets) > 1 else ""
        parts = (model_label(cell), dataset, variant, cell.schedule_name, f"s{cell.seed}")
        found[cell.id] = one_line(" · ".join(part for part in parts if part))
    return found


def dataset_labels(names: Iterable[str]) -> dict[str, str]:
    """Data sets by name: a folder is called by its last part, or by its whole path where two end alike."""
    short = {name: name.removeprefix("folder:").rstrip("/").rpartition("/")[2] for name in names}
    counts = Counter(short.values())
    return {name: label if counts[label] == 1 else name.removeprefix("folder:") for name, label in short.items()}


def _key(cell: Cell) -> tuple[object, ...]:
    return cell.recipe, cell.schedule_name, cell.schedule


def _facets(cell: Cell, shown: Collection[str]) -> dict[Facet, object]:
    facets: dict[Facet, object] = {}
    for name in keys_of(Recipe):
        if name in shown:
            continue
        value = getattr(cell.recipe, name)
        components = [each for each in (value if isinstance(value, tuple) else [value]) if isinstance(each, Component)]
        bare = [Component(name=component.name) for component in components]
        facets[(name,)] = value if not components else tuple(bare) if isinstance(value, tuple) else bare[0]
        for component in components:
            facets |= _options(component, (name, component.name), facets)
    facets["schedule", cell.schedule_name] = cell.schedule.name
    return facets | _options(cell.schedule, ("schedule", cell.schedule_name, cell.schedule.name), {})


def _options(component: Component, place: Facet, before: Mapping[Facet, object]) -> dict[Facet, object]:
    """The options of a component; where it stands twice in a list, the values of both."""
    options: dict[Facet, object] = {}
    for option, value in component.options:
        facet = (*place, option)
        options[facet] = f"{before[facet]}/{value}" if facet in before else value
    return options


def _differing(cells: Iterable[Mapping[Facet, object]]) -> list[Facet]:
    first: dict[Facet, object] = {}
    differing: dict[Facet, None] = {}
    for facets in cells:
        for facet, value in facets.items():
            if first.setdefault(facet, value) != value:
                differing[facet] = None
    # in the order in which a recipe lists them, whatever the order of the cells
    order = {name: place for place, name in enumerate((*keys_of(Recipe), "schedule"))}
    return sorted(differing, key=lambda facet: (order[facet[0]], list(first).index(facet)))


def _words(facet: Facet, value: object) -> str:
    name, option = facet[0], facet[-1]
    if len(facet) == 1:
        return _key_words(name, value)
    if name == "schedule":
        return str(value) if len(facet) == 2 else _named(option, value)
    text = _named(option, value)
    return f"{facet[1].replace('_', ' ')} {text}" if name == "augment" else text


def _key_words(name: str, value: object) -> str:
    key = keys_of(Recipe)[name]
    assert isinstance(key, RecipeKey)
    if value is None:
        return f"default {name.replace('_', ' ')}"
    text = key.words(value) if key.words else _named(name, value)
    return text.replace(", ", "+") if isinstance(value, tuple) else text


def _named(name: str, value: object) -> str:
    """``lr 0.05``; ``nesterov`` or ``no nesterov``."""
    name = name.replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {'/'.join(map(str, value)) if isinstance(value, tuple) else value}"
