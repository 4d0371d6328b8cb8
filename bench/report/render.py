"""Turn tables into text, one function per format; :data:`FORMATS` is the registry that everything else derives from.

The same tables give the same bytes: no time of day, no order but the suite's. To add a format, write a function (and a
template beside this file, if it helps) and add one line to :data:`FORMATS`: the command line's choices, its help and
the error messages follow. Nothing heavy is imported to read the registry.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath

from bench.errors import UsageError
from bench.recipe import Recipe, keys_of
from bench.report.against_grid import against_json
from bench.report.html import html
from bench.report.latex import latex
from bench.report.markdown import markdown
from bench.report.model import Layout, Report, Row, Statistic, Table
from bench.report.plain import plain, plain_with_runs
from bench.text import one_line
from bench.values import Suite

FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for the start of a formula; the last four are the first in full width."""

Renderer = Callable[[Report], str]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of ``bench report``."""

    description: str
    """What it is for, as ``bench report --help`` shows it."""
    render: Renderer
    """The text of a report, ending with a newline."""
    join: Callable[[Sequence[str]], str] = "\n".join
    """From the texts of several reports to one."""
    for_programs: bool = False
    """Whether it has every figure of every suite, however tables for people are laid out."""
    whole: bool = False
    """Whether one text holds all suites, even where each has tables of its own."""
    predictions: bool = False
    """Whether it shows what runs predicted, which must be read for it."""
    suffixes: Sequence[str] = ()
    """Endings of files that hold it, e.g. ``.csv``."""


def render(
    tables: Sequence[Table],
    format_: str,
    *,
    suites: Sequence[Suite],
    best: bool = False,
    layout: Layout = Layout(),  # noqa: B008 - frozen
) -> str:
    """Render the tables of suites in one of :data:`FORMATS`. The text ends with a newline.

    Raises:
        UsageError: There is no such format, or no such column.
    """
    report = Report(tables=tuple(tables), suites=tuple(suites), best=best, layout=layout)
    return find_format(format_).render(report)


def join(texts: Sequence[str], format_: str) -> str:
    """Combine the texts of several reports into one, in one of :data:`FORMATS`.

    Raises:
        UsageError: There is no such format.
    """
    return find_format(format_).join(texts)


def find_format(name: str) -> Format:
    """A format by name.

    Raises:
        UsageError: There is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}; valid formats: {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of_file(path: str) -> str:
    """The format that a file's ending stands for; the default one for a name without an ending, and for ``.txt``.

    Raises:
        UsageError: There is no format for it.
    """
    suffix = PurePath(path).suffix.lower()
    if suffix in ("", ".txt"):
        return next(iter(FORMATS))
    for name, format_ in FORMATS.items():
        if suffix in format_.suffixes:
            return name
    known = ", ".join(suffix for format_ in FORMATS.values() for suffix in format_.suffixes)
    raise UsageError(
        f"--output {path}: no format is known for {suffix} (known: {known}); "
        f"choose one with --format {'|'.join(FORMATS)}"
    )


def describe_formats() -> str:
    """The formats with their descriptions, as one sentence for a help text."""
    return "; ".join(f"{name}: {format_.description}" for name, format_ in FORMATS.items()) + "."


def to_json(report: Report) -> str:
    """Every number with its runs, schema 1."""
    # a file that holds one suite and one that holds several have the same keys
    names = [suite.name for suite in report.suites]
    document = {
        "schema": 1,
        "suite": names[0] if names else "",
        "suites": names,
        "descriptions": {suite.name: suite.description for suite in report.suites},
        "accuracy": "best epoch" if report.best else "last epoch",
        "tables": [asdict(table) for table in report.tables],
        **against_json(report),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def join_json(texts: Sequence[str]) -> str:
    """One document with the tables of all suites, each of which names its suite; ``suite`` is the first one's."""
    if len(texts) == 1:
        return texts[0]
    documents = [json.loads(text) for text in texts]
    merged = {
        **documents[0],
        "suites": [name for document in documents for name in document["suites"]],
        "descriptions": {name: text for document in documents for name, text in document["descriptions"].items()},
        "tables": [table for document in documents for table in document["tables"]],
    }
    if against := merged.get("against"):
        rows = [row for document in documents for row in document["against"]["rows"]]
        merged["against"] = {**against, "rows": rows}
    return json.dumps(merged, indent=2) + "\n"


def to_csv(report: Report) -> str:
    """A header, then one line per row; numbers with all their digits."""
    records = [row_record(table, row, report.best) for table in report.tables for row in table.rows]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: spreadsheet_safe(value) for name, value in record.items()} for record in records)
    return stream.getvalue()


def spreadsheet_safe(value: object) -> object:
    """A text that a spreadsheet cannot take for a formula, without control characters; numbers as they are."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def join_csv(texts: Sequence[str]) -> str:
    """One header, then the rows of all suites."""
    return texts[0] + "".join(text.split("\n", 1)[1] for text in texts[1:])


def row_record(table: Table, row: Row, best: bool) -> dict[str, object]:
    """A row as flat values by column of the CSV; lists as texts with spaces between."""
    recipe = {name: row.recipe.get(name) for name in (*keys_of(Recipe), "lr") if name not in ("stem", "input_size")}
    return {
        "dataset": table.dataset,
        "model": row.model,
        "stem": row.stem,
        "schedule": row.schedule,
        "state": row.state,
        "stale": row.stale,
        "params": row.params,
        "flops": row.flops,
        "input_size": row.input_size,
        **_csv_statistic("top1", row.top1),
        **_csv_statistic("top5", row.top5),
        "runs": " ".join(run.run_id for run in row.runs if run.run_id),
        "suite": table.suite,
        "accuracy": "best epoch" if best else "last epoch",
        "variant": row.variant,
        "decay": row.decay,
        **recipe,
        "recipe": row.recipe_text,
        "cells": " ".join(run.cell_id for run in row.runs),
        "seeds": " ".join(str(run.seed) for run in row.runs),
        "device": ", ".join(dict.fromkeys(run.device for run in row.runs if run.device)),
        "seconds": row.seconds,
        **_csv_statistic("best", row.best),
        **_csv_statistic("gap", row.gap),
        **_csv_statistic("loss", row.loss),
        **_csv_statistic("images_per_s", row.images_per_s),
        **_csv_statistic("peak_mb", row.peak_mb),
    }


def _csv_statistic(name: str, value: Statistic | None) -> dict[str, object]:
    if value is None:
        return {f"{name}_mean": None, f"{name}_std": None, f"{name}_n": 0}
    return {f"{name}_mean": value.mean, f"{name}_std": value.std, f"{name}_n": value.n}


FORMATS: dict[str, Format] = {
    "markdown": Format(description="a table for a README", render=markdown, suffixes=(".md", ".markdown")),
    "json": Format(
        description="every number with its runs, for programs",
        render=to_json,
        join=join_json,
        for_programs=True,
        suffixes=(".json",),
    ),
    "csv": Format(
        description="one line per row, for spreadsheets",
        render=to_csv,
        join=join_csv,
        for_programs=True,
        suffixes=(".csv",),
    ),
    "html": Format(
        description="a page for a browser, in one file",
        render=html,
        whole=True,
        predictions=True,
        suffixes=(".html", ".htm"),
    ),
    "latex": Format(description="a booktabs table for a paper", render=latex, suffixes=(".tex",)),
    "plain": Format(description="fitted to the terminal's width", render=plain),
    "runs": Format(description="plain, with the runs behind the numbers", render=plain_with_runs),
}
"""Name -> format, in the order in which they are offered; the first is the default."""
