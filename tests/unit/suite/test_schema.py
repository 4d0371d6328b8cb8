"""Suite files: what they mean, what is refused and where, and which cells keep their ids."""

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SuiteError, UsageError
from bench.suite import load_suite, parse_suite
from bench.suite.filters import filter_cells
from bench.values import Suite

ROOT = Path(__file__).parents[3]
GOOD: dict[str, Any] = {
    "suite": "s",
    "recipe": {"epochs": 5, "optimizer": {"name": "sgd", "lr": 0.1}, "augment": ["random_crop"]},
    "schedules": {"late": {"kind": "multistep", "milestones": [2, 4]}},
    "grid": {"model": ["resnet18", "vgg11"], "dataset": "cifar10", "schedule": ["late", "cosine"], "seed": [0, 1]},
}


def parse(content: dict[str, Any] | str) -> Suite:
    return parse_suite(content if isinstance(content, str) else json.dumps(content), "f.yaml")


def faults(text: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        parse_suite(text, "f.yaml")
    return list(caught.value.faults)


HEAD = "suite: s\n"
GRID = "grid: {model: resnet18, dataset: cifar10, schedule: cosine}\n"

BAD = {
    "a misspelt key at the top": ("suit: s\n" + GRID, "f.yaml:1:1: unknown key 'suit' (did you mean 'suite'?)"),
    "a misspelt key of a recipe": (
        HEAD + "recipe: {epocs: 1}\n" + GRID,
        "f.yaml:2:10: unknown key 'epocs' (did you mean 'epochs'?)",
    ),
    "a misspelt option": (
        HEAD + "recipe: {optimizer: {momentm: 1}}\n" + GRID,
        "f.yaml:2:22: unknown key 'momentm' (did you mean 'momentum'?)",
    ),
    "a misspelt axis": (
        HEAD + GRID.replace("dataset", "datset"),
        "f.yaml:2:25: unknown key 'datset' (did you mean 'dataset'?)",
    ),
    "a missing axis": (
        HEAD + "grid: {model: resnet18, dataset: cifar10}\n",
        "f.yaml:2:7: key 'schedule' is missing in 'grid'",
    ),
    "an unknown model": (
        HEAD + GRID.replace("resnet18", "resnet-18"),
        "f.yaml:2:15: unknown model 'resnet-18' (did you mean 'resnet18'?)",
    ),
    "an unknown timm model": (
        HEAD + GRID.replace("resnet18", "timm/resnet18x"),
        "f.yaml:2:15: unknown timm model 'resnet18x'",
    ),
    "a model file that is not there": (HEAD + GRID.replace("resnet18", "nets.py:net"), "f.yaml:2:15: model file"),
    "an unknown data set": (
        HEAD + GRID.replace("cifar10", "cifar11"),
        "f.yaml:2:34: unknown data set 'cifar11' (did you mean 'cifar10'?)",
    ),
    "an unknown schedule": (
        HEAD + GRID.replace("cosine", "cosin"),
        "f.yaml:2:53: unknown schedule 'cosin' (did you mean 'cosine'?)",
    ),
    "an unknown kind": (
        HEAD + "schedules: {a: {kind: cosin}}\n" + GRID,
        "f.yaml:2:16: unknown name 'cosin' in 'a' (did you mean 'cosine'?)",
    ),
    "a schedule without its option": (
        HEAD + "schedules: {a: {kind: step}}\n" + GRID,
        "f.yaml:2:16: key 'step_size' is missing in 'a'",
    ),
    "a bare kind that needs options": (HEAD + GRID.replace("cosine", "step"), "schedule 'step' needs step_size"),
    "milestones out of order": (
        HEAD + "schedules: {a: {kind: multistep, milestones: [3, 2]}}\n" + GRID,
        "milestones must rise, not [3, 2]",
    ),
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
    "a negative lr": (HEAD + "recipe: {optimizer: {lr: -0.1}}\n" + GRID, "f.yaml:2:26: lr must be above 0, not -0.1"),
    "an infinite lr": (HEAD + "recipe: {optimizer: {lr: .inf}}\n" + GRID, "f.yaml:2:26: lr must be a finite number"),
    "a number in quotes": (
        HEAD + 'recipe: {epochs: "5"}\n' + GRID,
        "f.yaml:2:18: epochs must be a whole number, not '5'",
    ),
    "a word for a number": (
        HEAD + "recipe: {epochs: ten}\n" + GRID,
        "f.yaml:2:18: epochs must be a whole number, not 'ten'",
    ),
    "no epochs": (HEAD + "recipe: {epochs: 0}\n" + GRID, "f.yaml:2:18: epochs must be at least 1, not 0"),
    "a list for a mapping": (HEAD + "recipe: [1]\n" + GRID, "f.yaml:2:9: recipe must be a mapping, not [1]"),
    "a list for an optimizer": (HEAD + "recipe: {optimizer: [1]}\n" + GRID, "f.yaml:2:21: optimizer must be a mapping"),
    "an unknown precision": (HEAD + "recipe: {precision: fp16}\n" + GRID, "f.yaml:2:21: precision cannot be 'fp16'"),
    "an unknown augmentation": (HEAD + "recipe: {augment: [random_corp]}\n" + GRID, "did you mean 'random_crop'?"),
    "a seed that is none": (HEAD + GRID.replace("}", ", seed: [-1]}"), "seed must be at least 0, not -1"),
    "a stem that a net has not": (
        HEAD + GRID.replace("resnet18", "{name: swin_t, stem: small}"),
        "swin_t has no small stem",
    ),
    "a recipe's stem that a net has not": (
        HEAD + "recipe: {stem: small}\n" + GRID.replace("resnet18", "swin_t"),
        "f.yaml:3:15: swin_t has no small stem",
    ),
    "a pattern that matches nothing": (
        HEAD + GRID + "exclude: [{model: 'vgg*'}]\n",
        "f.yaml:3:11: this pattern matches no cell",
    ),
    "an empty axis": (HEAD + GRID.replace("resnet18", "[]"), "f.yaml:2:15: model must not be empty"),
    "no cell": (HEAD, "the suite has no cells"),
    "a suite name that leaves its folder": ("suite: ../x\n" + GRID, "f.yaml:1:8: suite name '../x' must begin with"),
    "a key that stands twice": (
        HEAD + "suite: t\n" + GRID,
        "f.yaml:2:1: duplicate key 'suite' (first defined on line 1)",
    ),
    "an anchor": (HEAD + "recipe: &r {epochs: 1}\n" + GRID, "f.yaml:2:9: anchor &r is not allowed"),
    "an alias": (HEAD + GRID + "cells: *c\n", "f.yaml:3:8: alias *c is not allowed"),
    "an unsafe tag": (HEAD + "recipe: !!python/object/apply:os.system ['true']\n" + GRID, "f.yaml:2:9: tag"),
    "a tab": (HEAD + "\tx: 1\n", "f.yaml:2:1: not valid YAML"),
    "ten thousand brackets": ("[" * 10_000, "nested deeper than 20 levels"),
    "ten thousand braces": ("{a: " * 10_000, "nested deeper than 20 levels"),
    "an open bracket": (HEAD + "grid: [\n", "not valid YAML"),
    "nothing": ("", "f.yaml:1:1: the file is empty"),
    "only a comment": ("# soon\n", "f.yaml:1:1: the file is empty"),
    "a list at the top": ("- 1\n", "f.yaml:1:1: the file must hold keys and values"),
    "a second document": (HEAD + GRID + "---\na: b\n", "a second document begins here"),
    "a megabyte": (HEAD + "# " + "x" * 1_000_001, "larger than 1000 kB"),
    "a key that is a list": ("[1]: 2\n", "a key must be a word"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_at_its_place_in_under_a_second(name: str) -> None:
    text, sentence = BAD[name]
    began = time.process_time()
    found = faults(text)
    assert time.process_time() - began < 1.0
    assert any(sentence in fault for fault in found), found
    assert all(fault.startswith("f.yaml:") for fault in found)


def test_an_alias_bomb_is_refused_without_being_expanded() -> None:
    text = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    assert any("anchor &a is not allowed" in fault for fault in faults(text))


def test_all_faults_are_told_at_once_in_the_files_order() -> None:
    text = (
        "suite: s\nrecip: {}\nrecipe: {epocs: 1, epochs: ten, precision: fp16}\n"
        "grid: {model: [resnet-18, vgg11], dataset: cifar11, schedule: cosin}\n"
    )
    places = [fault.split(" ")[0] for fault in faults(text)]
    assert places == [
        "f.yaml:2:1:",
        "f.yaml:3:10:",
        "f.yaml:3:28:",
        "f.yaml:3:44:",
        "f.yaml:4:16:",
        "f.yaml:4:44:",
        "f.yaml:4:63:",
    ]


@given(st.text(max_size=300))
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    with pytest.raises(SuiteError):
        parse_suite(text, "f.yaml")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.sampled_from(["resnet18", "sgd", "cosine"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["suite", "recipe", "grid", "cells", "optimizer", "model", "kind", "a"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_document_makes_the_reader_fail_otherwise(content: Any) -> None:
    try:
        parse_suite(yaml.safe_dump({"suite": "s", "grid": content, "recipe": content, "schedules": content}), "f.yaml")
    except SuiteError:
        return


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "cifar10.yaml").write_text("x")
    with pytest.raises(SuiteError, match=r"no such file \(did you mean .*cifar10.yaml\?\)"):
        load_suite(str(tmp_path / "cifar1.yaml"))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"suite: \xff\xfe\n")
    with pytest.raises(SuiteError, match="not UTF-8"):
        load_suite(str(tmp_path / "s.yaml"))


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xef\xbb\xbf" + (HEAD + GRID).encode())
    assert len(load_suite(str(tmp_path / "s.yaml")).cells) == 1


def test_scalars_are_read_as_yaml_1_2() -> None:
    suite = parse(HEAD + "description: no\nrecipe: {optimizer: {lr: 1e-3}}\n" + GRID)
    assert suite.description == "no"
    assert suite.cells[0].recipe.optimizer["lr"] == 0.001


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


def test_small_images_get_the_small_form_where_the_net_has_one() -> None:
    grid = {"model": ["resnet18", "swin_t"], "dataset": ["cifar10", "imagenet"], "schedule": "cosine"}
    cells = parse({"suite": "s", "grid": grid}).cells
    assert [(cell.model, cell.recipe.input_size, cell.recipe.stem) for cell in cells] == [
        ("resnet18", 32, "small"),
        ("swin_t", 32, "standard"),
        ("resnet18", 224, "standard"),
        ("swin_t", 224, "standard"),
    ]


def test_excluded_cells_are_left_out_and_single_cells_come_beside_the_grids() -> None:
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


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("epochs=1", "write recipe.KEY=VALUE"),
        ("recipe.epochs", "write recipe.KEY=VALUE"),
        ("recipe.epocs=1", "did you mean 'epochs'?"),
        ("recipe.epochs=0", "epochs must be at least 1"),
        ("recipe.optimizer.lr=x", "lr must be a number"),
        ("recipe.precision=fp16", "precision cannot be 'fp16'"),
    ],
)
def test_a_wrong_override_is_refused(override: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_suite(json.dumps(GOOD), "f", overrides=[override])
    assert sentence in str(caught.value)


def test_filters_of_one_axis_are_alternatives_and_axes_must_all_match() -> None:
    suite = filter_cells(parse(GOOD), ["model=res*", "model=vgg*", "seed=1", "schedule=cosine"])
    assert [(cell.model, cell.seed) for cell in suite.cells] == [("resnet18", 1), ("vgg11", 1)]


def test_ten_thousand_cells_are_read_in_seconds() -> None:
    grid = {**GOOD["grid"], "seed": list(range(2500))}
    began = time.process_time()
    assert len(parse({**GOOD, "grid": grid}).cells) == 10_000
    assert time.process_time() - began < 3.0


CIFAR10 = (
    "vgg11 vgg11_bn resnet18 resnet34 resnet50 resnext29_32x4d resnext29_2x64d densenet121 mnasnet0_5"
    " shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 mobilenet_v2 efficientnet_b0 efficientnet_b1"
    " efficientnet_b2 efficientnet_b3"
)
CIFAR100 = (
    "resnet18 resnet34 resnet50 resnet101 densenet121 shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5"
    " mobilenet_v2 mobilenet_v3_large efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b7"
)
IMAGENET300 = "resnet18 resnet34 resnet50 resnet101 densenet121 shufflenet_v2_x0_5 mobilenet_v2 efficientnet_b0"


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("cifar10", CIFAR10),
        ("cifar10-standard", CIFAR10),
        ("cifar100", CIFAR100),
        ("imagenet300", IMAGENET300),
        ("imagenet", IMAGENET300 + " mobilenet_v3_large"),
    ],
)
def test_a_suite_has_every_row_of_the_table_it_replaces(name: str, rows: str) -> None:
    suite = load_suite(str(ROOT / "suites" / f"{name}.yaml"))
    assert {cell.model for cell in suite.cells} == set(rows.split())
    assert suite.name == name


def test_the_two_cifar10_suites_differ_in_their_stems() -> None:
    small = load_suite(str(ROOT / "suites" / "cifar10.yaml"))
    standard = load_suite(str(ROOT / "suites" / "cifar10-standard.yaml"))
    assert {cell.recipe.stem for cell in small.cells} == {"small"}
    assert {cell.model for cell in standard.cells if cell.recipe.stem == "small"} == {
        "resnext29_32x4d",
        "resnext29_2x64d",
    }


@pytest.mark.parametrize("path", sorted((ROOT / "suites").glob("*.yaml")), ids=lambda path: path.name)
def test_every_suite_loads_and_says_what_it_is(path: Path) -> None:
    suite = load_suite(str(path))
    assert suite.name == path.stem
    assert suite.description
    assert path.read_text().startswith("#")
