"""Bars and heat maps: schedules beside each other, the classes of a row, and what it takes for what."""

from collections.abc import Sequence

from bench.report.charts.accuracy import accuracy_title
from bench.report.charts.chart import (
    WIDTH,
    Chart,
    Datasets,
    Record,
    finish,
    legend,
    short_names,
    short_names_of,
)
from bench.report.columns import COLUMNS, accuracy
from bench.report.model import Table
from bench.text import counted, one_line, percent

MAX_BARS = 60
"""Rows of a chart of bars."""
MAX_CLASSES = 100
"""Classes of a confusion matrix that can be read."""
NUMBERED_CLASSES = 20
"""Up to so many classes, each field of a confusion matrix says its number of images."""
ROOM = 1.18
"""The axis of a bar chart is longer than its longest bar, for the figure behind it."""


def schedule_bars(table: Table, *, name: str, place: int, best: bool) -> Chart | None:
    """A bar per row and schedule; None unless rows of several schedules have a figure."""
    import altair as alt

    rows = [(index, row) for index, row in enumerate(table.rows) if row.top1]
    if len({row.schedule for _, row in rows}) < 2:
        return None
    several = len({row.suite for _, row in rows}) > 1
    labels = short_names_of(f"{row.label} · {row.suite}" if several else row.label for _, row in rows)
    schedules = short_names_of(row.schedule for _, row in rows)
    shown = list(dict.fromkeys(labels))[:MAX_BARS]
    records: list[Record] = [
        {
            "label": label,
            "schedule": schedule,
            "row": index,
            "name": one_line(row.label),
            "y": row.top1.mean,
            "low": row.top1.mean - (row.top1.std or 0),
            "high": row.top1.mean + (row.top1.std or 0),
            "top1": accuracy(row.top1),
            "figure": accuracy(row.top1).split(" (")[0],
            "runs": COLUMNS["run"].text(row),
            "decay": one_line(row.decay),
        }
        for label, schedule, (index, row) in zip(labels, schedules, rows, strict=True)
        if label in shown and row.top1
    ]
    domain = list(dict.fromkeys(schedules))
    y = alt.Y("label:N", sort=shown, title=None, scale=alt.Scale(paddingInner=0.3))
    offset = alt.YOffset("schedule:N", sort=domain)
    longest = max(float(str(record["high"])) for record in records)
    scale = alt.Scale(domain=[0, longest * ROOM], nice=False)
    x = alt.X("y:Q", title=accuracy_title(best), stack=None, scale=scale, axis=alt.Axis(values=_ticks(longest)))
    colour = alt.Color("schedule:N", scale=alt.Scale(domain=domain), legend=legend(domain), title=None)
    tooltip = [
        alt.Tooltip("name:N", title="Row"),
        alt.Tooltip("schedule:N", title="Schedule"),
        alt.Tooltip("decay:N", title="Decay"),
        alt.Tooltip("top1:N", title=accuracy_title(best)),
        alt.Tooltip("runs:N", title="Runs"),
    ]
    datasets = Datasets()
    base = datasets.chart(records).encode(y=y, yOffset=offset)
    bars = base.mark_bar().encode(x=x, color=colour, tooltip=tooltip)
    spread = base.mark_rule(style="spread").encode(x=alt.X("low:Q"), x2="high:Q")
    figures = base.mark_text(align="left", dx=6).encode(x=alt.X("high:Q"), text="figure:N")
    title = f"{one_line(table.title)}: top-1 by schedule"
    cut = len(dict.fromkeys(labels)) > len(shown)
    return finish(
        alt.layer(bars, spread, figures).properties(width=WIDTH, height=alt.Step(18)),
        datasets,
        name=f"{name}-schedules",
        title=title,
        subtitle=f"The first {len(shown)} of {len(dict.fromkeys(labels))} rows" if cut else "",
        description=f"Bar chart, {title}: "
        + "; ".join(f"{record['name']}, {record['schedule']}: {record['figure']}%" for record in records)
        + ".",
        points=len(records),
        table=place,
    )


def per_class_bars(
    classes: Sequence[str],
    accuracies: Sequence[float | None],
    counts: Sequence[int],
    *,
    name: str,
    title: str,
    runs: str,
) -> Chart | None:
    """The accuracy of each class in percent of its ``counts`` test images; the worst where there are too many to read.

    ``title`` says which row it is, ``runs`` which runs. None if no class has an accuracy.
    """
    import altair as alt

    full = [one_line(label) for label in classes]
    known = [
        (place, value, count)
        for place, (value, count) in enumerate(zip(accuracies, counts, strict=True))
        if value is not None
    ]
    if not known:
        return None
    shown = sorted(sorted(known, key=lambda each: (each[1], each[0]))[:MAX_BARS])
    labels = short_names_of(full)
    records: list[Record] = [
        {
            "label": labels[place],
            "class": full[place],
            "y": value,
            "figure": percent(value),
            "images": count,
            "runs": runs,
        }
        for place, value, count in shown
    ]
    longest = max(float(str(record["y"])) for record in records)
    y = alt.Y("label:N", sort=[labels[place] for place, _, _ in shown], title=None)
    scale = alt.Scale(domain=[0, (longest or 1) * ROOM], nice=False)
    x = alt.X("y:Q", title="Accuracy (%)", scale=scale, axis=alt.Axis(values=_ticks(longest)))
    tooltip = [
        alt.Tooltip("class:N", title="Class"),
        alt.Tooltip("figure:N", title="Accuracy (%)"),
        alt.Tooltip("images:Q", title="Test images"),
        alt.Tooltip("runs:N", title="Runs"),
    ]
    datasets = Datasets()
    base = datasets.chart(records).encode(y=y)
    bars = base.mark_bar(style="single").encode(x=x, tooltip=tooltip)
    figures = base.mark_text(align="left", dx=6).encode(x=x, text="figure:N")
    worst = min(shown, key=lambda each: each[1])
    return finish(
        alt.layer(bars, figures).properties(width=WIDTH, height=alt.Step(20)),
        datasets,
        name=name,
        title=f"{title}: accuracy of each class",
        subtitle=f"The worst {len(shown)} of {len(known)} classes" if len(known) > len(shown) else "",
        description=f"Bar chart of the accuracy of {counted(len(shown), 'class').replace('classs', 'classes')}. "
        f"Lowest: {full[worst[0]]} with {percent(worst[1])}%.",
        points=len(records),
        table=0,
    )


def confusion_map(
    classes: Sequence[str], matrix: Sequence[Sequence[float]], *, name: str, title: str, runs: str
) -> Chart | None:
    """How many images of each true class (a line of ``matrix``) were taken for which class (its columns).

    Colours are shares of the true class. None for more classes than can be read.
    """
    import altair as alt

    if not 0 < len(classes) <= MAX_CLASSES:
        return None
    full = [one_line(label) for label in classes]
    labels = short_names(full)
    sums = [sum(line) for line in matrix]
    records: list[Record] = [
        {
            "true": labels[i],
            "predicted": labels[j],
            "count": _count(count),
            "share": count / sums[i],
            "percent": f"{percent(100 * count / sums[i])}%",
            "runs": runs,
        }
        for i, line in enumerate(matrix)
        for j, count in enumerate(line)
        if count
    ]
    numbered = len(labels) <= NUMBERED_CLASSES
    step = 34 if numbered else max(8, 600 // len(labels))
    x = alt.X("predicted:N", sort=labels, title="Predicted class", scale=alt.Scale(domain=labels))
    x = x.axis(
        grid=False, labelLimit=160, labelOverlap=not numbered, labelAngle=-45 if max(map(len, labels)) > 3 else 0
    )
    y = alt.Y("true:N", sort=labels, title="True class", scale=alt.Scale(domain=labels))
    y = y.axis(grid=False, labelLimit=160, labelOverlap=not numbered)
    colour = alt.Color(
        "share:Q",
        title="Share of the true class",
        scale=alt.Scale(domain=[0, 1]),
        legend=alt.Legend(format=".0%", gradientLength=160),
    )
    tooltip = [
        alt.Tooltip("true:N", title="True class"),
        alt.Tooltip("predicted:N", title="Predicted class"),
        alt.Tooltip("count:N", title="Images"),
        alt.Tooltip("percent:N", title="Share of the true class"),
        alt.Tooltip("runs:N", title="Runs"),
    ]
    datasets = Datasets()
    layers = [datasets.chart(records).mark_rect().encode(x=x, y=y, color=colour, tooltip=tooltip)]
    for style, strong in (("on-weak", False), ("on-strong", True)) if numbered else ():
        part = [record for record in records if (float(str(record["share"])) > 0.5) == strong]
        if part:
            layers.append(datasets.chart(part).mark_text(style=style).encode(x=x, y=y, text="count:N"))
    hits = sum(matrix[i][i] for i in range(len(labels)))
    return finish(
        alt.layer(*layers).properties(width=alt.Step(step), height=alt.Step(step)),
        datasets,
        name=name,
        title=f"{title}: confusion matrix",
        subtitle="",
        description=f"Confusion matrix of {len(labels)} classes: {_count(hits)} of {_count(sum(sums))} images are on "
        "its diagonal.",
        points=len(records),
        table=0,
    )


def _count(images: float) -> str:
    """A mean number of images; whole numbers without decimals."""
    return f"{images:.1f}".removesuffix(".0")


def _ticks(longest: float) -> list[float]:
    """Round figures up to the end of the axis, none above 100%."""
    step = next((step for step in (20, 10, 5, 2, 1) if longest >= 2 * step), 0.5)
    return [step * place for place in range(int(min(longest * ROOM, 100) / step) + 1)]
