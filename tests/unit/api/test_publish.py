"""The report that is drawn for the store: when, in what bounds, and that no failure of it reaches the run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name

import pytest

from bench.api import publish
from bench.api.publish import draw
from bench.report.model import Report
from bench.report.table import build_tables
from bench.scheduler import launcher
from bench.values import Cell, Outcome, Suite


@pytest.fixture
def report(make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]) -> Report:
    """Of a suite that trained for 500 s."""
    suite = make_suite(make_cell())
    outcome = Outcome(cell_id=suite.cells[0].id, state="complete", top1=50.0, top5=90.0, total_s=500.0)
    return Report(tables=build_tables(suite, {outcome.cell_id: outcome}), suites=(suite,))


@dataclass
class FakeProcess:
    """A process that has ended, or hangs until it is killed."""

    exitcode: int | None

    def join(self, timeout: float | None = None) -> None:
        """It does not wait."""

    def kill(self) -> None:
        """Nothing to end."""


def drawn_by(monkeypatch: pytest.MonkeyPatch, process: Callable[[Report, Path], int | None]) -> None:
    """Replace the process that draws; ``process`` returns its exit code, None if it hangs."""

    def start(target: str, log: str, _: object, report: Report, folder: Path) -> FakeProcess:
        assert callable(resolve_name(target))
        Path(log).write_text("Traceback\nPanic: no engine\n")
        return FakeProcess(process(report, folder))

    monkeypatch.setattr(launcher, "prepare", lambda _: None)
    monkeypatch.setattr(launcher, "LocalHandle", lambda process: process)
    monkeypatch.setattr(launcher, "start_call", start)


def test_the_drawing_process_gets_the_report(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    drawn_by(monkeypatch, lambda got, folder: (folder / "report.html").write_text("page") and int(got != report))
    draw(report, tmp_path, notes.append)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert notes == ["drawing the report for the MLflow UI"]


def test_a_suite_that_trained_for_seconds_is_not_drawn(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn_by(monkeypatch, lambda _, folder: (folder / "report.html").write_text("page") and 0)
    rows = [replace(row, runs=tuple(replace(run, seconds=1.0) for run in row.runs)) for row in report.tables[0].rows]
    short = replace(report, tables=(replace(report.tables[0], rows=tuple(rows)),))
    draw(short, tmp_path, pytest.fail)
    assert not list(tmp_path.iterdir())


def test_a_drawing_that_fails_or_hangs_or_is_large_is_a_note(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    drawn_by(monkeypatch, lambda *_: 134)
    draw(report, tmp_path, notes.append)
    drawn_by(monkeypatch, lambda *_: None)
    draw(report, tmp_path, notes.append)
    monkeypatch.setattr(publish, "MAX_BYTES", 3)
    drawn_by(monkeypatch, lambda _, folder: (folder / "report.html").write_text("page") and 0)
    draw(report, tmp_path, notes.append)
    assert not list(tmp_path.iterdir())
    expected = ("Panic: no engine", "not finished within 120 s", "report.html would be larger than 0 MB")
    assert all(words in note for words, note in zip(expected, notes[1::2], strict=True))
