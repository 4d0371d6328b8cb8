"""A report that ``bench report --format json`` saved, read back: the tables that any other format can be made of.

It comes from a colleague, an older or a newer bench, or an editor, so everything in it is checked: what is wrong is a
sentence with its place in the file.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

from bench.codec import JsonObject, read_known
from bench.errors import UsageError
from bench.report.model import Report, Row, Statistic, Table
from bench.report.table import MAX_FINITE, MAX_PERCENT, distinct_titles
from bench.values import Suite

SCHEMA = 1
"""Version of the JSON that is read here and written by :func:`bench.report.render.to_json`."""

ACCURACIES = {"last epoch": False, "best epoch": True}
"""What the JSON calls the epoch of its accuracies, and whether it is the best one."""

LOWEST = {"top1": 0.0, "top5": 0.0, "best": 0.0, "gap": -MAX_PERCENT}
"""Statistics in percent, and the lowest value that each can have."""
MAX_COUNT = 2**64
"""Above every seed, and every number of parameters or operations."""


def read_report(path: str) -> Report:
    """The report in a file.

    Raises:
        UsageError: It cannot be read, or it is no report of schema 1.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a null character
        raise UsageError(f"{path!r} is no path: {error}") from error
    return parse_report(content, path)


def parse_report(content: bytes, path: str) -> Report:
    """The report in the content of a file; ``path`` is what messages call it.

    Raises:
        UsageError: It is no report of schema 1.
    """
    document = _document(content, path)
    try:
        return _report(document)
    except ValueError as error:
        raise UsageError(f"{path}: {error}; it is no report that `bench report --format json` wrote") from error


def _document(content: bytes, path: str) -> JsonObject:
    """The JSON object in a file, of the schema that is read here."""
    try:
        document = json.loads(
            content.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_finite, parse_int=_whole
        )
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not JSON: byte {error.start} is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        why = "it is empty" if not content.strip() else str(error)
        raise UsageError(f"{path} is not JSON, or only a part of it: {why}") from error
    if not isinstance(document, dict) or "schema" not in document:
        raise UsageError(f'{path} has no "schema": it is no report that `bench report --format json` wrote')
    if (schema := document["schema"]) != SCHEMA or isinstance(schema, bool):
        raise UsageError(f"{path} has schema {json.dumps(schema)[:40]}; this version of bench reads schema {SCHEMA}")
    return document


def _report(document: JsonObject) -> Report:
    """The report in a document of the right schema.

    Raises:
        ValueError: Something has another type than it must have.
    """
    tables = document.get("tables")
    if not isinstance(tables, list):
        raise ValueError("tables is missing" if tables is None else "tables is not a list")
    if not tables:
        raise ValueError("tables is empty")
    accuracy = document.get("accuracy", "last epoch")
    if accuracy not in ACCURACIES:
        raise ValueError(f"accuracy is {json.dumps(accuracy)[:40]} (known: {', '.join(ACCURACIES)})")
    read = [_table(table, f"tables[{i}]") for i, table in enumerate(tables)]
    described = document.get("descriptions", {})
    if not isinstance(described, dict) or not all(isinstance(text, str) for text in described.values()):
        raise ValueError("descriptions is not an object of texts")
    names = document.get("suites", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("suites is not a list of names")
    names = list(dict.fromkeys([*names, *(row.suite for table in read for row in table.rows)]))
    suites = [Suite(name=name, description=described.get(name, ""), path="", source="", cells=()) for name in names]
    return Report(tables=distinct_titles(read), suites=tuple(suites), best=ACCURACIES[accuracy])


def _table(content: object, place: str) -> Table:
    if not isinstance(content, dict):
        raise ValueError(f"{place} is not an object")
    table = read_known(Table, content, f"{place}.")
    if not table.rows:
        raise ValueError(f"{place}.rows is empty")
    return replace(table, rows=tuple(_row(row, table.suite, f"{place}.rows[{i}]") for i, row in enumerate(table.rows)))


def _row(row: Row, suite: str, place: str) -> Row:
    """A row whose figures a table can show, with tuples where JSON has lists."""
    for name, value in vars(row).items():
        if isinstance(value, Statistic):
            _check_statistic(value, f"{place}.{name}", LOWEST.get(name))
        elif isinstance(value, int | float) and value < 0:
            raise ValueError(f"{place}.{name} is {value:.4g}")
    recipe = {key: tuple(value) if isinstance(value, list) else value for key, value in row.recipe.items()}
    return replace(row, recipe=recipe, suite=row.suite or suite)


def _check_statistic(value: Statistic, place: str, lowest: float | None) -> None:
    """``lowest`` is that of a percentage; None for another number."""
    if value.n < 1 or (value.std is None) != (value.n == 1):
        raise ValueError(f"{place} has n {value.n} and std {json.dumps(value.std)}")
    if value.std is not None and not 0 <= value.std <= (MAX_FINITE if lowest is None else MAX_PERCENT):
        raise ValueError(f"{place}.std is {value.std:.4g}")
    if lowest is not None and not lowest <= value.mean <= MAX_PERCENT:
        raise ValueError(f"{place}.mean is {value.mean:.4g}, which is no percentage")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or abs(value) > MAX_FINITE:
        raise ValueError(f"{text[:40]} is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > len(str(MAX_COUNT)) or abs(int(text)) > MAX_COUNT:
        raise ValueError(f"{text[:40]} is too large")
    return int(text)
