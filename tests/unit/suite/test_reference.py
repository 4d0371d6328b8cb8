"""The JSON schema and the reference page: complete, up to date, and of one mind with the loader."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.suites import GRID, HEAD, faults, parse
from jsonschema import Draft7Validator

from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, WARMUP
from bench.recipe import Execution, Recipe, keys_of
from bench.suite import load_suite
from bench.suite.reference import EXAMPLE, reference, schema_json, suite_schema

ROOT = Path(__file__).parents[3]
SUITES = sorted((ROOT / "suites").glob("*.yaml"))
OPTIONS = [
    *(spec.options for spec in SCHEDULES.values()),
    *(spec.options for spec in OPTIMIZERS.values()),
    *(spec.options for spec in AUGMENTATIONS.values()),
]


def errors(content: Any) -> list[str]:
    return [error.message for error in Draft7Validator(suite_schema()).iter_errors(content)]


class TestSuiteSchema:
    def test_it_is_a_valid_schema(self) -> None:
        Draft7Validator.check_schema(suite_schema())

    def test_the_file_that_editors_read_is_up_to_date(self) -> None:
        assert (ROOT / "suites" / "suite.schema.json").read_text() == schema_json(), "see the top of suites/README.md"

    @pytest.mark.parametrize("path", SUITES, ids=lambda path: path.name)
    def test_every_shipped_suite_is_valid(self, path: Path) -> None:
        assert errors(yaml.safe_load(path.read_text())) == []

    @pytest.mark.parametrize(
        "text",
        [
            "recipe: {epocs: 1}\n" + GRID,
            "recipe: {epochs: 0}\n" + GRID,
            "recipe: {epochs: ten}\n" + GRID,
            "recipe: {precision: fp16}\n" + GRID,
            "recipe: {optimizer: sdg}\n" + GRID,
            "recipe: {optimizer: {momentm: 0.5}}\n" + GRID,
            "recipe: {optimizer: {name: adamw, momentum: 0.5}}\n" + GRID,
            "recipe: {augment: [random_corp]}\n" + GRID,
            "schedules: {a: {kind: step}}\n" + GRID,
            "execution: {timed: 1}\n" + GRID,
            GRID.replace("resnet18", "resnet-18"),
            GRID.replace("cifar10", "cifar11"),
            GRID.replace("resnet18", "[]"),
            GRID.replace("dataset", "datset"),
            GRID.replace("}", ", seed: -1}"),
        ],
    )
    def test_what_the_loader_refuses_in_a_single_key_the_schema_refuses(self, text: str) -> None:
        assert faults(HEAD + text)
        assert errors(yaml.safe_load(HEAD + text))

    @pytest.mark.parametrize(
        "text",
        [
            "recipe: {optimizer: adamw, augment: [random_crop, {name: horizontal_flip, p: 0.1}]}\n" + GRID,
            "recipe: {optimizer: {lr: 1}}\n" + GRID,
            GRID.replace("resnet18", "[resnet18, {name: resnet50, stem: small}]").replace("}\n", ", seed: [0, 1]}\n"),
            GRID.replace("resnet18", "timm/resnet18"),
            GRID.replace("cifar10", "folder:data/flowers"),
            "cells: [{model: vgg11, dataset: cifar10, schedule: cosine}]\n",
            "grid:\n- {model: vgg11, dataset: [cifar10], schedule: cosine}\nexclude: [{seed: 1}, {model: 'r*'}]\n",
        ],
    )
    def test_every_shorthand_is_valid(self, text: str) -> None:
        assert errors(yaml.safe_load(HEAD + text)) == []

    def test_every_key_has_a_description(self) -> None:
        schema = suite_schema()
        mappings = [schema, *schema["$defs"].values()]
        bare = [
            f"{mapping.get('title')}.{name}"
            for mapping in mappings
            for name, key in mapping["properties"].items()
            if not key.get("description") and "const" not in key
        ]
        assert bare == []

    def test_it_shows_bounds_and_defaults_of_the_definitions(self) -> None:
        epochs = suite_schema()["$defs"]["RecipeMapping"]["properties"]["epochs"]
        assert (epochs["minimum"], epochs["default"], epochs["type"]) == (1, 200, "integer")


class TestReference:
    def test_the_page_is_up_to_date(self) -> None:
        page = reference([(path.name, load_suite(str(path))) for path in SUITES])
        assert (ROOT / "suites" / "README.md").read_text() == page, "the page says how it is regenerated"

    def test_it_names_every_key_option_and_component(self) -> None:
        names = {*keys_of(Recipe), *keys_of(Execution), *WARMUP, *SCHEDULES, *OPTIMIZERS, *AUGMENTATIONS}
        names |= {name for options in OPTIONS for name in options}
        page = reference()
        assert {name for name in names if f"`{name}`" not in page} == set()

    def test_its_example_has_the_cells_that_the_page_counts(self) -> None:
        assert len(parse(EXAMPLE).cells) == 12 - 3 + 1
        assert errors(yaml.safe_load(EXAMPLE)) == []


class TestDefinitions:
    @pytest.mark.parametrize("key", [*keys_of(Recipe).values(), *keys_of(Execution).values()], ids=lambda key: key.doc)
    def test_a_key_is_documented_in_whole_sentences(self, key: Any) -> None:
        assert key.doc[0] in "`ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        assert key.doc.endswith(".")

    def test_every_option_is_documented(self) -> None:
        undocumented = [name for options in (*OPTIONS, WARMUP) for name, option in options.items() if not option.doc]
        assert undocumented == []
