"""Recipe keys: one definition, from which everything else derives."""

import json
import shutil
import subprocess
import sys
from dataclasses import MISSING, fields, replace
from pathlib import Path

import pytest
from helpers.cells import MakeCell

from bench.recipe import Component, Execution, Recipe, describe_recipe, keys_of, recipe_identity, recipe_params
from bench.values import Cell, to_json

ROOT = Path(__file__).parents[2]

NEW_KEY = """
    dropout: Annotated[
        float,
        RecipeKey(doc="Probability of dropping an activation of the head.", minimum=0, below=1),
    ] = 0.0


@dataclass(frozen=True, kw_only=True)
class Execution:
"""

PROBE = """
import json, sys
from bench.catalog.labels import variants
from bench.catalog.training import DEFAULT_RECIPE
from bench.errors import SuiteError
from bench.recipe import describe_recipe
from bench.suite import parse_suite
from bench.suite.reference import reference, suite_schema
from bench.tracking.encoding import params_of
from bench.values import Cell, from_json

head = "suite: s\\ngrid: {model: resnet18, dataset: cifar10, schedule: cosine}\\n"
(plain,) = parse_suite(head, "f").cells
(changed,) = parse_suite(head + "recipe: {dropout: 0.5}\\n", "f").cells
faults = []
for wrong in ("dropout: 1", "dropot: 0.5", "dropout: much"):
    try:
        parse_suite(head + "recipe: {" + wrong + "}\\n", "f")
    except SuiteError as error:
        faults += error.faults
schema = suite_schema()["$defs"]["RecipeMapping"]["properties"]["dropout"]
print(json.dumps({
    "default": DEFAULT_RECIPE["dropout"],
    "ids": [plain.id, changed.id],
    "faults": faults,
    "param": params_of(changed)["dropout"],
    "words": [describe_recipe(plain.recipe), describe_recipe(changed.recipe)],
    "labels": variants([plain, changed]),
    "schema": schema,
    "reference": [line for line in reference().splitlines() if "`dropout`" in line],
    "old": from_json(Cell, sys.argv[1]).recipe.dropout,
}))
"""


@pytest.fixture(scope="module")
def with_new_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of bench whose recipe has one more key, defined in one place."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "bench", folder / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    source = folder / "bench" / "recipe.py"
    start = "\n\n@dataclass(frozen=True, kw_only=True)\nclass Execution:\n"
    text = source.read_text()
    assert text.count(start) == 1
    source.write_text(text.replace(start, NEW_KEY))
    return folder


class TestNewKey:
    def test_its_definition_is_all_that_it_takes(self, with_new_key: Path, make_cell: MakeCell) -> None:
        cell = make_cell(dataset="cifar10")
        command = [sys.executable, "-c", PROBE, to_json(cell)]
        done = subprocess.run(
            command,
            env={"PYTHONPATH": str(with_new_key)},
            capture_output=True,
            text=True,
            check=False,
            cwd=with_new_key,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert seen["default"] == 0.0
        assert seen["ids"][0] == plain_id()  # a cell without the key keeps the id that it had before
        assert seen["ids"][1] != seen["ids"][0]
        assert seen["faults"] == [
            "f:3:19: dropout must be below 1, not 1",
            "f:3:10: unknown key 'dropot' (did you mean 'dropout'?)",
            "f:3:19: dropout must be a number, not 'much'",
        ]
        assert seen["param"] == "0.5"
        assert "dropout" not in seen["words"][0]
        assert seen["words"][1].endswith(", fp32, last partial batch dropped, dropout 0.5")
        assert seen["labels"] == ["dropout 0.0", "dropout 0.5"]
        assert (seen["schema"]["default"], seen["schema"]["exclusiveMaximum"]) == (0.0, 1)
        assert seen["schema"]["description"].startswith("Probability of dropping")
        assert seen["reference"] == [
            "| `dropout` | number, at least 0, below 1 | `0.0` | Probability of dropping an activation of the head. |"
        ]
        assert seen["old"] == 0.0  # cells that were written before the key existed are read


def plain_id() -> str:
    from bench.suite import parse_suite

    (cell,) = parse_suite("suite: s\ngrid: {model: resnet18, dataset: cifar10, schedule: cosine}\n", "f").cells
    return cell.id


class TestKeysOf:
    def test_every_field_is_defined_in_its_order(self) -> None:
        assert list(keys_of(Recipe)) == [each.name for each in fields(Recipe)]
        assert list(keys_of(Execution)) == [each.name for each in fields(Execution)]

    def test_a_dataclass_default_is_the_keys_default(self) -> None:
        defaults = {each.name: each.default for each in fields(Execution) if each.default is not MISSING}
        assert {name: key.default for name, key in keys_of(Execution).items()} == defaults


class TestRecipeIdentity:
    def test_a_later_key_at_its_default_is_left_out(self, make_cell: MakeCell) -> None:
        recipe = make_cell().recipe
        assert "max_images_per_class" not in recipe_identity(recipe)
        assert recipe_identity(replace(recipe, max_images_per_class=9))["max_images_per_class"] == 9

    def test_every_other_key_is_in_it(self, make_cell: MakeCell) -> None:
        assert set(recipe_identity(make_cell().recipe)) == set(keys_of(Recipe)) - {
            "max_images_per_class",
            "test_resize",
            "drop_last",
        }


class TestRecipeParams:
    def test_components_add_their_options_and_a_key_without_value_is_left_out(self, make_cell: MakeCell) -> None:
        recipe = replace(make_cell().recipe, augment=(), max_images_per_class=None)
        params = recipe_params(recipe)
        assert (params["optimizer"], params["momentum"], params["augment"]) == ("sgd", "0.9", "none")
        assert "max_images_per_class" not in params
        assert recipe_params(replace(recipe, max_images_per_class=7))["max_images_per_class"] == "7"

    def test_augmentations_are_named_without_options(self, make_cell: MakeCell) -> None:
        augment = (Component.of("random_crop", padding=4), Component.of("horizontal_flip", p=0.5))
        assert recipe_params(replace(make_cell().recipe, augment=augment))["augment"] == "random_crop, horizontal_flip"


class TestDescribeRecipe:
    def test_what_is_not_at_its_default_comes_last(self, make_cell: MakeCell) -> None:
        recipe = replace(
            make_cell().recipe, epochs=1, batch_size=8, optimizer=Component.of("sgd", lr=0.1), precision="auto"
        )
        assert describe_recipe(recipe) == (
            "1 epoch, batch 8, sgd(lr=0.1), no augmentation, auto, last partial batch dropped"
        )
        smoothed = replace(recipe, label_smoothing=0.1, epochs=2, drop_last=False)
        assert describe_recipe(smoothed) == (
            "2 epochs, batch 8, sgd(lr=0.1), no augmentation, auto, last partial batch kept, label smoothing 0.1"
        )


def test_a_recipe_is_hashable_and_equal_by_value(make_cell: MakeCell) -> None:
    cell: Cell = make_cell()
    assert {cell.recipe: 1}[replace(cell.recipe)] == 1
