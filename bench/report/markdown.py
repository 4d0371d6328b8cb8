"""The markdown format: a section per data set, then what the numbers mean and the runs behind them.

The text around the tables is ``templates/markdown.j2``. Its bytes are a contract (``tests/unit/report/golden``).
"""

import re
from collections.abc import Sequence

from bench.recipe import describe_recipe
from bench.report.model import Row, Statistic, Table
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
    return template.render(suite=suite, tables=sections, best=best, recipes=recipes(suite), devices=_devices(tables))


def grid(table: Table, best: bool) -> list[str]:
    """The lines of a markdown table, padded so that the raw text reads as a table too."""
    scheduled = len({row.schedule for row in table.rows}) > 1
    header = ["Model", *(["Schedule"] if scheduled else []), "Params(M)", "Flops(M)", "Input size"]
    header += ["Best top-1(%)"] if best else ["Top-1(%)", "Top-5(%)"]
    lines = [header] + [_cells(row, scheduled=scheduled, best=best) for row in table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = 2 if scheduled else 1  # the first columns are text and aligned left, the others numbers
    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = [
        [
            text.ljust(width) if i < texts else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return [f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]]]


def _cells(row: Row, *, scheduled: bool, best: bool) -> list[str]:
    cells = [escape(row.label), *([escape(row.schedule)] if scheduled else [])]
    cells += [millions(row.params, 3), millions(row.flops, 1), f"{row.input_size}x{row.input_size}"]
    incomplete = "" if row.state == "complete" else row.state
    top1 = accuracy(row.top1, incomplete) + (f" {STALE_MARK}" if row.stale else "")
    return cells + ([top1] if best else [top1, accuracy(row.top5, "")])


def millions(count: int | None, digits: int) -> str:
    """A count in millions; below ten million with three decimals, so that no net shows as 0.0."""
    if count is None:
        return "-"
    return f"{count / 1e6:.{digits if count >= 10_000_000 else 3}f}"


def accuracy(value: Statistic | None, state: str) -> str:
    """``93.76`` or ``93.76 ± 0.12 (n=3)``, then the state if there is one; the state or ``-`` if there is no value."""
    if value is None:
        return escape(state) or "-"
    spread = "" if value.std is None else f" ± {value.std:.2f} (n={value.n})"
    return f"{value.mean:.2f}{spread}" + (f", {escape(state)}" if state else "")


def escape(text: str) -> str:
    """Escape a name so that it can neither break a table's cell nor become HTML or a link."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~!])", r"\\\1", text) if re.search(r"[\\`*\[\]|~!]", text) else text


def recipes(suite: Suite) -> list[str]:
    """The recipes of a suite in words, each once, in the suite's order."""
    return list(dict.fromkeys(describe_recipe(cell.recipe) for cell in suite.cells))


def _notes(table: Table) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.label, row.note) for row in table.rows if row.note))


def _stale(table: Table) -> list[tuple[str, str]]:
    """What has changed, each with the labels of the rows that it concerns."""
    labels: dict[str, list[str]] = {}
    for row in table.rows:
        if row.stale:
            labels.setdefault(row.stale, []).append(row.label)
    return [(reason, ", ".join(dict.fromkeys(rows))) for reason, rows in labels.items()]


def _devices(tables: Sequence[Table]) -> list[str]:
    return sorted({run.device for table in tables for row in table.rows for run in row.runs if run.device})
