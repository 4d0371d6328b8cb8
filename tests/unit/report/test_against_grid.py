"""What formats show of a comparison: the rows that changed, and what is said below them."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers.outcomes import COST, complete

from bench.report.against_grid import against_grid, against_json, against_sentences
from bench.report.model import Against, Report
from bench.report.render import FORMATS, join_json
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]
HEADINGS = ["Model", "Before", "Now", "Change", "Verdict", "95% interval", "Also changed", "Time"]


@pytest.fixture
def report(make_cell: MakeCell, make_suite: MakeSuite) -> Report:
    """Three seeds that rose, a row that failed, and one that stayed."""
    seeds = [make_cell(seed=seed) for seed in range(3)]
    failed, same = make_cell("alexnet"), make_cell("vgg11")
    suite = make_suite(*seeds, failed, same)

    def made(top1: float, run_id: str, **changes: object) -> list[Outcome]:
        found = [complete(cell, top1 + cell.seed / 10, run_id=run_id, **changes) for cell in seeds]
        return [*found, complete(same, 70.0)]

    older = [*made(90.0, "a", total_s=100.0), complete(failed, 60.0)]
    newer = [*made(92.0, "b", total_s=150.0, cost=replace(COST, params=12_000_000))]
    newer.append(Outcome(cell_id=failed.id, state="failed", kind="oom", cost=COST))
    before, now = (
        Report(tables=build_tables(suite, {each.cell_id: each for each in outcomes}), suites=(suite,))
        for outcomes in (older, newer)
    )
    return replace(now, against=Against(path="p <b>|.json", report=before))


class TestAgainstGrid:
    def test_shows_the_rows_that_changed(self, report: Report) -> None:
        grid = against_grid(report)
        assert grid is not None
        assert [heading.text for heading in grid.headings] == HEADINGS
        rose, failed = ([entry.text for entry in line.entries] for line in grid.lines)
        assert rose[:5] == ["shufflenet_v2_x0_5", "90.10 ± 0.10 (n=3)", "92.10 ± 0.10 (n=3)", "+2.00", "significant"]
        assert rose[5:] == ["+1.77 to +2.23", "params 11.174 to 12.000 M (+7.4%)", "+50.0%"]
        assert failed == ["alexnet", "60.00", "failed: oom", "-", "no result", "-", "-", "-"]

    def test_is_none_where_nothing_is_compared_or_changed(self, report: Report) -> None:
        assert against_grid(replace(report, against=None)) is None
        assert against_grid(replace(report, against=Against(path="p.json", report=report))) is None


class TestAgainstSentences:
    def test_count_what_changed_and_explain_the_interval(self, report: Report) -> None:
        first, _, interval = against_sentences(report)
        assert first == "Against p <b>|.json: 2 of 3 rows changed."
        assert interval.startswith("Significant: the 95% interval of Welch's t test")
        assert against_sentences(replace(report, against=None)) == []


class TestAgainstJson:
    def test_has_every_row_with_both_sides(self, report: Report) -> None:
        content = json.loads(FORMATS["json"].render(report))["against"]
        assert (content["path"], content["level"], len(content["rows"])) == ("p <b>|.json", 0.95, 3)
        row = content["rows"][0]
        assert (row["model"], row["kind"], row["params"]["change"]) == ("shufflenet_v2_x0_5", "same recipe", 826_038)
        assert row["top1"]["change"] == pytest.approx(2.0)
        assert row["state"] == {"before": "complete", "now": "complete"}

    def test_join_json_keeps_the_rows_of_all_suites(self, report: Report) -> None:
        text = FORMATS["json"].render(report)
        assert len(json.loads(join_json([text, text]))["against"]["rows"]) == 6

    def test_is_left_out_where_nothing_is_compared(self, report: Report) -> None:
        assert against_json(replace(report, against=None)) == {}


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("markdown", "## Against p &lt;b&gt;\\|.json: top-1(%)\n\n| Model"),
        ("plain", "Against p <b>|.json: top-1(%)\nModel"),
        ("latex", r"& +2.00 & significant"),
        ("html", '<th scope="row">alexnet</th><td class="n">60.00</td>'),
    ],
)
def test_every_format_for_people_shows_it(
    report: Report, format_: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = FORMATS[format_].render(report)
    assert text in "".join(line.strip() if format_ == "html" else line + "\n" for line in shown.split("\n"))
    assert "2 of 3 rows changed" in shown
    assert "rows changed" not in FORMATS[format_].render(replace(report, against=None))
