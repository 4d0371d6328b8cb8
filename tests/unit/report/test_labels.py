"""Labels distinguish rows, and say no more than that takes."""

from collections.abc import Callable
from dataclasses import replace

from bench.report.labels import row_labels
from bench.values import Cell

MakeCell = Callable[..., Cell]


class TestRowLabels:
    def test_a_model_alone_is_its_name(self, make_cell: MakeCell) -> None:
        assert row_labels([make_cell("vgg11"), make_cell("alexnet")]) == ["vgg11", "alexnet"]

    def test_an_imagenet_stem_on_small_images_is_named(self, make_cell: MakeCell) -> None:
        small, standard = make_cell("resnet18", stem="small"), make_cell("resnet18", stem="standard")
        assert row_labels([small, standard]) == ["resnet18", "resnet18 (standard stem)"]

    def test_an_imagenet_stem_on_large_images_is_expected(self, make_cell: MakeCell) -> None:
        assert row_labels([make_cell("resnet18", stem="standard", input_size=224)]) == ["resnet18"]

    def test_rows_that_differ_only_in_their_recipe_say_in_what(self, make_cell: MakeCell) -> None:
        assert row_labels([make_cell(batch_size=32), make_cell(batch_size=64)]) == [
            "shufflenet_v2_x0_5 (batch_size=32)",
            "shufflenet_v2_x0_5 (batch_size=64)",
        ]

    def test_no_augmentation_is_called_none(self, make_cell: MakeCell) -> None:
        plain = make_cell(augment=())
        cropped = replace(plain, recipe=replace(plain.recipe, augment=(plain.recipe.optimizer,)))
        assert row_labels([plain, cropped])[0] == "shufflenet_v2_x0_5 (augment=none)"

    def test_schedules_of_different_names_need_no_label(self, make_cell: MakeCell) -> None:
        assert row_labels([make_cell(), make_cell(schedule="step")]) == ["shufflenet_v2_x0_5"] * 2
