"""The order of values, and which are the best."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.columns import Value
from bench.report.order import best_positions, sorted_positions

VALUES = st.lists(st.none() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=4), max_size=6)


def in_order(values: list[Value], *, descending: bool = False) -> list[Value]:
    return [values[position] for position in sorted_positions(values, descending=descending)]


def test_sorted_positions_put_missing_values_last_in_both_directions() -> None:
    assert in_order([2.0, None, 1, 3]) == [1, 2.0, 3, None]
    assert in_order([2.0, None, 1, 3], descending=True) == [3, 2.0, 1, None]


def test_sorted_positions_read_numbers_in_names() -> None:
    assert in_order(["resnet101", "vgg11", "ResNet18", "7"]) == ["7", "ResNet18", "resnet101", "vgg11"]


def test_equal_values_keep_their_order_in_both_directions() -> None:
    assert sorted_positions([1, 2, 1, 2], descending=False) == [0, 2, 1, 3]
    assert sorted_positions([1, 2, 1, 2], descending=True) == [1, 3, 0, 2]


@settings(max_examples=30)
@given(VALUES, st.booleans())
def test_whatever_the_values_every_position_stays(values: list[Value], descending: bool) -> None:
    assert sorted(sorted_positions(values, descending=descending)) == list(range(len(values)))


@pytest.mark.parametrize(
    ("texts", "better", "best"),
    [
        (["93.76 ± 0.12 (n=3)", "93.76", "93.75 (stale)"], "higher", {0, 1}),
        (["12 345", "9 999", "", "diverged"], "higher", {0}),
        (["1.5", "0.25, 1 of 3 missing"], "lower", {1}),
        (["93.76", "-", "missing"], "higher", set()),
        ([], "higher", set()),
    ],
)
def test_best_positions_go_by_the_digits_that_are_shown(texts: list[str], better: str, best: set[int]) -> None:
    assert best_positions(texts, better) == best  # type: ignore[arg-type]
