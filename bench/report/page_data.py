"""What the script of the HTML page needs of a table beside what stands in the page: see ``templates/report.js``.

Values to sort by, the columns that are not shown, and the details of each row, packed by :mod:`bench.report.packing`.
"""

import math

from bench.report.columns import COLUMNS, Value
from bench.report.grid import Grid
from bench.report.model import Report
from bench.report.packing import pack, pack_column
from bench.report.page_classes import class_details
from bench.text import one_line


def table_data(grid: Grid, report: Report) -> dict[str, object]:
    """A table as JSON.

    ``sizes`` says how many rows each line stands for; ``rows`` are the details of all rows in the order of the lines,
    and ``classes`` those about classes, by place in ``rows``.
    """
    rows = [row for line in grid.lines for row in line.rows]
    details = [
        {
            "label": one_line(row.label),
            "state": one_line(row.state),
            "schedule": one_line(f"{row.schedule}: {row.decay}"),
            "recipe": one_line(row.recipe_text),
            "note": one_line(row.note),
            "stale": one_line(row.stale),
        }
        for row in rows
    ]
    classes = {place: class_details(row, report.predictions) for place, row in enumerate(rows)}
    return {
        "count": len(grid.lines),
        "columns": [*_shown(grid), *_others(grid)],
        "sizes": pack_column([len(line.rows) for line in grid.lines]),
        "rows": pack(details),
        "classes": {place: each for place, each in classes.items() if each},
    }


def _shown(grid: Grid) -> list[dict[str, object]]:
    """The columns of a grid for the script: their texts stand in the page."""
    described = [COLUMNS.get(heading.name) for heading in grid.headings]
    return [
        {
            "heading": heading.text,
            "description": column.description if column else "",
            "numeric": heading.numeric,
            "better": column.better if column else "",
            "values": pack_column([_sortable(line.entries[place].value) for line in grid.lines]),
        }
        for place, (heading, column) in enumerate(zip(grid.headings, described, strict=True))
    ]


def _others(grid: Grid) -> list[dict[str, object]]:
    """The columns that a grid does not show, with their texts; none where a line stands for several rows."""
    if any(len(line.rows) != 1 for line in grid.lines):
        return []
    rows = [line.rows[0] for line in grid.lines]
    shown = {heading.name for heading in grid.headings}
    return [
        {
            "heading": column.heading,
            "description": column.description,
            "numeric": column.numeric,
            "better": column.better,
            "values": pack_column([_sortable(column.value(row)) for row in rows]),
            "texts": pack_column([one_line(column.text(row)) for row in rows]),
        }
        for key, column in COLUMNS.items()
        if key not in shown
    ]


def _sortable(value: Value) -> Value:
    """A value that JSON can hold; what is not a number counts as missing."""
    if isinstance(value, str):
        return one_line(value) or None
    return value if value is not None and math.isfinite(value) else None
