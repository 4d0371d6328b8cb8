"""``--set`` and ``--filter``."""

import json

import pytest
from helpers.suites import GOOD, parse

from bench.errors import UsageError
from bench.suite import parse_suite
from bench.suite.filters import filter_cells


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("epochs=1", "write recipe.KEY=VALUE"),
        ("recipe.epochs", "write recipe.KEY=VALUE"),
        ("recipe.epocs=1", "did you mean 'epochs'?"),
        ("recipe.epochs=", "epochs is empty; give it a value"),
        ("recipe.epochs=null", "epochs is empty; give it a value"),
        ("recipe.optimizer.lr=", "lr is empty; give it a value"),
        ("recipe.epochs=0", "epochs must be at least 1"),
        ("recipe.optimizer.lr=x", "lr must be a number"),
        ("recipe.optimizer.beta=1", "unknown key 'beta' (valid: lr, momentum, name, nesterov, weight_decay)"),
        ("recipe.augment=[{name: random_crop, x: 2}]", "unknown key 'x' (valid: name, padding)"),
        ("recipe.precision=fp16", "precision cannot be 'fp16'"),
        ("recipe.augment=[random_crop", "--set recipe.augment=[random_crop: not valid YAML"),
        ("recipe.augment=[random_corp]", "did you mean 'random_crop'?"),
    ],
)
def test_a_wrong_override_is_refused(override: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_suite(json.dumps(GOOD), "f", overrides=[override])
    assert sentence in str(caught.value)


def test_filters_of_one_axis_are_alternatives_and_axes_must_all_match() -> None:
    suite = filter_cells(parse(GOOD), ["model=res*", "model=vgg*", "seed=1", "schedule=cosine"])
    assert [(cell.model, cell.seed) for cell in suite.cells] == [("resnet18", 1), ("vgg11", 1)]


def test_an_override_may_be_a_list_or_a_mapping() -> None:
    overrides = ["recipe.augment=[horizontal_flip, {name: random_crop, padding: 2}]", "recipe.optimizer={lr: 0.3}"]
    recipe = parse_suite(json.dumps(GOOD), "f", overrides=overrides).cells[0].recipe
    assert [str(component) for component in recipe.augment] == ["horizontal_flip(p=0.5)", "random_crop(padding=2)"]
    assert recipe.optimizer["lr"] == 0.3


def test_an_option_of_a_key_that_is_set_whole_is_refused() -> None:
    with pytest.raises(UsageError, match="optimizer is set twice"):
        parse_suite(json.dumps(GOOD), "f", overrides=["recipe.optimizer=sgd", "recipe.optimizer.lr=0.1"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("modl=vgg*", "write AXIS=GLOB (did you mean 'model'?)"),
        ("zzz=1", "axes: model, dataset, schedule, seed, stem, id"),
        ("model", "axes: model, dataset, schedule, seed, stem, id"),
        ("model=alexnet", "matches no cell of f.yaml, which has 8 cells"),
    ],
)
def test_a_wrong_filter_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        filter_cells(parse(GOOD), [text])
    assert sentence in str(caught.value)
