"""Keys, types, bounds and names of a suite file: what is refused, where, and with which sentence."""

import pytest
from helpers.suites import GRID, HEAD, assert_refused, faults, parse

from bench.recipe import Execution, Recipe, keys_of
from bench.suite.schema import ExecutionMapping, GridMapping, RecipeMapping

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
    "an option of another schedule": (
        HEAD + "schedules: {a: {kind: cosine, T_max: 10}}\n" + GRID,
        "unknown key 'T_max' (valid: eta_min, kind, warmup_epochs, warmup_start)",
    ),
    "an option of another schedule, which has the name of its kind": (
        HEAD + "schedules: {cosine: {kind: cosine, gamma: 10}}\n" + GRID,
        "unknown key 'gamma' (valid: eta_min, kind, warmup_epochs, warmup_start)",
    ),
    "an option of another optimizer": (
        HEAD + "recipe: {optimizer: {name: adamw, nesterov: true}}\n" + GRID,
        "unknown key 'nesterov' (valid: betas, eps, lr, name, weight_decay)",
    ),
    "an option of another augmentation": (
        HEAD + "recipe: {augment: [{name: horizontal_flip, padding: 4}]}\n" + GRID,
        "unknown key 'padding' (valid: name, p)",
    ),
    "a seed that is too large": (
        HEAD + GRID.replace("cosine}", "cosine, seed: 4294967296}"),
        "seed must be below 4294967296, not 4294967296",
    ),
    "a tab as indentation": (
        HEAD + "grid:\n\tmodel: resnet18\n",
        "f.yaml:3:1: not valid YAML: tab character; indent with spaces",
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
    "an argument of a net that takes none": (
        HEAD + GRID.replace("resnet18", "{name: resnet18, width: 2}"),
        "f.yaml:2:15: resnet18 takes no argument 'width' (only functions of files and timm's nets take arguments)",
    ),
    "a misspelt key of a model": (
        HEAD + GRID.replace("resnet18", "{name: resnet18, stm: small}"),
        "resnet18 takes no argument 'stm' (did you mean 'stem'?)",
    ),
    "an argument that bench decides": (
        HEAD + GRID.replace("resnet18", "{name: timm/resnet10t, pretrained: true}"),
        "pretrained is decided by bench",
    ),
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
    "a schedule written where its name belongs": (
        HEAD + GRID.replace("cosine", "{kind: cosine}"),
        "f.yaml:2:53: schedule must be a name; define {'kind': 'cosine'} under 'schedules:' and use its name",
    ),
    "an empty axis": (HEAD + GRID.replace("resnet18", "[]"), "f.yaml:2:15: model must not be empty"),
    "a suite name that leaves its folder": ("suite: ../x\n" + GRID, "f.yaml:1:8: suite name '../x' must begin with"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_key_value_or_name_is_refused_at_its_place(name: str) -> None:
    assert_refused(*BAD[name])


def test_all_faults_are_reported_at_once_in_the_files_order() -> None:
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


def test_a_recipe_and_an_execution_take_the_keys_of_their_dataclasses() -> None:
    assert list(RecipeMapping.model_fields) == list(keys_of(Recipe))
    assert list(ExecutionMapping.model_fields) == list(keys_of(Execution))


def test_given_keys_are_those_of_the_file_in_a_fixed_order() -> None:
    mapping = RecipeMapping.model_validate({"batch_size": 8, "epochs": 3})
    assert list(mapping.given().items()) == [("epochs", 3), ("batch_size", 8)]


def test_an_axis_takes_one_value_or_a_list() -> None:
    grid = GridMapping.model_validate({"model": "resnet18", "dataset": ["cifar10", "digits"], "schedule": "cosine"})
    assert ([model.name for model in grid.model], grid.dataset, grid.seed) == (["resnet18"], ["cifar10", "digits"], [0])


def test_execution_is_read_and_its_defaults_are_those_of_the_dataclass() -> None:
    assert parse(HEAD + GRID).execution == Execution()
    assert parse(HEAD + "execution: {timed: true, compile: never}\n" + GRID).execution == Execution(
        timed=True, compile="never"
    )


@pytest.mark.parametrize("key", list(RecipeMapping.model_fields))
@pytest.mark.parametrize(
    "text", [HEAD + "recipe: {KEY: }\n" + GRID, HEAD + GRID.replace("{", "{recipe: {KEY: ~}, ", 1)]
)
def test_an_empty_value_is_refused_and_never_stands_for_the_default(text: str, key: str) -> None:
    assert any(
        f"{key} is empty; give it a value, or remove the key" in fault for fault in faults(text.replace("KEY", key))
    )


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "recipe:\n" + GRID,
        HEAD + "execution:\n" + GRID,
        HEAD + "description:\n" + GRID,
        HEAD + "schedules: {slow: }\n" + GRID,
        HEAD + "recipe: {optimizer: {lr: }}\n" + GRID,
        HEAD + "recipe: {augment: [{name: random_crop, padding: }]}\n" + GRID,
        HEAD + GRID.replace("dataset: cifar10", "dataset: "),
        HEAD + GRID.replace("resnet18", "{name: resnet18, stem: }"),
        HEAD + GRID + "exclude: [{model: }]\n",
    ],
)
def test_an_empty_value_is_refused_at_every_level(text: str) -> None:
    assert any("empty" in fault for fault in faults(text)), faults(text)
