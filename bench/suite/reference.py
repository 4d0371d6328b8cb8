"""The suite file as a JSON schema, for editors, and as a page in markdown, for people.

Both derive from the models of :mod:`bench.suite.schema` and from the catalog. Called by ``bench schema``, which made
suites/suite.schema.json and suites/README.md.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args, get_origin, get_type_hints

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, PydanticUndefined
from pydantic_core import core_schema as core

from bench.catalog.options import Option
from bench.catalog.training import AUGMENTATIONS, DEFAULT_RECIPE, OPTIMIZERS, SCHEDULES, WARMUP, AugmentationSpec
from bench.recipe import Component, Execution, Key, Recipe, keys_of
from bench.suite.fields import Hint, Strict, value_type
from bench.suite.schema import CellMapping, ExcludeMapping, GridMapping, ModelMapping, SuiteMapping
from bench.values import Suite

REGENERATE = """\
bench schema > suites/suite.schema.json
bench schema --markdown suites/*.yaml > suites/README.md"""

EXAMPLE = """\
suite: example
description: Two nets on CIFAR-10, two schedules, three seeds
recipe:
  epochs: 60
  optimizer: {name: sgd, lr: 0.1, nesterov: true}
  augment: [random_crop, horizontal_flip]
schedules:
  late: {kind: multistep, milestones: [30, 45], gamma: 0.2, warmup_epochs: 1}
grid:
  - model: [resnet18, {name: resnet50, stem: standard}]
    dataset: cifar10
    schedule: [late, cosine]
    seed: [0, 1, 2]
exclude:
  - {model: resnet50, schedule: late}
cells:
  - {model: vgg11, dataset: cifar10, schedule: cosine, recipe: {optimizer: {lr: 0.01}}}
"""

TYPES = {
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    "int": "whole number",
    "float": "number",
    "bool": "`true` or `false`",
    "ints": "list of whole numbers",
    "floats": "list of numbers",
}


class _SuiteSchema(GenerateJsonSchema):
    """JSON schema without titles that repeat a key's name, and without null, which stands for a key not given."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def nullable_schema(self, schema: core.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core.WithDefaultSchema) -> JsonSchemaValue:
        inner: CoreSchema = schema["schema"]
        return self.generate_inner(inner) if schema.get("default") is None else super().default_schema(schema)


def suite_schema() -> JsonSchemaValue:
    """The JSON schema (draft 7, which editors know) of a suite file.

    It describes single keys. That milestones rise, that names are defined and the like is only checked by
    :func:`bench.suite.load_suite`.
    """
    schema = SuiteMapping.model_json_schema(schema_generator=_SuiteSchema)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "title": "bench suite file"}


def schema_json() -> str:
    """:func:`suite_schema` as text."""
    return json.dumps(suite_schema(), indent=2) + "\n"


def reference(suites: Sequence[tuple[str, Suite]] = ()) -> str:
    """The page on suite files in markdown, with a list of suites: pairs of file name and suite."""
    sections = [
        "# Suite files",
        "A suite file is a YAML file that lists the cells of a table: models, data sets, learning-rate schedules and "
        "seeds, with the recipe that they are trained with. `bench plan FILE` shows its cells, `bench run FILE` trains "
        "them.",
        f"This page is generated from the definitions in the code; do not edit it. Regenerate it with\n\n"
        f"```\n{REGENERATE}\n```",
        _shipped(suites),
        f"## An example\n\n```yaml\n{EXAMPLE}```",
        "The grid makes one cell per combination of its axes, in the order of the file: 2 models, 2 schedules and 3 "
        "seeds are 12 cells. `exclude` leaves out 3 of them and `cells` adds one. Cells that are equal are one cell.",
        "Every mistake in a file is reported at once as `FILE:LINE:COLUMN: sentence`, with the valid name closest to a "
        "misspelt one. Anchors, aliases, tags and duplicate keys are not allowed. Numbers follow YAML 1.2: `1e-3` is "
        "a number.",
        "An editor with a YAML language server completes and checks keys if the file begins with\n\n"
        "```yaml\n# yaml-language-server: $schema=suite.schema.json\n```",
        _section("The keys of a suite", SuiteMapping),
        _section("`grid`", GridMapping),
        _section("A model in a grid or cell", ModelMapping),
        _section("`cells`", CellMapping),
        _section("`exclude`", ExcludeMapping),
        "## `recipe`\n\nWhat decides the result of a cell, besides its model, data set, schedule and seed. A cell's "
        "recipe is the defaults below, then the suite's `recipe`, then that of its grid or cell, then the `stem` of "
        "its model, then `--set recipe.KEY=VALUE` on the command line; each changes only the keys that it gives. Any "
        "change makes another cell, with another id.",
        _keys(Recipe),
        "## `execution`\n\nHow cells are run. It changes how results are rounded and is not part of a cell's id.",
        _keys(Execution),
        _schedules(),
        _components("Optimizers", "optimizer", {name: ("", spec.options) for name, spec in OPTIMIZERS.items()}),
        _components(
            "Augmentations", "augment", {name: (_about(spec), spec.options) for name, spec in AUGMENTATIONS.items()}
        ),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _shipped(suites: Sequence[tuple[str, Suite]]) -> str:
    if not suites:
        return ""
    rows = [(f"[{file}]({file})", suite.description, str(len(suite.cells))) for file, suite in suites]
    table = _table(["File", "What it trains", "Cells"], rows)
    return f"## The suites here\n\nThe comment at the top of each file gives sources, time and accuracy.\n\n{table}"


_EMPTY: tuple[object, ...] = (None, "", [], {}, PydanticUndefined)
"""Defaults that need no mention."""


def _section(title: str, mapping: type[Strict]) -> str:
    rows = []
    for name, field in mapping.model_fields.items():
        default = "required" if field.is_required() else "" if field.default in _EMPTY else _yaml(field.default)
        rows.append((f"`{name}`", default, field.description or ""))
    return f"## {title}\n\n{mapping.__doc__}\n\n{_table(['Key', 'Default', 'Meaning'], rows)}"


def _keys(cls: type) -> str:
    hints = get_type_hints(cls)
    rows = []
    for name, key in keys_of(cls).items():
        default = DEFAULT_RECIPE.get(name, key.default) if cls is Recipe else key.default
        rows.append((f"`{name}`", _type_words(hints[name], key), key.derived or _yaml(default), key.doc))
    return _table(["Key", "Value", "Default", "Meaning"], rows)


def _type_words(hint: Hint, key: Key) -> str:
    hint = value_type(hint)
    origin: object = get_origin(hint)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in get_args(hint))
    if hint is Component:
        return "an [optimizer](#optimizers)"
    if origin is tuple:
        return "list of [augmentations](#augmentations)"
    return TYPES[hint] + (f" of {key.unit}" if key.unit else "") + _bounds(key)


def _bounds(key: Key) -> str:
    words = {"above": key.above, "at least": key.minimum, "below": key.below, "at most": key.maximum}
    return "".join(f", {word} {bound:g}" for word, bound in words.items() if bound is not None)


def _yaml(value: object) -> str:
    """A value as it is written in a suite file."""
    if isinstance(value, Component):
        inner = ", ".join(f"{key}: {_scalar(option)}" for key, option in value.options)
        return f"`{{name: {value.name}, {inner}}}`"
    return f"`{_scalar(value)}`"


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    return f"{value:.4g}" if isinstance(value, float) and value != int(value) else str(value)


def _options(options: Mapping[str, Option]) -> str:
    rows = [
        (
            f"`{name}`",
            TYPES[option.type] + _bounds(option),
            "required" if option.default is None else _yaml(option.default),
            option.doc,
        )
        for name, option in options.items()
    ]
    return _table(["Option", "Value", "Default", "Meaning"], rows)


def _schedules() -> str:
    sections = [
        "## Schedules\n\nA schedule under `schedules` is a mapping with its `kind` and options, e.g. "
        "`late: {kind: multistep, milestones: [30, 45]}`. A kind without required options can be named in a grid "
        "directly. The learning rate changes once per epoch, during warm-up in every step; e counts epochs from 0.",
        f"All kinds have the options of a linear warm-up:\n\n{_options(WARMUP)}",
    ]
    for kind, spec in SCHEDULES.items():
        start = "the start of training" if spec.absolute else "the end of the warm-up"
        formula = f"`{spec.formula}`, with e counted from {start} (`{spec.target.replace(':', '.')}`)."
        sections.append(f"### `{kind}`\n\n{formula}\n\n{_options(spec.options)}")
    return "\n\n".join(sections)


def _about(augmentation: AugmentationSpec) -> str:
    order = ". It must be the first of the list and needs a data set of image files" if augmentation.of_files else ""
    return augmentation.doc + order


def _components(title: str, key: str, entries: Mapping[str, tuple[str, Mapping[str, Option]]]) -> str:
    sections = [f"## {title}\n\nFor `recipe.{key}`, by name or as a mapping: `{{name: NAME, OPTION: VALUE}}`."]
    for name, (about, options) in entries.items():
        sentence = f"{about[0].upper()}{about[1:]}.\n\n" if about else ""
        sections.append(f"### `{name}`\n\n{sentence}{_options(options)}")
    return "\n\n".join(sections)
