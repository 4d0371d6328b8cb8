"""Options of components, and suggestions for misspelt names."""

import pytest

from bench.catalog.options import Option, nearest, suggestion


class TestConvert:
    @pytest.mark.parametrize(
        ("kind", "value", "converted"),
        [
            ("float", 1, 1.0),
            ("int", 3, 3),
            ("bool", True, True),
            ("ints", [2, 4], (2, 4)),
            ("floats", [0, 1], (0.0, 1.0)),
        ],
    )
    def test_equal_values_become_one(self, kind: str, value: object, converted: object) -> None:
        result = Option(type=kind, doc="x").convert(value)  # type: ignore[arg-type]
        assert repr(result) == repr(converted)


class TestNearest:
    @pytest.mark.parametrize(
        ("word", "name"),
        [
            ("resnet-18", "resnet_18"),
            ("ResNet_18", "resnet_18"),
            ("cosin", "cosine"),
            ("zebra", None),
            ("", None),
        ],
    )
    def test_it_is_a_name_that_was_meant_or_none(self, word: str, name: str | None) -> None:
        assert nearest(word, ["cosine", "resnet_18", "resnet_34"]) == name


def test_a_suggestion_asks_or_says_what_to_do_otherwise() -> None:
    assert suggestion("epocs", ["epochs"], "valid: epochs") == "did you mean 'epochs'?"
    assert suggestion("zebra", ["epochs"], "valid: epochs") == "valid: epochs"
