"""Results and curves of one suite, of several and of all, from Python."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.finished import finish_suite

import bench
from bench.errors import UsageError
from bench.values import Suite


@pytest.fixture
def suites(project: Path, make_cell: MakeCell, make_suite: Callable[..., Suite]) -> list[Suite]:
    """Two seeds of a net in one suite, another net in a second one."""
    suites = [
        make_suite(make_cell(seed=0), make_cell(seed=1), name="first"),
        make_suite(make_cell("resnet18"), name="second"),
    ]
    for suite in suites:
        finish_suite(suite, project / ".bench")
    return suites


def test_by_row_seeds_are_averaged_and_counted(suites: list[Suite]) -> None:
    first, second = bench.results(suites, by="row").to_dict("records")
    assert (first["model"], first["top1_mean"], first["top1_std"], first["top1_n"]) == ("shufflenet_v2_x0_5", 90, 0, 2)
    assert (second["suite"], second["top1_n"], first["seeds"]) == ("second", 1, "0 1")
    assert math.isnan(second["top1_std"])


def test_without_a_suite_it_is_all_of_them(suites: list[Suite]) -> None:
    assert list(bench.results()["suite"]) == ["first", "first", "second"]
    assert list(bench.results(suites[1])["model"]) == ["resnet18"]
    assert list(bench.curves()["suite"]) == ["first", "first", "second"]
    assert len(bench.curves(suites[0])) == 2
    assert "resnet18" in bench.report()


def test_other_words_and_no_suite_are_refused(suites: list[Suite]) -> None:
    with pytest.raises(UsageError, match="by 'cell' or by 'row', not by 'seed'"):
        bench.results(suites, by="seed")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="suites of different names, here: none"):
        bench.results([])
