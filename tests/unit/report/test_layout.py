"""What a user may ask of a layout, and what is refused before anything is read."""

import pytest

from bench.errors import UsageError
from bench.report.layout import chosen_columns, make_layout
from bench.report.model import Layout


def test_make_layout_takes_columns_as_text_and_as_a_sequence() -> None:
    assert make_layout(columns="model, top1,") == make_layout(columns=["model", "top1"])
    assert make_layout() == Layout()


@pytest.mark.parametrize(
    ("sort", "descending"),
    [("top1", True), ("top1:asc", False), ("loss", False), ("loss:desc", True), ("params", False), ("model", False)],
)
def test_the_best_come_first_unless_a_direction_is_given(sort: str, descending: bool) -> None:
    assert make_layout(sort=sort).descending == descending


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"columns": "modle"}, r"unknown column 'modle'; did you mean 'model'\?"),
        ({"columns": "+flopps"}, r"did you mean 'flops'\?"),
        ({"columns": "+time,seeds"}, r"either name all columns, or change the default ones"),
        ({"sort": "top-1"}, r"did you mean 'top1'\?"),
        ({"sort": ":desc"}, r"unknown column ''"),
        ({"sort": "top1:down"}, r"a direction is asc or desc, not 'down'"),
        ({"pivot": "model"}, r"unknown pivot 'model'; valid pivots: dataset, schedule"),
    ],
)
def test_a_wrong_word_is_refused_with_the_valid_ones(words: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_layout(**words)  # type: ignore[arg-type]


def test_chosen_columns_are_those_named_or_the_default_ones_changed() -> None:
    default = ["model", "params", "top1"]
    assert chosen_columns((), default) == default
    assert chosen_columns(("top1", "model", "top1"), default) == ["top1", "model"]
    assert chosen_columns(("+time", "-params", "+model", "-gap"), default) == ["model", "top1", "time"]
    with pytest.raises(UsageError, match="--columns -model,-top1,-params leaves no column"):
        chosen_columns(("-model", "-top1", "-params"), default)
