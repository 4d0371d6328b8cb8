"""``bench report --per-class`` and ``--confusion``: what the predictions of a row say about its classes, as text."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.report.columns import accuracy
from bench.report.grid import Entry, Grid, Heading, Line
from bench.report.markdown import escape, grid_lines
from bench.report.model import RunReference
from bench.report.render import spreadsheet_safe
from bench.text import counted, one_line, percent, printable

if TYPE_CHECKING:
    from bench.report.predictions import Confusion, Predictions

MATRIX_CLASSES = 20
"""Up to so many classes the whole matrix is shown to people; of more, the largest confusions."""
MATRIX_LEGEND = "Images of each class (rows) by what they are taken for (columns): the test set after the last epoch"
LARGEST = 30
"""Confusions that are listed."""


@dataclass(frozen=True, kw_only=True)
class ClassReport:
    """A row of a table with the predictions of its runs."""

    title: str
    """Of its table: the data set."""
    label: str
    """Of the row, with its schedule."""
    runs: tuple[RunReference, ...]
    predictions: "tuple[Predictions, ...]"
    """Of each run, on the same test set."""
    missing: tuple[str, ...] = ()
    """Why other runs of the row have none, a sentence each."""


def per_class_text(report: ClassReport, format_: str) -> str:
    """The accuracy of each class in one of :data:`CLASS_FORMATS`. Ends with a newline.

    Raises:
        UsageError: The format is for tables only.
    """
    from bench.report.predictions import class_accuracies

    each = class_accuracies(report.predictions)
    if format_ == "json":
        classes = [
            {
                "class": one.name,
                "images": one.images,
                "top1": None if one.accuracy is None else vars(one.accuracy),
                "mistaken_for": one.mistaken_for or None,
                "mistakes": one.mistakes,
            }
            for one in each
        ]
        return _json(report, {"classes": classes})
    if format_ == "csv":
        header = ("class", "images", "top1_mean", "top1_std", "top1_n", "mistaken_for", "mistakes")
        values = [
            (one.accuracy.mean, one.accuracy.std, one.accuracy.n) if one.accuracy else ("", "", 0) for one in each
        ]
        records = [
            (one.name, one.images, *found, one.mistaken_for, one.mistakes)
            for one, found in zip(each, values, strict=True)
        ]
        return _csv(header, records)
    rows = [
        (
            one.name,
            str(one.images),
            accuracy(one.accuracy),
            f"{one.mistaken_for} ({_images(one.mistakes)})" if one.mistaken_for else "-",
        )
        for one in each
    ]
    grid = _grid((("Class", False), ("Images", True), ("Top-1(%)", True), ("Most often taken for", False)), rows)
    return _page(report, format_, grid, "Top-1 of each class: the test set after the last epoch")


def confusion_text(report: ClassReport, format_: str) -> str:
    """Which classes are taken for which, in one of :data:`CLASS_FORMATS`. Ends with a newline.

    Raises:
        UsageError: The format is for tables only.
    """
    from bench.report.predictions import confusions, mean_confusion

    names = report.predictions[0].names
    if format_ in ("json", "csv"):
        pairs = confusions(report.predictions)
        if format_ == "csv":
            return _csv(("true", "predicted", "images", "percent"), [tuple(vars(pair).values()) for pair in pairs])
        matrix = mean_confusion(report.predictions).tolist() if len(names) <= MATRIX_CLASSES else None
        return _json(report, {"classes": list(names), "matrix": matrix, "confusions": [vars(pair) for pair in pairs]})
    if len(names) > MATRIX_CLASSES:
        return _page(report, format_, *_largest(confusions(report.predictions)))
    headings = (("True \\ predicted", False), *((name, True) for name in names))
    matrix_rows = zip(names, mean_confusion(report.predictions).tolist(), strict=True)
    rows = [(name, *(_count(value) for value in values)) for name, values in matrix_rows]
    return _page(report, format_, _grid(headings, rows), MATRIX_LEGEND)


def _largest(pairs: "Sequence[Confusion]") -> tuple[Grid, str]:
    rows = [(pair.true, pair.predicted, _count(pair.images), percent(pair.share)) for pair in pairs[:LARGEST]]
    headings = (("Class", False), ("Taken for", False), ("Images", True), ("Of the class(%)", True))
    counts = f"the {len(rows)} largest of {len(pairs):,}" if len(pairs) > len(rows) else f"all {len(rows)}"
    return _grid(headings, rows), f"Confusions, {counts}, on the test set after the last epoch; --format csv has all"


def _count(value: float) -> str:
    """A mean number of images; whole numbers without decimals, zero as a dot."""
    return "." if not value else f"{value:.1f}".removesuffix(".0")


def _images(value: float) -> str:
    return f"{_count(value)} image{'' if value == 1 else 's'}"


def _grid(headings: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]) -> Grid:
    return Grid(
        title="",
        tables=(),
        headings=tuple(Heading(name=text, text=text, numeric=numeric) for text, numeric in headings),
        lines=tuple(Line(rows=(), entries=tuple(Entry(text=text, value=None) for text in row)) for row in rows),
    )


def _page(report: ClassReport, format_: str, grid: Grid, what: str) -> str:
    """A table with what it is about."""
    from bench.report.predictions import statistic, top1

    total = accuracy(statistic(top1(each) for each in report.predictions))
    images, seeds = len(report.predictions[0].labels), len(report.predictions)
    over = f"mean over {seeds} seeds" if seeds > 1 else f"seed {report.runs[0].seed}"
    runs = ", ".join(f"{run.cell_id} (seed {run.seed})" for run in report.runs)
    texts = [
        f"{what} ({counted(images, 'image')}, {over}). Top-1 of all classes: {total}%.",
        *report.missing,
        f"Cells: {runs}.",
    ]
    heading = f"{one_line(report.title)}: {one_line(report.label)}"
    if format_ == "markdown":
        lines = [f"## {escape(heading)}", "", *grid_lines(grid)]
        lines += [line for text in texts for line in ("", escape(text))]
    else:
        lines = [heading, *map(str.rstrip, _plain_lines(grid)), "", *texts]
    return printable("\n".join(lines) + "\n")


def _plain_lines(grid: Grid) -> list[str]:
    rows = [[one_line(entry.text) for entry in line.entries] for line in grid.lines]
    rows.insert(0, [one_line(heading.text) for heading in grid.headings])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = [heading.numeric for heading in grid.headings]
    aligned = [
        [text.rjust(n) if right else text.ljust(n) for text, n, right in zip(row, widths, numeric, strict=True)]
        for row in rows
    ]
    return ["  ".join(row) for row in aligned]


def _csv(header: Sequence[str], records: Sequence[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([spreadsheet_safe(value) for value in record] for record in records)
    return stream.getvalue()


def _json(report: ClassReport, content: Mapping[str, object]) -> str:
    runs = [{"cell_id": run.cell_id, "run_id": run.run_id, "seed": run.seed} for run in report.runs]
    top = {"schema": 1, "dataset": report.title, "row": report.label, "n": len(runs), "runs": runs}
    return json.dumps({**top, **content, "missing": list(report.missing)}, indent=2) + "\n"


CLASS_FORMATS = ("markdown", "plain", "csv", "json")
"""The formats of ``bench report`` that these have."""

CLASS_TEXTS: Mapping[str, Callable[[ClassReport, str], str]] = {
    "per-class": per_class_text,
    "confusion": confusion_text,
}
"""Option of ``bench report`` -> its text."""


def check_class_format(option: str, format_: str) -> None:
    """Refuse a format that has no text for classes.

    Raises:
        UsageError: It has none.
    """
    if format_ not in CLASS_FORMATS:
        raise UsageError(f"--{option} has no {format_} format; choose one of {', '.join(CLASS_FORMATS)}")
