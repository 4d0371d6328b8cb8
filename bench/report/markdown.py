"""The markdown format: a section per data set, then what the numbers mean and the runs behind them.

The text around the tables is ``templates/markdown.j2``. Its bytes are a contract (``tests/unit/report/golden``).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.report.model import Row, Statistic, Table
from bench.report.table import FEW_CLASSES
from bench.text import millions, percent, printable
from bench.values import Suite

STALE_MARK = "(stale)"
"""Follows a number whose conditions have changed since it was made."""


def markdown(tables: Sequence[Table], suite: Suite, best: bool) -> str:
    """A suite's tables as markdown that also reads well as plain text."""
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
    sections = [(table, grid(table, best), _notes(table), _stale(table)) for table in tables]
    return template.render(
        suite=suite,
        tables=sections,
        best=best,
        recipes=_shared(tables, lambda row: [row.recipe_text]),
        decays=_decays(tables),
        devices=_shared(tables, lambda row: [run.device for run in row.runs if run.device]),
        few_classes=FEW_CLASSES if any((table.num_classes or math.inf) <= FEW_CLASSES for table in tables) else 0,
    )


def grid(table: Table, best: bool) -> list[str]:
    """The lines of a markdown table, padded so that the raw text reads as a table too."""
    names = name_columns(table)
    header = [*names, "Params(M)", "Flops(M)", "Input size"]
    header += ["Best top-1(%)"] if best else ["Top-1(%)", "Top-5(%)"]
    lines = [header] + [_cells(row, names, best=best) for row in table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = len(names)  # the first columns are text and aligned left, the others numbers
    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = [
        [
            text.ljust(width) if i < texts else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return [f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]]]


def name_columns(table: Table) -> dict[str, Callable[[Row], str]]:
    """The columns that say which row it is: the model, and the schedule and the recipe where a data set has several."""
    columns: dict[str, Callable[[Row], str]] = {"Model": lambda row: row.name}
    if len({row.schedule for row in table.rows}) > 1:
        columns["Schedule"] = lambda row: row.schedule
    if any(row.variant for row in table.rows):
        columns["Recipe"] = lambda row: row.variant
    return columns


def _cells(row: Row, names: Mapping[str, Callable[[Row], str]], *, best: bool) -> list[str]:
    cells = [escape(column(row)) for column in names.values()]
    cells += [millions(row.params), millions(row.flops, 1), f"{row.input_size}x{row.input_size}"]
    incomplete = "" if row.state == "complete" else row.state
    top1 = accuracy(row.top1, incomplete) + (f" {STALE_MARK}" if row.stale else "")
    return cells + ([top1] if best else [top1, accuracy(row.top5, "")])


def accuracy(value: Statistic | None, state: str) -> str:
    """``93.76`` or ``93.76 ± 0.12 (n=3)``, then the state if there is one; the state or ``-`` if there is no value."""
    if value is None:
        return escape(state) or "-"
    spread = "" if value.std is None else f" ± {percent(value.std)} (n={value.n})"
    return f"{percent(value.mean)}{spread}" + (f", {escape(state)}" if state else "")


def escape(text: str) -> str:
    """Escape a name so that it can neither break a table's cell nor become HTML or a link."""
    text = printable(re.sub(r"[\t\n\r\v\f\x85\u2028\u2029]+", " ", text))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~!])", r"\\\1", text) if re.search(r"[\\`*\[\]|~!]", text) else text


def _notes(table: Table) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.label, row.note) for row in table.rows if row.note))


def _stale(table: Table) -> list[tuple[str, str]]:
    """What has changed, each with the labels of the rows that it concerns."""
    labels: dict[str, list[str]] = {}
    for row in table.rows:
        if row.stale:
            labels.setdefault(row.stale, []).append(row.label)
    return [(reason, ", ".join(dict.fromkeys(rows))) for reason, rows in labels.items()]


def _shared(tables: Sequence[Table], values_of: Callable[[Row], Iterable[str]]) -> list[tuple[str, str]]:
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


def _decays(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """The kind and options of every schedule by its name."""
    return list(dict.fromkeys((row.schedule, row.decay) for table in tables for row in table.rows))
