"""bench report --against and --fail-below: what can be compared, and when the command fails."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.cells import suite_text
from helpers.outcomes import complete

from bench import api
from bench.cli.report import report
from bench.errors import BenchError, UsageError
from bench.report.model import Report
from bench.report.render import to_json
from bench.report.table import build_tables
from bench.suite import parse_suite


def bench(*arguments: str) -> str:
    return CliRunner().invoke(report, arguments, catch_exceptions=False, standalone_mode=False).stdout


def save(path: str, top1: float, *, name: str = "a", best: bool = False) -> None:
    suite = parse_suite(suite_text(["resnet18"], name=name), f"{name}.yaml")
    outcomes = {cell.id: complete(cell, top1, run_id=path) for cell in suite.cells}
    tables = build_tables(suite, outcomes, best=best)
    Path(path).write_text(to_json(Report(tables=tables, suites=(suite,), best=best)))


@pytest.fixture
def now(project: Path) -> str:
    save("now.json", 90.0)
    save("before.json", 90.4)
    return "now.json"


def test_a_change_is_shown(now: str) -> None:
    text = bench("--from", now, "--against", "before.json", "--format", "markdown")
    assert "## Against before.json: top-1(%)" in text
    assert "one seed each: cannot say" in text
    assert json.loads(bench("--from", now, "--against", "before.json", "--format", "json"))["against"]["rows"]


def test_a_change_is_shown_from_python(now: str) -> None:
    Path("a.yaml").write_text(suite_text(["resnet18"], name="a"))
    text = api.report(api.load_suite("a.yaml"), against=Path("before.json"))
    assert "| resnet18 |  90.40 | missing |" in text


def test_fail_below_fails_where_a_row_fell_further(now: str) -> None:
    arguments = ("--from", now, "--against", "before.json", "--format", "json", "--fail-below")
    assert bench(*arguments, "0.5").startswith("{")
    with pytest.raises(
        BenchError, match=r"1 row fell by more than 0.3 points against before\.json, or without .*:\n  resnet18"
    ) as caught:
        bench(*arguments, "0.3")
    assert caught.value.exit_code == 1


def test_fail_below_shows_the_report_before_it_fails(now: str) -> None:
    arguments = ["--from", now, "--against", "before.json", "--format", "json", "--fail-below", "0"]
    assert CliRunner().invoke(report, arguments).stdout.startswith("{")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fail-below", "1"], "--fail-below compares with an older report: name it with --against PREVIOUS.json"),
        (["--against", "before.json", "--fail-below", "nan"], "--fail-below nan: percentage points of top-1, 0 to 100"),
        (["--against", "before.json", "--fail-below", "-1"], "--fail-below -1: percentage points"),
        (["--against", "before.json", "--format", "csv"], "csv has one line per row and no place for --against"),
        (["--against", "gone.json"], "gone.json cannot be read"),
        (["--against", "newer.json"], "newer.json has schema 2; this version of bench reads schema 1"),
        (["--against", "other.json"], "other.json is about other, and not about a"),
        (["--against", "best.json"], "best.json has accuracies of best epochs, and this report those of last epochs"),
    ],
)
def test_what_cannot_be_compared_is_refused(now: str, arguments: list[str], sentence: str) -> None:
    save("other.json", 90.0, name="other")
    save("best.json", 90.0, best=True)
    Path("newer.json").write_text('{"schema": 2}')
    with pytest.raises(UsageError) as caught:
        bench("--from", now, *arguments)
    assert str(caught.value).startswith(sentence)
