"""What stands under tables, as sentences: what the figures mean, caveats of rows, recipes, schedules and devices.

Texts are raw, and the same in every format for people; each format escapes them. A sentence names the rows that it
holds for, where it does not hold for all.
"""

import math
import shlex
from collections.abc import Callable, Iterable, Sequence, Set

from bench.report.columns import find_column
from bench.report.grid import Grid
from bench.report.model import Report, Row, Table
from bench.report.table import FEW_CLASSES

COSTS = """\
Params: trainable parameters with this data set's head. Flops: fvcore's total for one image in eval mode at the input
size shown; one multiply-add counts as one."""
LAST = "Top-1 and top-5: the test set after the last epoch, never the best epoch."
BEST = "Best top-1: the best epoch of each run, chosen on the test set itself, so it is optimistic."
SPREAD = "± is the standard deviation over n seeds; a figure without it is one seed."
SPEEDS = {"latency", "throughput"}
IDENTITY = {"model", "schedule", "recipe", "suite", "epochs", "batch", "lr"}
DESCRIBED = IDENTITY | {"params", "flops", "input", "top1", "top5"}
"""Columns that need no sentence of their own."""


def figures(report: Report, grids: Sequence[Grid]) -> list[str]:
    """What the columns mean, a sentence or two each; ours, so nothing to escape, with line breaks as in markdown."""
    names = list(dict.fromkeys(heading.name for grid in grids for heading in grid.headings))
    few = any((table.num_classes or math.inf) <= FEW_CLASSES for table in report.tables)
    sentences = [COSTS] if {"params", "flops"} & {*names} else []
    if report.best and "best" in names:
        sentences.append(BEST)
    elif {"top1", "top5"} & {*names}:
        sentences.append(LAST)
    if few and not report.best and "top5" in names:
        sentences.append(f"Top-5 is left out for data sets of {FEW_CLASSES} classes or fewer, where it is always 100.")
    described = DESCRIBED | ({"best"} if report.best else set())
    others = [find_column(name) for name in names if name not in described]
    return [*sentences, *(f"{column.heading}: {column.description}." for column in others), SPREAD]


def row_notes(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """Caveats, each with the label of its row."""
    return list(dict.fromkeys((row.label, row.note) for table in tables for row in table.rows if row.note))


def stale_rows(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """What has changed, each with the labels of the rows that it concerns."""
    labels: dict[str, list[str]] = {}
    for row in (row for table in tables for row in table.rows):
        if row.stale:
            labels.setdefault(row.stale, []).append(row.label)
    return [(reason, ", ".join(dict.fromkeys(rows))) for reason, rows in labels.items()]


def recipes(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """Every recipe in words with the rows that it is of; without rows if there is one for all."""
    return shared(tables, lambda row: [row.recipe_text])


def devices(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """Every device with the rows that were trained on it; without rows if there is one for all."""
    return shared(tables, lambda row: [run.device for run in row.runs if run.device])


def decays(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """The kind and options of every schedule by its name, with the rows where several go by one name."""
    names = dict.fromkeys(row.schedule for table in tables for row in table.rows)
    found = [(name, shared(tables, _decay_of(name))) for name in names]
    return [(f"{name} of {rows}" if rows else name, decay) for name, decays in found for decay, rows in decays]


def _decay_of(schedule: str) -> Callable[[Row], Sequence[str]]:
    return lambda row: [row.decay] if row.schedule == schedule else []


def speeds(report: Report, grids: Sequence[Grid]) -> list[str]:
    """Where the shown latencies and throughputs were measured, and what measures those that are missing."""
    if not SPEEDS & {heading.name for grid in grids for heading in grid.headings}:
        return []
    sentences = [
        f"Latency and throughput{f' of {rows}' if rows else ''}: median of repeats in eval mode, alone on {conditions}."
        for conditions, rows in shared(report.tables, lambda row: [row.speed.conditions] if row.speed else [])
    ]
    rows = [row for table in report.tables for row in table.rows if row.speed is None]
    missing = {name for row in rows for name in row.suite.split(", ")}
    if paths := [shlex.quote(suite.path) for suite in report.suites if suite.name in missing]:
        sentences.append(f"Missing latency and throughput: bench measure {' '.join(paths)} --speed measures them here.")
    return sentences


def shared(tables: Sequence[Table], values_of: Callable[[Row], Iterable[str]]) -> list[tuple[str, str]]:
    """Values with the rows that they are of, in words; without rows if there is one value for all.

    A data set whose rows all have a value stands for its rows.
    """
    having = [[(row, list(dict.fromkeys(values_of(row)))) for row in table.rows] for table in tables]
    values = list(dict.fromkeys(value for rows in having for _, own in rows for value in own))
    if len(values) < 2:
        return [(value, "") for value in values]
    return [(value, _rows_in_words(tables, having, value)) for value in values]


def _rows_in_words(tables: Sequence[Table], having: Sequence[Sequence[tuple[Row, Sequence[str]]]], value: str) -> str:
    """``resnet18, vgg11``; of several tables ``Digits; vgg11 on CIFAR-10``, where all rows of Digits are meant."""
    words = []
    for table, rows in zip(tables, having, strict=True):
        found = [row for row, own in rows if value in own]
        others = {name for row, own in rows if own and value not in own for name in (row.name, row.label)}
        if not found:
            continue
        names = ", ".join(dict.fromkeys(_called(row, others) for row in found))
        if len(tables) == 1:
            words.append(names)
        else:
            words.append(table.title if len(found) == len(rows) else f"{names} on {table.title}")
    return "; ".join(words)


def _called(row: Row, others: Set[str]) -> str:
    """A row by as much of its name as other rows are not called by."""
    short = (name for name in (row.name, row.label) if name not in others)
    return next(short, f"{row.label} with {row.schedule}")
