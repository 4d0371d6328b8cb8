"""The column of calibration errors, from the command's words to the text."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.finished import finish_suite, write_npz

from bench.api import calibration
from bench.api.reports import render_suites
from bench.report.layout import make_layout
from bench.values import Suite
from bench.workspace.paths import CellFolder


@pytest.fixture
def suite(project: Path, make_cell: MakeCell, make_suite: Callable[..., Suite]) -> Suite:
    """Two seeds with predictions, of which one is right with 80%, and a net without."""
    suite = make_suite(make_cell(seed=0), make_cell(seed=1), make_cell("resnet18"))
    finish_suite(suite, project / ".bench")
    for cell, predicted in zip(suite.cells, ([0, 1], [0, 2]), strict=False):
        write_npz(CellFolder.of(project / ".bench", cell.id), [0, 1], predicted)
    return suite


def test_calibration_errors_have_mean_and_spread_and_say_where_they_are_missing(suite: Suite) -> None:
    text, _ = render_suites([suite], None, "markdown", False, layout=make_layout(columns="model,ece"))
    lines = text.splitlines()
    assert [line.strip("|").replace(" ", "") for line in (lines[2], *lines[4:6])] == [
        "Model|ECE(%)",
        "shufflenet_v2_x0_5|25.00±7.07(n=2)",
        "resnet18|-",
    ]
    assert "no ECE for 1 of 1 runs, whose predictions are missing or not numbers" in text


def test_no_predictions_are_read_unless_the_column_is_asked_for(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(calibration, "read_predictions")
    assert "ECE" not in render_suites([suite], None, "markdown", False)[0]
