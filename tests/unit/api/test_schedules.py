"""Pictures of schedules: which lines the options make, and what they say."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bench.api.schedules import MAX_LINES, check_picture, describe, make_lines
from bench.catalog.training import SCHEDULES
from bench.errors import UsageError


def labels(given: Mapping[str, Sequence[str]]) -> tuple[list[str], str]:
    return describe(make_lines(given))


def test_without_options_every_schedule_of_the_catalog_is_drawn() -> None:
    found, shared = labels({})
    assert found == [
        "exponential, gamma 0.9616",
        "step, gamma 0.1, step size 30",
        "multistep, gamma 0.1, milestones 50, 80",
        "cosine",
    ]
    assert [label.split(",")[0] for label in found] == list(SCHEDULES)
    assert shared == "lr 0.1, 100 epochs"


def test_every_combination_is_a_line_and_says_what_is_its_own() -> None:
    found, shared = labels({"kind": ["step"], "gamma": ["0.1", "0.5"], "step_size": ["20"], "epochs": ["60", "90"]})
    assert found == [
        f"step, gamma {gamma}, step size 20, {epochs} epochs" for epochs in (60, 90) for gamma in (0.1, 0.5)
    ]
    assert shared == "lr 0.1"
    assert labels({"kind": ["cosine"], "warmup_epochs": ["0", "1"]})[0] == ["cosine", "cosine, 1 epoch of warm-up"]


def test_without_a_kind_those_are_drawn_that_have_the_options() -> None:
    assert [line.schedule.name for line in make_lines({"eta_min": ["0.01"]})] == ["cosine"]
    assert [line.schedule.name for line in make_lines({"gamma": ["0.5"]})] == ["exponential", "step", "multistep"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kind": ["cosin"]}, "--kind: unknown kind 'cosin' (did you mean 'cosine'?)"),
        ({"kind": ["cosine"], "gamma": ["1"]}, "--gamma is an option of exponential, step, multistep, not of cosine"),
        ({"step_size": ["x"]}, "step: step_size must be a whole number, not 'x'"),
        ({"kind": ["step"], "gamma": ["nan"]}, "step: gamma must be a finite number, not nan"),
        ({"milestones": ["30,20"]}, "multistep: milestones must rise, not [30, 20]"),
        ({"milestones": ["30", "100"]}, "multistep: milestone 100 is never reached in 100 epochs"),
        ({"warmup_epochs": ["100"]}, "exponential: the warm-up lasts all 100 epochs"),
        ({"eta_min": ["1"]}, "cosine: eta_min 1 is above lr 0.1"),
        ({"epochs": ["0"]}, "--epochs must be a whole number from 1 to 100000, not '0'"),
        ({"lr": ["inf"]}, "--lr must be a number above 0, not 'inf'"),
        ({"lr": [str(lr) for lr in range(1, MAX_LINES)]}, "these options make more than 30 lines"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(given: Mapping[str, Sequence[str]], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        make_lines(given)
    assert str(refused.value).startswith(sentence)


def test_a_picture_is_known_by_its_ending() -> None:
    check_picture(Path("a.SVG"))
    with pytest.raises(UsageError, match=r"--plot a.pdf: a picture is a .svg or a .png file"):
        check_picture(Path("a.pdf"))
