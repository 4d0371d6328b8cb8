"""Labels tell cells apart, and say no more than that takes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.cells import make_small_cell
from hypothesis import given
from hypothesis import strategies as st

from bench.catalog.labels import dataset_labels, model_label, titles, variants
from bench.recipe import Component
from bench.values import Cell

MakeCell = Callable[..., Cell]


class TestModelLabel:
    def test_a_model_alone_is_its_name(self, make_cell: MakeCell) -> None:
        assert model_label(make_cell("vgg11")) == "vgg11"

    def test_an_imagenet_stem_on_small_images_is_named(self, make_cell: MakeCell) -> None:
        assert model_label(make_cell("resnet18", stem="standard")) == "resnet18 (standard stem)"

    @pytest.mark.parametrize("model", ["regnet_y_400mf", "squeezenet1_0", "googlenet", "timm/levit_128s"])
    def test_a_net_without_a_small_form_is_named_at_32_pixels(self, make_cell: MakeCell, model: str) -> None:
        assert model_label(make_cell(model, stem="standard", input_size=32)) == f"{model} (standard stem)"
        assert model_label(make_cell(model, stem="standard", input_size=224)) == model

    def test_a_net_of_a_file_has_no_stem_to_name(self, make_cell: MakeCell) -> None:
        assert model_label(make_cell("nets.py:net", stem="standard")) == "nets.py:net"

    def test_a_small_stem_on_large_images_is_named(self, make_cell: MakeCell) -> None:
        assert model_label(make_cell("resnet18", input_size=224)) == "resnet18 (small stem)"
        assert model_label(make_cell("resnext29_32x4d", input_size=224)) == "resnext29_32x4d"


class TestVariants:
    @pytest.mark.parametrize(
        ("one", "other", "texts"),
        [
            ({"epochs": 1}, {"epochs": 12}, ["1 epoch", "12 epochs"]),
            ({"batch_size": 32}, {"batch_size": 64}, ["batch 32", "batch 64"]),
            ({"lr": 0.05}, {"lr": 0.5}, ["lr 0.05", "lr 0.5"]),
            ({"precision": "fp32"}, {"precision": "bf16"}, ["fp32", "bf16"]),
            ({"label_smoothing": 0.0}, {"label_smoothing": 0.1}, ["label smoothing 0.0", "label smoothing 0.1"]),
            (
                {"augment": ()},
                {"augment": (Component.of("random_crop", padding=4), Component.of("horizontal_flip", p=0.5))},
                ["no augmentation", "random_crop+horizontal_flip"],
            ),
            (
                {"augment": (Component.of("random_crop", padding=2),)},
                {"augment": (Component.of("random_crop", padding=4),)},
                ["random crop padding 2", "random crop padding 4"],
            ),
            ({"test_resize": None}, {"test_resize": 9}, ["default test resize", "tested at 9 px"]),
            ({"epochs": 1, "lr": 0.1}, {"epochs": 2, "lr": 0.2}, ["1 epoch, lr 0.1", "2 epochs, lr 0.2"]),
        ],
    )
    def test_cells_show_just_the_keys_in_which_they_differ(
        self, make_cell: MakeCell, one: dict[str, object], other: dict[str, object], texts: list[str]
    ) -> None:
        assert variants([make_cell(**one), make_cell(**other)]) == texts

    def test_nets_with_other_recipes_show_it_too(self, make_cell: MakeCell) -> None:
        assert variants([make_cell("vgg11", epochs=8), make_cell("alexnet", epochs=12)]) == ["8 epochs", "12 epochs"]

    def test_what_all_share_and_seeds_are_not_shown(self, make_cell: MakeCell) -> None:
        assert variants([make_cell("vgg11"), make_cell("alexnet"), make_cell(seed=1)]) == [""] * 3

    def test_data_sets_are_not_compared_with_each_other(self, make_cell: MakeCell) -> None:
        assert variants([make_cell(epochs=1), make_cell(dataset="cifar10", epochs=2)]) == ["", ""]

    def test_another_optimizer_is_its_name_and_an_option_that_is_on_or_off_a_word(self, make_cell: MakeCell) -> None:
        sgd = make_cell()
        adamw = replace(sgd, recipe=replace(sgd.recipe, optimizer=Component.of("adamw", lr=0.001)))
        options = {**sgd.recipe.optimizer.as_dict(), "nesterov": True}
        nesterov = replace(sgd, recipe=replace(sgd.recipe, optimizer=Component.of("sgd", **options)))
        assert variants([sgd, adamw]) == ["sgd", "adamw"]
        assert variants([sgd, nesterov]) == ["no nesterov", "nesterov"]

    def test_schedules_are_told_apart_by_name_and_those_of_one_name_by_what_they_are(self, make_cell: MakeCell) -> None:
        cosine = make_cell()
        step = replace(cosine, schedule=Component.of("step", gamma=0.1, step_size=30))
        late = replace(step, schedule=Component.of("step", gamma=0.1, step_size=60))
        assert variants([cosine, replace(step, schedule_name="step")]) == ["", ""]
        assert variants([cosine, step, late]) == ["cosine", "step, step size 30", "step, step size 60"]


RECIPES = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 3),
        "batch_size": st.sampled_from([1, 64]),
        "lr": st.sampled_from([0.1, 0.1 + 1e-9, 1e-7]),
        "precision": st.sampled_from(["fp32", "bf16", "auto"]),
        "label_smoothing": st.sampled_from([0.0, 0.1, 0.1 + 1e-12]),
        "input_size": st.sampled_from([8, 32, 224]),
        "stem": st.sampled_from(["small", "standard"]),
        "max_images_per_class": st.sampled_from([None, 5]),
        "augment": st.lists(
            st.builds(lambda padding: Component.of("random_crop", padding=padding), st.sampled_from([1, 2])), max_size=2
        ).map(tuple),
    },
)
DATASETS = st.sampled_from(["digits", "folder:a/five", "folder:b/five", "folder:a/five/"])


@given(st.lists(st.builds(make_small_cell, st.just("resnet18"), DATASETS, st.just("cosine"), st.integers(0, 1))))
def test_seeds_and_data_sets_are_always_told_apart(cells: list[Cell]) -> None:
    assert_different(cells)


def cell_of(recipe: dict[str, object]) -> Cell:
    return make_small_cell("resnet18", "digits", "cosine", 0, **recipe)


@given(st.lists(RECIPES.map(cell_of), max_size=6))
def test_cells_that_differ_in_anything_have_different_titles(cells: list[Cell]) -> None:
    assert_different(cells)


def assert_different(cells: list[Cell]) -> None:
    found = titles(cells)
    assert len(set(found.values())) == len({cell.id for cell in cells})
    assert all(title.isprintable() for title in found.values())


class TestTitles:
    def test_cells_are_called_by_their_axes_without_a_data_set_that_all_share(self, make_cell: MakeCell) -> None:
        cell, other = make_cell(), make_cell(dataset="cifar10")
        assert titles([cell, make_cell(seed=1)])[cell.id] == "shufflenet_v2_x0_5 · cosine · s0"
        assert titles([cell, other])[cell.id] == cell.title == "shufflenet_v2_x0_5 · digits · cosine · s0"

    def test_what_differs_in_the_recipe_follows_the_model(self, make_cell: MakeCell) -> None:
        cells = [make_cell(lr=0.05), make_cell(lr=0.5)]
        assert list(titles(cells).values()) == [
            "shufflenet_v2_x0_5 · lr 0.05 · cosine · s0",
            "shufflenet_v2_x0_5 · lr 0.5 · cosine · s0",
        ]

    def test_no_name_can_act_on_a_terminal(self, make_cell: MakeCell) -> None:
        cell = make_cell("\x1b]0;pwn\x07net.py:f", "folder:\x1b[2Jdata", stem="standard")
        assert titles([cell, make_cell()])[cell.id] == "net.py:f · data · cosine · s0"


def test_folders_of_one_name_are_called_by_their_paths() -> None:
    assert dataset_labels(["digits", "folder:a/five", "folder:b/five/"]) == {
        "digits": "digits",
        "folder:a/five": "a/five",
        "folder:b/five/": "b/five/",
    }
