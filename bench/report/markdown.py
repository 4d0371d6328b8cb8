"""The markdown format: a section per data set, then what the numbers mean and the runs behind them.

The text around the tables is ``templates/markdown.j2``. Its bytes are a contract (``tests/unit/report/golden``).
"""

import re

from bench.report.against_grid import against_grid, against_sentences
from bench.report.grid import Grid, make_grids
from bench.report.jinja import fill
from bench.report.legend import decays, devices, figures, recipes, row_notes, speeds, stale_rows
from bench.report.model import Report
from bench.text import printable


def markdown(report: Report) -> str:
    """Tables as markdown that also reads well as plain text."""
    grids = make_grids(report)
    changed = against_grid(report)
    values = {
        "suites": report.suites,
        "tables": report.tables,
        "sections": [(grid, grid_lines(grid), row_notes(grid.tables), stale_rows(grid.tables)) for grid in grids],
        "changed": (changed.title, grid_lines(changed)) if changed else None,
        "compared": against_sentences(report),
        "figures": figures(report, grids),
        "recipes": recipes(report.tables),
        "decays": decays(report.tables),
        "devices": devices(report.tables),
        "speeds": speeds(report, grids),
    }
    # markdown is not HTML; every name goes through the filter
    return fill("markdown.j2", values, {"cell": escape}, escape=False)


def grid_lines(grid: Grid) -> list[str]:
    """The lines of a markdown table, padded so that the raw text reads as a table too."""
    rows = [[heading.text for heading in grid.headings]]
    rows += [[_bold(escape(entry.text), entry.bold) for entry in line.entries] for line in grid.lines]
    numeric = [heading.numeric for heading in grid.headings]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True)]
    padded = [
        [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        for row in rows
    ]
    return [f"| {' | '.join(row)} |" for row in [padded[0], rule, *padded[1:]]]


def _bold(text: str, bold: bool) -> str:
    return f"**{text}**" if bold else text


def escape(text: str) -> str:
    """Escape a name so that it can neither break a table's cell nor become HTML or a link."""
    text = printable(re.sub(r"[\t\n\r\v\f\x85\u2028\u2029]+", " ", text))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~!])", r"\\\1", text) if re.search(r"[\\`*\[\]|~!]", text) else text
