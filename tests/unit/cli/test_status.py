"""What ``bench status`` shows of cells, and for how long."""

import io
import sys
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.cli.status import follow, lines_of
from bench.scheduler.status import CellStatus
from bench.values import Cell, Outcome, State, Suite


@pytest.fixture
def suite(make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]) -> Suite:
    return make_suite(make_cell())


def status_of(suite: Suite, state: State) -> list[tuple[Suite, list[CellStatus]]]:
    (cell,) = suite.cells
    outcome = Outcome(cell_id=cell.id, state=state, epochs_done=1, epochs=2, reason="it broke")
    cells = [CellStatus(cell=cell, outcome=outcome, share=0.5, loss=1.0, images_per_s=9.0, left_s=61.0, silent_s=2.0)]
    return [(suite, cells)]


def test_lines_of_a_failed_cell_say_why(suite: Suite) -> None:
    lines = lines_of(status_of(suite, "failed"))
    assert lines[0] == "test: 1 cell: 1 failed"
    assert lines[-1].endswith("it broke")


def test_follow_asks_until_nothing_runs(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [status_of(suite, "running"), status_of(suite, "running"), status_of(suite, "failed")]
    pauses: list[float] = []
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    follow(lambda: answers.pop(0), pauses.append)
    assert not answers
    assert len(pauses) == 2
    assert min(pauses) >= 2
    assert "test: 1 cell: 1 failed" in stream.getvalue()


def test_watch_needs_a_terminal() -> None:
    done = CliRunner().invoke(cli, ["status", "--watch"])
    assert done.exit_code == 2
    assert "--watch redraws a terminal" in done.output
