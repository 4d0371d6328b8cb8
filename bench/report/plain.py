"""The plain format: tables fitted to the width of the terminal, without the runs behind the numbers unless asked.

Numbers are never cut: names shrink first, to the parts in which they differ, then whole columns go, and the text says
which.
"""

import shutil
import textwrap
from collections.abc import Sequence

from bench.report.markdown import accuracy
from bench.report.model import Row, Table
from bench.report.names import SEPARATOR, shorten
from bench.text import millions, one_line, printable
from bench.values import Suite

GAP = "  "
MIN_NAME = 18
"""Columns of the terminal that a name keeps before other columns go."""
DROPPED_FIRST = ("Input size", "Top-5(%)", "Flops(M)", "Params(M)", "Schedule")


def plain(tables: Sequence[Table], suite: Suite, best: bool) -> str:
    """A suite's tables for the terminal that this process writes to."""
    width = shutil.get_terminal_size().columns
    blocks = ["\n".join([f"{suite.name}: {table.title}", *fitted(table, best, width)]) for table in tables]
    epoch = "best epoch on the test set itself, so optimistic" if best else "the test set after the last epoch"
    legend = f"Top-1: {epoch}." if best else f"Top-1 and top-5: {epoch}."
    if any(row.top1 and row.top1.std is not None for table in tables for row in table.rows):
        legend += " ±: standard deviation over n seeds."
    return printable("\n\n".join([*blocks, legend]) + "\n")


def plain_with_runs(tables: Sequence[Table], suite: Suite, best: bool) -> str:
    """The same, followed by the runs behind the numbers."""
    runs = [
        f"{run.cell_id}{GAP}{run.run_id or run.state:<32}{GAP}{one_line(row.label)}, {row.schedule}, seed {run.seed}"
        for table in tables
        for row in table.rows
        for run in row.runs
    ]
    return "\n".join([plain(tables, suite, best), f"cell{' ' * 8}{GAP}{'MLflow run':<32}{GAP}of", *runs]) + "\n"


def fitted(table: Table, best: bool, width: int) -> list[str]:
    """The lines of a table, none of them longer than ``width`` where that is possible."""
    rows = [_cells(row, best) for row in table.rows]
    if len({row.schedule for row in table.rows}) < 2:
        rows = [{name: text for name, text in row.items() if name != "Schedule"} for row in rows]
    names = [one_line(SEPARATOR.join(filter(None, (row.name, row.variant)))) for row in table.rows]
    headers = list(rows[0]) if rows else []
    gone: list[str] = []
    for column in (*DROPPED_FIRST, None):
        widths = {name: max([len(name), *(len(row[name]) for row in rows)]) for name in headers if name not in gone}
        room = width - sum(widths.values()) - len(GAP) * len(widths)
        if column is None or room >= min(MIN_NAME, max(map(len, names), default=0)):
            break
        gone += [column] if column in headers else []
    short = shorten(names, max(1, room))
    first = max(map(len, ["Model", *short]))
    lines = [_line("Model", {name: name for name in widths}, first, widths)]
    lines += [_line(name, row, first, widths) for name, row in zip(short, rows, strict=True)]
    return lines + (textwrap.wrap(f"(no room for {', '.join(gone)})", width) if gone else [])


def _line(name: str, texts: dict[str, str], first: int, widths: dict[str, int]) -> str:
    cells = [texts[column].ljust(n) if column == "Schedule" else texts[column].rjust(n) for column, n in widths.items()]
    return GAP.join([name.ljust(first), *cells]).rstrip()


def _cells(row: Row, best: bool) -> dict[str, str]:
    """The texts of a row by column, without its name."""
    state = "" if row.state == "complete" else row.state
    stale = " (stale)" if row.stale else ""
    cells = {
        "Schedule": row.schedule,
        "Params(M)": millions(row.params),
        "Flops(M)": millions(row.flops, 1),
        "Input size": f"{row.input_size}x{row.input_size}",
        ("Best top-1(%)" if best else "Top-1(%)"): accuracy(row.top1, state) + stale,
    }
    return cells if best else {**cells, "Top-5(%)": accuracy(row.top5, "")}
