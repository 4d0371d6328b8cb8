"""The one rule of what a net's scores are."""

import re
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import pytest
import torch

from bench.errors import ModelError
from bench.worker.models.scores import main_scores, scores_problem

SCORES, OTHER = torch.zeros(2, 3), torch.ones(2, 3)
Pair = namedtuple("Pair", "aux logits")


@pytest.mark.parametrize(
    "output",
    [
        SCORES,
        (SCORES, OTHER),
        [SCORES, OTHER],
        {"aux": OTHER, "logits": SCORES},
        OrderedDict(out=SCORES, aux=OTHER),
        Pair(OTHER, SCORES),
        SimpleNamespace(logits=SCORES, loss=None),
    ],
    ids=["tensor", "tuple", "list", "logits", "out", "namedtuple", "object"],
)
def test_main_scores_are_the_main_classifiers(output: object) -> None:
    assert main_scores(output) is SCORES


@pytest.mark.parametrize("output", [None, (), {"a": SCORES}, ((SCORES,),), "scores"])
def test_main_scores_refuses_what_has_none(output: object) -> None:
    with pytest.raises(ModelError, match=f"returns a {type(output).__name__}"):
        main_scores(output)


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        (torch.zeros(2, 3), None),
        (torch.zeros(2, 1000), "returns 1000 outputs, the data set has 3 classes"),
        (torch.zeros(2, 2), "returns 2 outputs, the data set has 3 classes"),
        (torch.zeros(2, 3, 1, 1), "flatten its output"),
        (torch.zeros(3), r"returns the shape \(3,\)"),
        (torch.zeros(2, 3, dtype=torch.int64), "returns int64 numbers"),
    ],
)
def test_scores_problem_is_one_number_per_image_and_class(scores: torch.Tensor, problem: str | None) -> None:
    found = scores_problem(scores, 2, 3)
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(problem, found)
