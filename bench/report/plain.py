"""The plain format: tables fitted to the width of the terminal, without the runs behind the numbers unless asked.

Numbers are never cut: names shrink first, to the parts in which they differ, then whole columns go, and the text says
which.
"""

import shutil
import textwrap
from collections.abc import Sequence

from bench.report.against_grid import against_grid, against_sentences
from bench.report.grid import Grid, Heading, Line, make_grids
from bench.report.legend import speeds
from bench.report.model import Report
from bench.report.names import SEPARATOR, shorten
from bench.text import one_line, printable

GAP = "  "
MIN_NAME = 18
"""Columns of the terminal that a name keeps before other columns go."""
DROPPED_FIRST = ("run", "device", "state", "suite", "seeds", "input", "peak_mb", "images_s", "time", "loss", "gap")
"""Columns that go first where there is no room, in this order."""


def plain(report: Report) -> str:
    """Tables for the terminal that this process writes to."""
    width = shutil.get_terminal_size().columns
    titled = bool(report.layout.title)
    grids = make_grids(report)
    blocks = []
    for grid in grids:
        suites = ", ".join(dict.fromkeys(name for table in grid.tables for name in table.suite.split(", ")))
        title = one_line(grid.title if titled else f"{suites}: {grid.title}")
        blocks.append("\n".join([title, *fitted(grid, width)]))
    if changed := against_grid(report):
        blocks.append("\n".join([one_line(changed.title), *fitted(changed, width)]))
    if compared := against_sentences(report):
        blocks.append("\n".join(textwrap.wrap(one_line(" ".join(compared)), width)))
    epoch = "best epoch on the test set itself, so optimistic" if report.best else "the test set after the last epoch"
    legend = f"Top-1: {epoch}." if report.best else f"Top-1 and top-5: {epoch}."
    if any(row.top1 and row.top1.std is not None for table in report.tables for row in table.rows):
        legend += " ±: standard deviation over n seeds."
    legend = "\n".join([legend, *map(one_line, speeds(report, grids))])
    return printable("\n\n".join([*blocks, legend]) + "\n")


def plain_with_runs(report: Report) -> str:
    """The same, followed by the runs behind the numbers."""
    runs = [
        f"{one_line(run.cell_id)}{GAP}{one_line(run.run_id) or run.state:<32}{GAP}"
        + one_line(f"{row.label}, {row.schedule}, seed {run.seed}")
        for table in report.tables
        for row in table.rows
        for run in row.runs
    ]
    return "\n".join([plain(report), f"cell{' ' * 8}{GAP}{'MLflow run':<32}{GAP}of", *runs]) + "\n"


def fitted(grid: Grid, width: int) -> list[str]:
    """The lines of a table, none of them longer than ``width`` where that is possible."""
    names = [one_line(SEPARATOR.join(filter(None, _named(line, grid)))) for line in grid.lines]
    columns = [i for i, heading in enumerate(grid.headings) if heading.name not in ("model", "recipe")]
    rows = [[one_line(line.entries[i].text) for i in columns] for line in grid.lines]
    headings = [grid.headings[i] for i in columns]
    gone: set[int] = set()
    for column in (*_dropped(headings), None):
        widths = {
            i: max(len(heading.text), *(len(row[i]) for row in rows)) if rows else len(heading.text)
            for i, heading in enumerate(headings)
            if i not in gone
        }
        room = width - sum(widths.values()) - len(GAP) * len(widths)
        if column is None or room >= min(MIN_NAME, max(map(len, names), default=0)):
            break
        gone.add(column)
    short = shorten(names, max(1, room))
    first = max(map(len, ["Model", *short]))

    def line(name: str, texts: Sequence[str]) -> str:
        cells = [texts[i].rjust(n) if headings[i].numeric else texts[i].ljust(n) for i, n in widths.items()]
        return GAP.join([name.ljust(first), *cells]).rstrip()

    lines = [line("Model", [heading.text for heading in headings])]
    lines += [line(name, row) for name, row in zip(short, rows, strict=True)]
    missing = ", ".join(headings[i].text for i in sorted(gone))
    return lines + (textwrap.wrap(f"(no room for {missing})", width) if gone else [])


def _named(line: Line, grid: Grid) -> list[str]:
    """What the first column says of a line: the columns model and recipe; of the row where the grid has neither."""
    named = zip(grid.headings, line.entries, strict=True)
    texts = [entry.text for heading, entry in named if heading.name in ("model", "recipe")]
    return texts or [line.rows[0].label]


def _dropped(headings: Sequence[Heading]) -> list[int]:
    """The columns that may go, in the order in which they do."""
    places = {heading.name: i for i, heading in enumerate(headings)}
    listed = [places[name] for name in (*DROPPED_FIRST, "top5", "flops", "params", "schedule") if name in places]
    others = [i for i in reversed(range(len(headings))) if i not in listed]
    kept = next((i for i, heading in enumerate(headings) if heading.name in ("top1", "best")), None)
    return [i for i in (*listed, *others) if i != kept]
