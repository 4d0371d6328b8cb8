"""The text of a block in a README: the table and what its figures mean, short enough to stand among other text.

What ``--runs`` adds is folded away. See :mod:`bench.report.markers` for where the text goes.
"""

from collections.abc import Sequence

from bench.report.grid import Grid, make_grids
from bench.report.legend import SPREAD, decays, devices, figures, recipes, row_notes, speeds, stale_rows
from bench.report.markdown import escape, grid_lines
from bench.report.model import Report


def block_text(report: Report, *, runs: bool = False) -> str:
    """The tables of a report as markdown without headings; a table among others, or with a title, has a bold line.

    Args:
        report: What is shown.
        runs: Add recipes, schedules and the runs behind the numbers.

    Raises:
        UsageError: There is no such column.
    """
    grids = make_grids(report)
    parts = []
    for grid in grids:
        if len(grids) > 1 or report.layout.title:
            parts.append(f"**{escape(grid.title)}**")
        parts.append("\n".join(grid_lines(grid)))
        parts += [f"{escape(label)}: {escape(note)}." for label, note in row_notes(grid.tables)]
        parts += [f"(stale): {escape(why)} since {escape(rows)} ran." for why, rows in stale_rows(grid.tables)]
    parts.append("\n".join(_legend(report, grids)))
    return "\n\n".join([part for part in parts if part] + (_details(report) if runs else [])) + "\n"


def _legend(report: Report, grids: Sequence[Grid]) -> list[str]:
    spread = any(row.top1 and row.top1.std is not None for table in report.tables for row in table.rows)
    lines = [sentence for sentence in figures(report, grids) if spread or sentence != SPREAD]
    return [*lines, *_described("Device", devices(report.tables)), *map(escape, speeds(report, grids))]


def _described(word: str, values: list[tuple[str, str]]) -> list[str]:
    """A line per value, with the rows that it holds for where it does not hold for all."""
    return [f"{word}{f' of {escape(rows)}' if rows else ''}: {escape(value)}." for value, rows in values]


def _details(report: Report) -> list[str]:
    suites = [
        f"Suite {escape(suite.name)}{f': {escape(suite.description)}' if suite.description else ''}."
        for suite in report.suites
    ]
    schedules = [f"Schedule {escape(name)}: {escape(decay)}." for name, decay in decays(report.tables)]
    runs = [
        f"| {escape(row.label)} | {escape(row.schedule)} | {run.seed} | {escape(run.cell_id)} | "
        f"{escape(run.run_id or run.state)} | {escape(run.commit[:10]) or '-'} |"
        for table in report.tables
        for row in table.rows
        for run in row.runs
    ]
    return [
        "<details><summary>Recipes, and the runs behind the numbers</summary>",
        "\n".join([*suites, *_described("Recipe", recipes(report.tables)), *schedules]),
        "\n".join(
            [
                "| Model | Schedule | Seed | Cell | MLflow run | Commit |",
                "| --- | --- | ---: | --- | --- | --- |",
                *runs,
            ]
        ),
        "</details>",
    ]
