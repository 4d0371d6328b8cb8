"""Accuracy against what it costs, with the rows that no other row beats in both: the Pareto front."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.report.charts.chart import (
    HEIGHT,
    WIDTH,
    Chart,
    Datasets,
    Look,
    Record,
    finish,
    full_names,
    scale_of,
    share_of,
    short_names,
    spans,
)
from bench.report.columns import COLUMNS, accuracy
from bench.report.model import Row, Table
from bench.text import one_line, percent

if TYPE_CHECKING:
    import altair as alt

LETTER, LINE = 6.0, 15.0
"""About the width of a letter and the height of a line of a label, in pixels."""


@dataclass(frozen=True, kw_only=True)
class CostAxis:
    """Something that accuracy costs."""

    name: str
    title: str
    value: Callable[[Row], float | None]
    text: Callable[[Row], str]
    """As a tooltip shows it."""
    better: str
    """Which direction is better, in words."""
    spread: Callable[[Row], float | None] = lambda _: None
    """Its sample standard deviation over seeds."""
    higher: bool = False
    """Whether more is better."""


def _millions(count: int | None) -> float | None:
    return count / 1e6 if count else None


def _seconds_spread(row: Row) -> float | None:
    seconds = [run.seconds for run in row.runs if run.seconds is not None and run.state == "complete"]
    if len(seconds) < 2:
        return None
    mean = math.fsum(seconds) / len(seconds)
    return math.sqrt(math.fsum((each - mean) ** 2 for each in seconds) / (len(seconds) - 1))


COST_AXES = (
    CostAxis(
        name="params",
        title="Parameters (millions)",
        value=lambda row: _millions(row.params),
        text=lambda row: f"{COLUMNS['params'].text(row)} M",
        better="fewer parameters",
    ),
    CostAxis(
        name="flops",
        title="FLOPs per image (millions of multiply-adds)",
        value=lambda row: _millions(row.flops),
        text=lambda row: f"{COLUMNS['flops'].text(row)} M",
        better="fewer FLOPs",
    ),
    CostAxis(
        name="time",
        title="Training time (seconds)",
        value=lambda row: row.seconds,
        text=lambda row: f"{COLUMNS['time'].text(row)} s",
        better="less time",
        spread=_seconds_spread,
    ),
    CostAxis(
        name="images-s",
        title="Training speed (images per second)",
        value=lambda row: row.images_per_s.mean if row.images_per_s else None,
        text=lambda row: f"{COLUMNS['images_s'].text(row)} images/s",
        better="more images per second",
        spread=lambda row: row.images_per_s.std if row.images_per_s else None,
        higher=True,
    ),
)


def accuracy_charts(table: Table, *, name: str, place: int, best: bool) -> Iterator[Callable[[], Chart | None]]:
    """One chart per cost; None where no row has both figures."""
    for axis in COST_AXES:
        yield partial(_accuracy_chart, table, axis, name=name, place=place, best=best)


def front(points: Sequence[tuple[float, float]], *, higher: bool) -> list[int]:
    """The places of the points that none beats: at no more cost (or, ``higher``, no less speed) more accuracy.

    Points are (cost, accuracy). In rising cost, or falling speed; of equal points the first.
    """
    order = sorted(range(len(points)), key=lambda i: (-points[i][0] if higher else points[i][0], -points[i][1], i))
    best, places = -math.inf, []
    for place in order:
        if points[place][1] > best:
            best = points[place][1]
            places.append(place)
    return places


def accuracy_title(best: bool) -> str:
    """The name of the accuracy that a report is about."""
    return f"Top-1 (%){', best epoch on the test set' if best else ''}"


def _accuracy_chart(table: Table, axis: CostAxis, *, name: str, place: int, best: bool) -> Chart | None:
    names = full_names(table)
    shown = [(index, row, axis.value(row)) for index, row in enumerate(table.rows) if row.top1]
    rows = [(index, row, value) for index, row, value in shown if value is not None and value > 0]
    if not rows:
        return None
    series = short_names([names[index] for index, _, _ in rows])
    look = Look.of([row for _, row, _ in rows], series)
    records: list[Record] = [
        {"series": series[place], **look.fields(place), **_record(row, names[index], index, axis, value)}
        for place, (index, row, value) in enumerate(rows)
    ]
    points = [(value, row.top1.mean) for _, row, value in rows if row.top1]
    best_places = front(points, higher=axis.higher)
    winners = [names[rows[place][0]] for place in best_places]
    top = max(range(len(points)), key=lambda place: points[place][1])
    title = f"{one_line(table.title)}: top-1 against {axis.title.split(' (')[0].lower().replace('flops', 'FLOPs')}"
    return finish(
        _layers(datasets := Datasets(), records, look, best_places, axis, best=best),
        datasets,
        name=f"{name}-accuracy-{axis.name}",
        title=title,
        subtitle=f"Dashed line: Pareto front (higher top-1, {axis.better})"
        + ("; bars: one standard deviation over seeds" if any("low" in record for record in records) else ""),
        description=f"Scatter plot, {title}, of {len(rows)} rows. Highest: {names[rows[top][0]]} with "
        f"{percent(points[top][1])}%. On the Pareto front: {', '.join(winners)}.",
        points=len(rows),
        table=place,
    )


def _record(row: Row, name: str, index: int, axis: CostAxis, value: float) -> Record:
    assert row.top1  # rows without are left out
    record: Record = {
        "name": name,
        "row": index,
        "x": value,
        "y": row.top1.mean,
        "top1": accuracy(row.top1),
        "cost": axis.text(row),
        "runs": COLUMNS["run"].text(row),
        "device": one_line(COLUMNS["device"].text(row)),
        "state": f"stale: {one_line(row.stale)}" if row.stale else row.state,
    }
    if row.top1.std is not None:
        record |= {"low": row.top1.mean - row.top1.std, "high": row.top1.mean + row.top1.std}
    spread = axis.spread(row)
    if spread is not None and value > spread:
        record |= {"left": value - spread, "right": value + spread}
    return record


def _layers(
    datasets: Datasets, records: Sequence[Record], look: Look, places: Sequence[int], axis: CostAxis, *, best: bool
) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    xs = [float(str(record[key])) for record in records for key in ("x", "left", "right") if key in record]
    ys = [float(str(record[key])) for record in records for key in ("y", "low", "high") if key in record]
    x = alt.X("x:Q", title=axis.title, scale=scale_of(xs), axis=alt.Axis(format=",~r", labelOverlap=True))
    y = alt.Y("y:Q", title=accuracy_title(best), scale=scale_of(ys, log=False))
    colour = look.colour()
    tooltip = [
        alt.Tooltip("name:N", title="Row"),
        alt.Tooltip("top1:N", title=accuracy_title(best)),
        alt.Tooltip("cost:N", title=axis.title.split(" (")[0]),
        alt.Tooltip("runs:N", title="Runs"),
        alt.Tooltip("device:N", title="Device"),
        alt.Tooltip("state:N", title="State"),
    ]
    bars = [record for record in records if "low" in record]
    wide = [record for record in records if "left" in record]
    line = [records[place] for place in places]
    steps = datasets.chart(line).mark_line(style="front", interpolate="step-before" if axis.higher else "step-after")
    layers: list[alt.Chart] = [steps.encode(x=x, y=y)]
    if bars:
        rules = datasets.chart(bars).mark_rule().encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
        layers.append(rules.encode(color=colour, tooltip=tooltip))
    if wide:
        rules = datasets.chart(wide).mark_rule().encode(x=alt.X("left:Q"), x2="right:Q", y=y)
        layers.append(rules.encode(color=colour, tooltip=tooltip))
    height = max(HEIGHT, 19 * look.entries)
    for side, labelled in front_labels(line, xs, ys, height, higher=axis.higher).items():
        for style in ("halo", "label"):  # the halo keeps the line out of the letters
            text = datasets.chart(labelled).mark_text(
                style=style, align="left" if side == "left" else "right", dx=6 if side == "left" else -6, dy=-10
            )
            layers.append(text.encode(x=x, y=y, text="series:N"))
    marks = datasets.chart(records).mark_point(filled=True, size=mark_size(len(records)), opacity=0.9)
    layers.append(marks.encode(x=x, y=y, color=colour, shape=look.shape(), tooltip=tooltip))
    return alt.layer(*layers).properties(width=WIDTH, height=height)


def mark_size(count: int) -> int:
    """The area of a mark in square pixels: smaller where there are so many that they would cover each other."""
    return 80 if count <= 100 else 40 if count <= 1_000 else 12


def front_labels(
    line: Sequence[Record], xs: Sequence[float], ys: Sequence[float], height: float, *, higher: bool
) -> dict[str, list[Record]]:
    """The rows of a front whose names have room above their marks, by the side of the name that is at the mark.

    A name stands on the side of the line where no mark can be, unless it would leave the chart. ``xs`` and ``ys`` are
    all values of the axes, ``height`` is in pixels.
    """
    labels: dict[str, list[Record]] = {}
    taken: list[tuple[float, float, float]] = []
    for record in reversed(line):  # the most accurate first
        x = WIDTH * share_of(float(str(record["x"])), xs, log=spans(xs, 1))
        y = height * share_of(float(str(record["y"])), ys, log=False)
        width = LETTER * len(str(record["series"]))
        fits = x + width < WIDTH if higher else x < width
        side = "left" if fits else "right"
        start = x if side == "left" else x - width
        if all(abs(y - other) > LINE or start > right or start + width < left for left, right, other in taken):
            taken.append((start, start + width, y))
            labels.setdefault(side, []).append(record)
    return labels
