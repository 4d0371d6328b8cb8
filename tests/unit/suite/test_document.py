"""YAML text: what is refused and where, and how scalars are read."""

from typing import Any

import pytest
import yaml
from helpers.suites import GRID, HEAD, assert_refused, faults, parse
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SuiteError
from bench.suite import parse_suite
from bench.suite.document import read, scalar

BAD = {
    "a key that stands twice": (
        HEAD + "suite: t\n" + GRID,
        "f.yaml:2:1: duplicate key 'suite' (first defined on line 1)",
    ),
    "an anchor": (HEAD + "recipe: &r {epochs: 1}\n" + GRID, "f.yaml:2:9: anchor &r is not allowed"),
    "an alias": (HEAD + GRID + "cells: *c\n", "f.yaml:3:8: alias *c is not allowed"),
    "an unsafe tag": (HEAD + "recipe: !!python/object/apply:os.system ['true']\n" + GRID, "f.yaml:2:9: tag"),
    "a tab": (HEAD + "\tx: 1\n", "f.yaml:2:1: not valid YAML: tab character; indent with spaces"),
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
def test_a_text_that_is_not_a_plain_yaml_mapping_is_refused_at_its_place(name: str) -> None:
    assert_refused(*BAD[name])


def test_an_alias_bomb_is_refused_without_being_expanded() -> None:
    text = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    assert any("anchor &a is not allowed" in fault for fault in faults(text))


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


def test_every_duplicate_anchor_and_tag_is_reported_at_once() -> None:
    document = read("a: 1\na: &x 2\nb: !!set {c: 1}\nb: 3\n")
    assert [position for position, _ in document.faults] == [(2, 1), (2, 4), (3, 4), (4, 1)]


def test_values_and_keys_have_their_positions() -> None:
    document = read("a:\n  - 1\n  - {b: x}\n")
    assert document.content == {"a": [1, {"b": "x"}]}
    assert document.values == {(): (1, 1), ("a",): (2, 3), ("a", 0): (2, 5), ("a", 1): (3, 5), ("a", 1, "b"): (3, 9)}
    assert document.keys == {("a",): (1, 1), ("a", 1, "b"): (3, 6)}
    assert document.at(("a", 1, "b", "deeper")) == (3, 9)
    assert document.key_at(("a", 0)) == (2, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("-7", -7),
        ("+.inf", float("inf")),
        ("no", "no"),
        ("True", True),
        ("~", None),
        ("", None),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1" * 25, float("1" * 25)),
    ],
)
def test_scalar_follows_yaml_1_2(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_numbers_without_a_point_and_words_like_no_are_read_as_yaml_1_2_in_a_suite() -> None:
    suite = parse(HEAD + "description: no\nrecipe: {optimizer: {lr: 1e-3}}\n" + GRID)
    assert suite.description == "no"
    assert suite.cells[0].recipe.optimizer["lr"] == 0.001
