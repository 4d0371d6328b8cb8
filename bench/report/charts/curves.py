"""What happened epoch by epoch: losses, top-1, and the learning rate that each row really had."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from bench.report.charts.chart import (
    HEIGHT,
    WIDTH,
    Chart,
    Datasets,
    Look,
    Record,
    distinct,
    finish,
    full_names,
    scale_of,
    short_names,
    spans,
)
from bench.report.model import Row, Table
from bench.text import counted, one_line

if TYPE_CHECKING:
    import altair as alt

MAX_RUNS = 50
"""Runs of a chart of curves: more cannot be told apart."""
MAX_POINTS = 200
"""Points of a run: more than a chart has room for. Of longer runs the extremes are kept."""
FEW_EPOCHS = 30
"""Up to so many epochs, each is marked on its line."""
MAX_HOVERED = 1_000
"""Unmarked points that a pointer finds. Each is an element of the page, and more make it slow."""
MAX_FINITE = 1e300
"""A larger number was infinity before a store took it."""
DECADES = 2.0
"""Losses and learning rates that span more decades have a logarithmic axis."""

TimeT = TypeVar("TimeT", int, float)

Curves = Mapping[str, Sequence[Mapping[str, object]]]
"""The epochs of each cell, in their order, by its id."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run with its epochs."""

    place: int
    """Of its row in the table."""
    row: Row
    name: str
    """Of its row."""
    cell_id: str
    run_id: str
    seed: int
    epochs: Sequence[Mapping[str, object]]

    def points(self, metric: str) -> list[tuple[int, float]]:
        """Epoch and value, of the epochs with a finite value."""
        pairs = ((int(str(each["epoch"])), number(each.get(metric))) for each in self.epochs)
        return [(epoch, value) for epoch, value in pairs if value is not None]


METRICS = (
    ("train/loss", "train-loss", "training loss"),
    ("test/loss", "test-loss", "test loss"),
    ("test/top1", "top1", "top-1 (%)"),
)


def curves_by_cell(curves: Sequence[Mapping[str, object]]) -> Curves:
    """Epochs by cell, in rising order."""
    cells: dict[str, list[Mapping[str, object]]] = {}
    for record in curves:
        cells.setdefault(str(record["cell"]), []).append(record)
    return {cell: sorted(records, key=lambda record: int(str(record["epoch"]))) for cell, records in cells.items()}


def number(value: object) -> float | None:
    """A finite number, also of a CSV's text; None for anything else."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) and abs(found) < MAX_FINITE else None


def curve_charts(table: Table, curves: Curves, *, name: str, place: int) -> Iterator[Callable[[], Chart | None]]:
    """One chart per metric and one of learning rates; None where no run on this machine has any."""
    runs = [
        Run(place=i, row=row, name=label, cell_id=r.cell_id, run_id=r.run_id, seed=r.seed, epochs=curves[r.cell_id])
        for i, (row, label) in enumerate(zip(table.rows, full_names(table), strict=True))
        for r in row.runs
        if r.cell_id in curves
    ]
    title = one_line(table.title)
    for metric, suffix, words in METRICS:
        heading = f"{title}: {words.split(' (')[0]}"
        yield partial(learning_curves, runs, metric, words, name=f"{name}-{suffix}", title=heading, place=place)
    yield partial(rate_curves, runs, name=f"{name}-lr", title=f"{title}: learning rate", place=place)


def thin(points: Sequence[tuple[TimeT, float]], most: int = MAX_POINTS) -> list[tuple[TimeT, float]]:
    """At most so many points of a curve: the first, the last, and the extremes of equally long parts between them."""
    if len(points) <= most:
        return list(points)
    inner, parts = points[1:-1], (most - 2) // 2
    cuts = [len(inner) * part // parts for part in range(parts + 1)]
    kept = list(points[:1])
    for start, end in pairwise(cuts):
        part = inner[start:end]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    kept.append(points[-1])
    return kept


def learning_curves(runs: Sequence[Run], metric: str, words: str, *, name: str, title: str, place: int) -> Chart | None:
    """A line per run, coloured by its row."""
    found = [(run, thin(points)) for run in runs if (points := run.points(metric))]
    shown = found[:MAX_RUNS]
    if not shown:
        return None
    rows = {run.place: run for run, _ in shown}
    series = short_names([run.name for run in rows.values()])
    look = Look.of([run.row for run in rows.values()], series)
    places = {key: position for position, key in enumerate(rows)}
    records: list[Record] = [
        {
            "cell": run.cell_id,
            **look.fields(places[run.place]),
            "row": run.place,
            "name": run.name,
            "seed": run.seed,
            "run": run.run_id[:8] or "-",
            "x": epoch,
            "y": value,
            "figure": f"{value:.4g}",
        }
        for run, points in shown
        for epoch, value in points
    ]
    return finish(
        _lines(datasets := Datasets(), records, look, words, log=metric != "test/top1"),
        datasets,
        name=name,
        title=title,
        subtitle=f"The first {len(shown)} of {counted(len(found), 'run')}" if len(found) > len(shown) else "",
        description=f"Line chart, {title} by epoch, of {counted(len(shown), 'run')}: {', '.join(series)}.",
        points=len(records) if max(int(str(record["x"])) for record in records) <= FEW_EPOCHS else len(shown),
        table=place,
    )


def rate_curves(runs: Sequence[Run], *, name: str, title: str, place: int) -> Chart | None:
    """A line for all rows with the same learning rates."""
    longest: dict[int, tuple[Run, list[tuple[int, float]]]] = {}
    for run in runs:
        points = run.points("train/lr")
        if len(points) > len(longest.get(run.place, (run, []))[1]):
            longest[run.place] = run, points
    alike: dict[tuple[tuple[int, float], ...], list[Run]] = {}
    for run, points in longest.values():
        alike.setdefault(tuple(points), []).append(run)
    if not alike:
        return None
    groups = dict(list(alike.items())[:MAX_RUNS])
    series = short_names(distinct([_rate_name(group) for group in groups.values()]))
    look = Look(tuple(series), tuple(series))
    records: list[Record] = [
        {
            "cell": label,
            **look.fields(position),
            "name": "; ".join(run.name for run in group[:20]) + (" …" if len(group) > 20 else ""),
            "run": " ".join(run.run_id[:8] for run in group[:20] if run.run_id) or "-",
            "x": epoch,
            "y": rate,
            "figure": f"{rate:.4g}",
        }
        for position, (label, (points, group)) in enumerate(zip(series, groups.items(), strict=True))
        # a rate holds during its epoch, so that of the first begins at 0
        for epoch, rate in [(points[0][0] - 1, points[0][1]), *thin(points)]
    ]
    return finish(
        _lines(datasets := Datasets(), records, look, "learning rate", log=True, steps=True),
        datasets,
        name=name,
        title=title,
        subtitle="At the end of each epoch, as it was journalled",
        description=f"Line chart, {title} by epoch: {', '.join(series)}.",
        points=len(groups),
        table=place,
    )


def _rate_name(group: Sequence[Run]) -> str:
    if len(group) == 1:
        return group[0].name
    schedules = dict.fromkeys(one_line(run.row.schedule) for run in group)
    variants = dict.fromkeys(one_line(run.row.variant) for run in group)
    variant = f", {next(iter(variants))}" if len(variants) == 1 and next(iter(variants)) else ""
    return f"{' / '.join(schedules)}{variant} ({len(group)} rows)"


def _lines(
    datasets: Datasets, records: Sequence[Record], look: Look, words: str, *, log: bool, steps: bool = False
) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    values = [float(str(record["y"])) for record in records]
    scale = scale_of(values, decades=DECADES, log=log)
    text = f"{words[0].upper()}{words[1:]}" + (", logarithmic" if log and spans(values, DECADES) else "")
    last = max(int(str(record["x"])) for record in records)
    first = min(int(str(record["x"])) for record in records)
    x = alt.X("x:Q", title="Epoch", scale=alt.Scale(domain=[first, max(last, first + 1)], nice=False))
    x = x.axis(tickMinStep=1, format="d")
    y = alt.Y("y:Q", title=text, scale=scale, axis=alt.Axis(format=",~r"))
    tooltip = [alt.Tooltip("name:N", title="Row"), alt.Tooltip("x:Q", title="Epoch")]
    tooltip += [alt.Tooltip("figure:N", title=words.split(" (", maxsplit=1)[0].capitalize())]
    if not steps:
        tooltip += [alt.Tooltip("seed:Q", title="Seed")]
    tooltip += [alt.Tooltip("run:N", title="Run")]
    base = datasets.chart(records)
    line = base.mark_line(strokeWidth=1.8, interpolate="step-before" if steps else "linear", clip=True)
    # rates of rows may coincide, and through the gaps of a dashed line the one below it is seen
    lines = line.encode(x=x, y=y, color=look.colour(), strokeDash=look.dash(every=steps), detail="cell:N")
    few = last - first <= FEW_EPOCHS and not steps
    if few:
        dots = base.mark_point(filled=True, size=22, opacity=1).encode(color=look.colour())
    else:
        dots = datasets.chart(_hovered(records)).mark_point(size=60, opacity=0)
    marks = dots.encode(x=x, y=y, tooltip=tooltip, detail="cell:N")
    return alt.layer(lines, marks).properties(width=WIDTH, height=max(HEIGHT, 19 * look.entries))


def _hovered(records: Sequence[Record]) -> list[Record]:
    """The points that have a tooltip where not each is marked: evenly spread, at most :data:`MAX_HOVERED`."""
    stride = -(-len(records) // MAX_HOVERED)
    return list(records[::stride])
