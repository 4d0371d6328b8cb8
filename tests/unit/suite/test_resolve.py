"""Cells of a suite: which there are, what their recipes are, and which ids they have."""

import json
import random
import time
from typing import Any

import pytest
import yaml
from helpers.suites import GOOD, GRID, HEAD, assert_refused, faults, parse
from hypothesis import given
from hypothesis import strategies as st

from bench.suite import parse_suite

BAD = {
    "a milestone behind the end": (
        HEAD
        + "recipe: {epochs: 3}\nschedules: {a: {kind: multistep, milestones: [3]}}\n"
        + GRID.replace("cosine", "a"),
        "f.yaml:3:46: milestone 3 of 'a' is never reached in 3 epochs",
    ),
    "a warm-up of all epochs": (
        HEAD + "recipe: {epochs: 3}\nschedules: {a: {kind: cosine, warmup_epochs: 3}}\n" + GRID.replace("cosine", "a"),
        "f.yaml:3:46: the warm-up of 'a' lasts all 3 epochs",
    ),
    "two schedules that are one": (
        HEAD + "schedules: {a: {kind: cosine}, b: {kind: cosine, eta_min: 0}}\n" + GRID,
        "f.yaml:2:32: schedule 'b' is the same as 'a'",
    ),
    "a recipe's stem that a net has not": (
        HEAD + "recipe: {stem: small}\n" + GRID.replace("resnet18", "swin_t"),
        "f.yaml:3:15: swin_t has no small stem",
    ),
    "a stem that the net of a single cell has not": (
        HEAD + "cells: [{model: swin_t, dataset: cifar10, schedule: cosine, recipe: {stem: small}}]\n",
        "f.yaml:2:17: swin_t has no small stem",
    ),
    "an end of the curve above its beginning": (
        HEAD + "schedules: {a: {kind: cosine, eta_min: 0.2}}\n" + GRID.replace("cosine", "a"),
        "f.yaml:2:40: a: eta_min 0.2 is above lr 0.1, so the learning rate would rise",
    ),
    "an end of the curve above the beginning that a grid sets": (
        HEAD
        + "schedules: {a: {kind: cosine, eta_min: 0.01}}\n"
        + "grid: {model: resnet18, dataset: cifar10, schedule: a, recipe: {optimizer: {lr: 0.001}}}\n",
        "a: eta_min 0.01 is above lr 0.001",
    ),
    "nesterov without momentum": (
        HEAD + "recipe: {optimizer: {name: sgd, nesterov: true, momentum: 0}}\n" + GRID,
        "f.yaml:2:21: nesterov: true needs a momentum above 0",
    ),
    "nesterov in the suite, no momentum in a grid": (
        HEAD
        + "recipe: {optimizer: {nesterov: true}}\n"
        + "grid: {model: resnet18, dataset: cifar10, schedule: cosine, recipe: {optimizer: {momentum: 0.0}}}\n",
        "nesterov: true needs a momentum above 0",
    ),
    "a moment that never decays": (
        HEAD + "recipe: {optimizer: {name: adamw, betas: [0.9, 1.0]}}\n" + GRID,
        "betas must be below 1, not 1.0",
    ),
    "a pair of three": (
        HEAD + "recipe: {optimizer: {name: adamw, betas: [0.9, 0.99, 0.999]}}\n" + GRID,
        "betas must be 2 numbers, not 3",
    ),
    "a range of one number": (
        HEAD + "recipe: {augment: [{name: random_erasing, area: [0.1]}]}\n" + GRID,
        "area must be 2 numbers, not 1",
    ),
    "a pattern that matches nothing": (
        HEAD + GRID + "exclude: [{model: 'vgg*'}]\n",
        "f.yaml:3:11: this pattern matches no cell",
    ),
    "no cell": (HEAD, "the suite has no cells"),
}


@pytest.mark.parametrize("name", BAD)
def test_keys_that_contradict_each_other_are_refused_at_their_place(name: str) -> None:
    assert_refused(*BAD[name])


def test_a_grid_is_the_product_of_its_axes_in_the_files_order() -> None:
    cells = parse(GOOD).cells
    assert len(cells) == 2 * 2 * 2
    assert [(cell.model, cell.schedule_name, cell.seed) for cell in cells[:3]] == [
        ("resnet18", "late", 0),
        ("resnet18", "late", 1),
        ("resnet18", "cosine", 0),
    ]


def spelled_out() -> dict[str, Any]:
    return {
        **GOOD,
        "recipe": {
            "epochs": 5,
            "batch_size": 128,
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": False},
            "augment": [{"name": "random_crop", "padding": 4}],
            "label_smoothing": 0,
            "precision": "fp32",
            "input_size": 32,
            "stem": "small",
        },
        "schedules": {"late": {"kind": "multistep", "milestones": [2, 4], "gamma": 0.1, "warmup_epochs": 0}},
    }


def shuffled(content: Any, source: random.Random) -> Any:
    if isinstance(content, dict):
        items = list(content.items())
        source.shuffle(items)
        return {key: shuffled(value, source) for key, value in items}
    return content


@given(st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_ids_survive_order_style_comments_and_spelled_out_defaults(
    source: random.Random, flow: bool, spelled: bool
) -> None:
    content = shuffled(spelled_out() if spelled else GOOD, source)
    for axis in ("model", "seed"):
        content["grid"] = {**content["grid"], axis: source.sample(GOOD["grid"][axis], 2)}
    text = "# a comment\n\n" + yaml.safe_dump(content, default_flow_style=flow, sort_keys=False) + "\n# another\n"
    assert {cell.id for cell in parse(text).cells} == {cell.id for cell in parse(GOOD).cells}


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 6},
        {"batch_size": 64},
        {"precision": "bf16"},
        {"label_smoothing": 0.1},
        {"augment": []},
        {"stem": "standard"},
        {"input_size": 33},
        {"optimizer": {"name": "sgd", "lr": 0.2}},
        {"optimizer": {"name": "adamw", "lr": 0.1}},
    ],
    ids=str,
)
def test_ids_change_with_everything_that_decides_the_result(change: dict[str, Any]) -> None:
    other = parse({**GOOD, "recipe": {**GOOD["recipe"], **change}})
    assert {cell.id for cell in other.cells}.isdisjoint({cell.id for cell in parse(GOOD).cells})


def test_an_id_never_changes_between_versions_of_bench() -> None:
    assert parse(GOOD).cells[0].id == "468c625663a8"


def test_the_name_of_a_schedule_is_a_label() -> None:
    renamed = json.loads(json.dumps(GOOD).replace("late", "early"))
    assert [cell.id for cell in parse(renamed).cells] == [cell.id for cell in parse(GOOD).cells]


def test_a_grid_overrides_the_suite_and_a_models_stem_the_grid() -> None:
    grid = {
        "model": ["resnet18", {"name": "resnet50", "stem": "small"}],
        "dataset": "cifar10",
        "schedule": "cosine",
        "recipe": {"epochs": 7, "stem": "standard"},
    }
    first, second = parse({**GOOD, "grid": grid, "schedules": {}}).cells
    assert (first.recipe.epochs, first.recipe.stem, first.recipe.augment[0].name) == (7, "standard", "random_crop")
    assert second.recipe.stem == "small"


def test_an_optimizer_without_a_name_changes_options_of_the_one_above() -> None:
    grid = {"model": "resnet18", "dataset": "cifar10", "schedule": "cosine", "recipe": {"optimizer": {"momentum": 0.5}}}
    (cell,) = parse({**GOOD, "grid": grid, "schedules": {}}).cells
    assert (cell.recipe.optimizer["momentum"], cell.recipe.optimizer["lr"]) == (0.5, 0.1)


def test_small_images_get_the_small_stem_where_the_net_has_one() -> None:
    grid = {"model": ["resnet18", "swin_t"], "dataset": ["cifar10", "imagenet"], "schedule": "cosine"}
    cells = parse({"suite": "s", "grid": grid}).cells
    assert [(cell.model, cell.recipe.input_size, cell.recipe.stem) for cell in cells] == [
        ("resnet18", 32, "small"),
        ("swin_t", 32, "standard"),
        ("resnet18", 224, "standard"),
        ("swin_t", 224, "standard"),
    ]


def test_excluded_cells_are_left_out_and_single_cells_come_besides_the_grids() -> None:
    content = {
        **GOOD,
        "exclude": [{"model": "vgg*", "schedule": "cosine"}, {"seed": 1}],
        "cells": [{"model": "vgg11", "dataset": "cifar10", "schedule": "cosine", "recipe": {"batch_size": 64}}],
    }
    cells = parse(content).cells
    assert [(cell.model, cell.schedule_name, cell.recipe.batch_size) for cell in cells] == [
        ("resnet18", "late", 128),
        ("resnet18", "cosine", 128),
        ("vgg11", "late", 128),
        ("vgg11", "cosine", 64),
    ]


def test_equal_cells_of_two_grids_are_one() -> None:
    assert len(parse({**GOOD, "grid": [GOOD["grid"], GOOD["grid"]]}).cells) == 8


def test_overrides_change_every_cell_and_spare_the_trial_its_milestones() -> None:
    suite = parse_suite(json.dumps(GOOD), "f", overrides=["recipe.epochs=1", "recipe.optimizer.lr=0.5"])
    assert {(cell.recipe.epochs, cell.recipe.optimizer["lr"]) for cell in suite.cells} == {(1, 0.5)}


def test_ten_thousand_cells_are_read_in_seconds() -> None:
    grid = {**GOOD["grid"], "seed": list(range(2500))}
    began = time.process_time()
    assert len(parse({**GOOD, "grid": grid}).cells) == 10_000
    assert time.process_time() - began < 3.0


class TestArgumentsOfNets:
    def test_they_are_part_of_the_models_name_sorted_and_make_another_cell(self) -> None:
        models = ["timm/resnet10t", "{name: timm/resnet10t}", "{name: timm/resnet10t, drop_rate: 0.5, act_layer: silu}"]
        plain, mapping, given = (parse(HEAD + GRID.replace("resnet18", model)).cells[0] for model in models)
        assert plain == mapping
        assert given.model == "timm/resnet10t(act_layer='silu', drop_rate=0.5)"
        assert given.id != plain.id

    def test_a_name_with_arguments_may_be_written_as_it_is_shown(self) -> None:
        shown = "timm/resnet10t(drop_rate=0.5, act_layer='silu')"
        [cell] = parse({**GOOD, "grid": {**GOOD["grid"], "model": shown, "schedule": "cosine", "seed": 0}}).cells
        assert cell.model == "timm/resnet10t(act_layer='silu', drop_rate=0.5)"
        assert cell.recipe.stem == "standard"


def test_a_test_resize_below_the_input_size_is_refused_wherever_it_is_given() -> None:
    text = HEAD + "recipe: {test_resize: 24}\n" + GRID
    assert any("test_resize 24 is smaller than input_size 32" in fault for fault in faults(text))
    assert parse(text.replace("24", "36")).cells[0].recipe.test_resize == 36
