"""Numbers and foreign text as people see them."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.text import counted, millions, one_line, percent, printable


class TestPrintable:
    @given(st.text())
    def test_nothing_is_left_that_a_terminal_acts_on(self, text: str) -> None:
        left = printable(text)
        assert all(char in "\t\n" or not (ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F) for char in left)

    @given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
    def test_ordinary_text_stays_as_it_is(self, text: str) -> None:
        assert printable(text) == text

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("\x1b]0;pwn\x07\x1b[2Jhello", "hello"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("10%\r20%\a\b", "10%20%"),
            ("two\nlines\tand a tab", "two\nlines\tand a tab"),
            ("\u202egnp.exe", "gnp.exe"),
            ("\x9b2Jc1", "c1"),
            ("대한 ± é", "대한 ± é"),
        ],
    )
    def test_a_sequence_goes_as_a_whole(self, text: str, left: str) -> None:
        assert printable(text) == left

    def test_one_line_joins_lines(self) -> None:
        assert one_line(" a\n\tb\x1b[1A ") == "a b"


class TestPercent:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (88.205, "88.21"),
            (76.425, "76.43"),
            (38.605, "38.61"),
            (0.005, "0.01"),
            (93.7549, "93.75"),
            (100.0, "100.00"),
        ],
    )
    def test_halves_are_rounded_up(self, value: float, text: str) -> None:
        assert percent(value) == text

    @given(st.lists(st.integers(0, 10_000), min_size=1, max_size=12))
    def test_the_mean_of_runs_on_10000_images_is_rounded_as_the_exact_mean(self, correct: list[int]) -> None:
        exact = Fraction(sum(correct), len(correct) * 100)
        shown = percent(float(np.mean([100 * count / 10_000 for count in correct])))
        nearest = Decimal(exact.numerator) / Decimal(exact.denominator)
        assert shown == str(nearest.quantize(Decimal("0.01"), ROUND_HALF_UP))

    def test_what_is_not_a_number_is_named(self) -> None:
        assert percent(float("nan")) == "nan"


@pytest.mark.parametrize(
    ("count", "digits", "text"),
    [
        (11_173_962, 3, "11.174"),
        (556_659_712, 1, "556.7"),
        (2_817_216, 1, "2.817"),
        (30_282, 3, "0.0303"),
        (1_184, 1, "0.00118"),
        (330, 3, "0.000330"),
        (7, 3, "0.000007"),
        (0, 3, "0.000"),
        (None, 1, "-"),
    ],
)
def test_millions_keeps_significant_digits_of_small_counts(count: int | None, digits: int, text: str) -> None:
    assert millions(count, digits) == text


def test_counted_agrees_with_its_number() -> None:
    assert (counted(1, "cell"), counted(2, "cell"), counted(0, "cell")) == ("1 cell", "2 cells", "0 cells")
