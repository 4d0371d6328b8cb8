"""The registry of columns, and their texts."""

import pytest

from bench.errors import UsageError
from bench.report.columns import COLUMNS, accuracy, find_column
from bench.report.model import Statistic


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Statistic(mean=93.756, std=None, n=1), "93.76"),
        (Statistic(mean=88.205, std=0.125, n=2), "88.21 ± 0.13 (n=2)"),
        (Statistic(mean=92.0, std=2.6457513, n=3), "92.00 ± 2.65 (n=3)"),
        (None, "-"),
    ],
)
def test_accuracy_shows_the_spread_over_seeds(value: Statistic | None, text: str) -> None:
    assert accuracy(value) == text


def test_an_unknown_column_is_refused_with_the_valid_names() -> None:
    with pytest.raises(
        UsageError, match=r"unknown column 'flop'; did you mean 'flops'\? valid columns: model, .*flops"
    ):
        find_column("flop")
    with pytest.raises(UsageError, match=r"unknown column 'Time'; did you mean 'time'\?"):
        find_column("Time")


def test_no_two_columns_have_the_same_heading() -> None:
    assert len({column.heading for column in COLUMNS.values()}) == len(COLUMNS)
