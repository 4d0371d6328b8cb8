"""The markdown format: a section per data set, then what the numbers mean and the runs behind them.

The text around the tables is ``templates/markdown.j2``. Its bytes are a contract (``tests/unit/report/golden``).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.report.grid import Grid, make_grid
from bench.report.model import Report, Row, Table
from bench.report.table import FEW_CLASSES
from bench.text import printable


def markdown(report: Report) -> str:
    """Tables as markdown that also reads well as plain text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # markdown is not HTML; every name goes through the filter below
    )
    environment.filters["cell"] = escape
    template = environment.get_template("markdown.j2")
    tables = report.tables
    sections = [(table, grid_lines(make_grid(table, report)), row_notes(table), stale_rows(table)) for table in tables]
    return template.render(
        suites=report.suites,
        tables=sections,
        best=report.best,
        recipes=shared(tables, lambda row: [row.recipe_text]),
        decays=decays(tables),
        devices=shared(tables, lambda row: [run.device for run in row.runs if run.device]),
        few_classes=FEW_CLASSES if any((table.num_classes or math.inf) <= FEW_CLASSES for table in tables) else 0,
    )


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


def row_notes(table: Table) -> list[tuple[str, str]]:
    """Caveats, each with the label of its row."""
    return list(dict.fromkeys((row.label, row.note) for row in table.rows if row.note))


def stale_rows(table: Table) -> list[tuple[str, str]]:
    """What has changed, each with the labels of the rows that it concerns."""
    labels: dict[str, list[str]] = {}
    for row in table.rows:
        if row.stale:
            labels.setdefault(row.stale, []).append(row.label)
    return [(reason, ", ".join(dict.fromkeys(rows))) for reason, rows in labels.items()]


def shared(tables: Sequence[Table], values_of: Callable[[Row], Iterable[str]]) -> list[tuple[str, str]]:
    """Values with the rows that they are of, in words; without rows if there is one value for all.

    A data set whose rows all have a value stands for its rows.
    """
    found: dict[str, dict[str, list[Row]]] = {}
    for table in tables:
        for row in table.rows:
            for value in dict.fromkeys(values_of(row)):
                found.setdefault(value, {}).setdefault(table.title, []).append(row)
    if len(found) < 2:
        return [(value, "") for value in found]
    return [(value, _rows_in_words(tables, rows)) for value, rows in found.items()]


def _rows_in_words(tables: Sequence[Table], found: Mapping[str, Sequence[Row]]) -> str:
    """``resnet18, vgg11``; of several tables ``Digits; vgg11 on CIFAR-10``, where all rows of Digits are meant."""
    words = []
    for table in tables:
        if not (rows := found.get(table.title)):
            continue
        recipes = Counter(name for name, _ in {(row.name, row.variant) for row in table.rows})
        names = ", ".join(dict.fromkeys(row.name if recipes[row.name] == 1 else row.label for row in rows))
        if len(tables) == 1:
            words.append(names)
        else:
            words.append(table.title if len(rows) == len(table.rows) else f"{names} on {table.title}")
    return "; ".join(words)


def decays(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """The kind and options of every schedule by its name."""
    return list(dict.fromkeys((row.schedule, row.decay) for table in tables for row in table.rows))
