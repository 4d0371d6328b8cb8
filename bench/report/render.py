"""Tables -> text, one function a format. The same tables give the same bytes: no time, no order but the suite's.

Adding a format is a template beside this file (or a function), a line in :data:`RENDERERS` and one in
:data:`bench.report.render.FORMATS`.
"""

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from bench.errors import UsageError
from bench.report.model import Row, Statistic, Table
from bench.values import Suite

STALE = "(stale)"
"""Mark of a figure that was made under conditions that have changed since."""

Renderer = Callable[[Sequence[Table], Suite, bool], str]


def render(tables: Sequence[Table], format_: str, *, suite: Suite, best: bool = False) -> str:
    """Render a suite's tables in one of :data:`bench.report.render.FORMATS`, ending with a newline.

    Raises:
        UsageError: There is no such format.
    """
    if format_ not in RENDERERS:
        raise UsageError(f"there is no format {format_!r}; valid: {', '.join(FORMATS)}")
    return RENDERERS[format_](tables, suite, best)


def markdown(tables: Sequence[Table], suite: Suite, best: bool) -> str:
    """A section a data set, and what the figures mean."""
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
    content = [(table, grid(table, best), _notes(table), _stale(table)) for table in tables]
    return template.render(suite=suite, tables=content, best=best, recipes=recipes(suite), devices=_devices(tables))


def json_(tables: Sequence[Table], suite: Suite, best: bool) -> str:
    """Every number with its runs, schema 1."""
    rows = [{**asdict(table)} for table in tables]
    document = {"schema": 1, "suite": suite.name, "accuracy": "best epoch" if best else "last epoch", "tables": rows}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def csv(tables: Sequence[Table], suite: Suite, best: bool) -> str:  # noqa: ARG001 - one signature for all formats
    """One line a row; figures with all their digits."""
    import pandas as pd

    records = [_record(table, row) for table in tables for row in table.rows]
    stream = io.StringIO()
    pd.DataFrame(records).to_csv(stream, index=False, lineterminator="\n")
    return stream.getvalue()


RENDERERS: dict[str, Renderer] = {"markdown": markdown, "json": json_, "csv": csv}


def grid(table: Table, best: bool) -> list[str]:
    """The lines of a markdown table, padded so that the raw text reads as a table too."""
    scheduled = len({row.schedule for row in table.rows}) > 1
    header = ["Model", *(["Schedule"] if scheduled else []), "Params(M)", "Flops(M)", "Input size"]
    header += ["Best top-1(%)"] if best else ["Top-1(%)", "Top-5(%)"]
    lines = [header] + [_cells(row, scheduled=scheduled, best=best) for row in table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    left = 2 if scheduled else 1
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = [
        [
            text.ljust(width) if i < left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return [f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]]]


def _cells(row: Row, *, scheduled: bool, best: bool) -> list[str]:
    cells = [escape(row.label), *([escape(row.schedule)] if scheduled else [])]
    cells += [millions(row.params, 3), millions(row.flops, 1), f"{row.input_size}x{row.input_size}"]
    partial = "" if row.state == "complete" else row.state
    top1 = accuracy(row.top1, partial) + (f" {STALE}" if row.stale else "")
    return cells + ([top1] if best else [top1, accuracy(row.top5, "")])


def millions(count: int | None, digits: int) -> str:
    """A count in millions; small counts keep three digits after the point, so that no net shows as 0.0."""
    if count is None:
        return "-"
    return f"{count / 1e6:.{digits if count >= 10_000_000 else 3}f}"


def accuracy(value: Statistic | None, state: str) -> str:
    """``93.76``, ``93.76 ± 0.12 (n=3)``, or the state where there is no figure."""
    if value is None:
        return escape(state) or "-"
    spread = "" if value.std is None else f" ± {value.std:.2f} (n={value.n})"
    return f"{value.mean:.2f}{spread}" + (f", {escape(state)}" if state else "")


def escape(text: str) -> str:
    """Text that can neither break a table's cell nor become HTML or a link."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~!])", r"\\\1", text) if re.search(r"[\\`*\[\]|~!]", text) else text


def _notes(table: Table) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.label, row.note) for row in table.rows if row.note))


def _stale(table: Table) -> list[tuple[str, str]]:
    """What has changed, with the rows that it concerns."""
    found: dict[str, list[str]] = {}
    for row in table.rows:
        if row.stale:
            found.setdefault(row.stale, []).append(row.label)
    return [(reason, ", ".join(dict.fromkeys(labels))) for reason, labels in found.items()]


def recipes(suite: Suite) -> list[str]:
    """The recipes of a suite in words, most used first in the suite's order."""
    found: dict[str, None] = {}
    for cell in suite.cells:
        recipe = cell.recipe
        augment = ", ".join(choice.name for choice in recipe.augment) or "no augmentation"
        smoothing = f", label smoothing {recipe.label_smoothing:g}" if recipe.label_smoothing else ""
        found[
            f"{recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''}, batch {recipe.batch_size}, {recipe.optimizer}, "
            f"{augment}, {recipe.precision}{smoothing}"
        ] = None
    return list(found)


def _devices(tables: Sequence[Table]) -> list[str]:
    return sorted({run.device for table in tables for row in table.rows for run in row.runs if run.device})


def _record(table: Table, row: Row) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in ("top1", "top5"):
        value: Statistic | None = getattr(row, name)
        figures[f"{name}_mean"] = value.mean if value else None
        figures[f"{name}_std"] = value.std if value else None
        figures[f"{name}_n"] = value.n if value else 0
    return {
        "dataset": table.dataset,
        "model": row.model,
        "stem": row.stem,
        "schedule": row.schedule,
        "state": row.state,
        "stale": row.stale,
        "params": row.params if row.params is not None else "",
        "flops": row.flops if row.flops is not None else "",
        "input_size": row.input_size,
        **figures,
        "runs": " ".join(run.run_id for run in row.runs if run.run_id),
    }


FORMATS = {
    "markdown": "a table for a README, from templates/markdown.j2",
    "json": "every number with its runs, for programs",
    "csv": "one line a row, for spreadsheets",
}
