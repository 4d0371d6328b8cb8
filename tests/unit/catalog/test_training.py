"""Registries of schedules, optimizers and augmentations, and the default recipe."""

import importlib

import pytest

from bench.catalog.options import Option
from bench.catalog.training import (
    AUGMENTATIONS,
    DEFAULT_RECIPE,
    OPTIMIZERS,
    SCHEDULES,
    WARMUP,
    AugmentationSpec,
    OptimizerSpec,
    ScheduleSpec,
    schedule_options,
    with_defaults,
)
from bench.recipe import Component, Recipe, keys_of

Spec = ScheduleSpec | OptimizerSpec | AugmentationSpec
SPECS: dict[str, Spec] = {**SCHEDULES, **OPTIMIZERS, **AUGMENTATIONS}
OPTIONS = [
    pytest.param(option, id=f"{kind}.{name}") for kind, spec in SPECS.items() for name, option in spec.options.items()
]


@pytest.mark.parametrize("target", [spec.target for spec in SPECS.values()])
def test_every_entry_names_something_that_exists(target: str) -> None:
    module, _, attribute = target.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


@pytest.mark.parametrize("option", OPTIONS)
def test_a_default_is_of_the_options_type_and_within_its_bounds(option: Option) -> None:
    if option.default is None:
        return
    assert option.convert(option.default) == option.default
    for value in option.default if isinstance(option.default, tuple) else (option.default,):
        number = float(value)
        assert option.above is None or number > option.above
        assert option.minimum is None or number >= option.minimum
        assert option.maximum is None or number <= option.maximum


class TestWithDefaults:
    def test_options_that_are_not_given_take_the_catalogs_default(self) -> None:
        component = with_defaults("step", {"step_size": 3}, schedule_options("step"))
        assert component == Component.of("step", step_size=3, gamma=0.1, warmup_epochs=0, warmup_start=0.01)

    def test_a_whole_number_and_the_same_float_are_one_component(self) -> None:
        options = OPTIMIZERS["sgd"].options
        assert with_defaults("sgd", {"lr": 1}, options) == with_defaults("sgd", {"lr": 1.0}, options)
        assert str(with_defaults("sgd", {"lr": 1}, options)).startswith("sgd(lr=1.0, ")


def test_the_default_recipe_has_every_key_that_does_not_depend_on_others() -> None:
    assert set(DEFAULT_RECIPE) == set(keys_of(Recipe)) - {"stem", "input_size", "test_resize", "max_images_per_class"}
    assert DEFAULT_RECIPE["optimizer"] == with_defaults("sgd", {}, OPTIMIZERS["sgd"].options)


def test_schedule_options_include_the_warm_up() -> None:
    assert set(schedule_options("cosine")) == {"eta_min", *WARMUP}
