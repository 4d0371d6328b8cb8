"""The picture of ``bench schedules --plot``: learning rates by epoch, several schedules in one."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.charts.chart import HEIGHT, MAX_LEGEND, WIDTH, Chart, Datasets, Look, Record, finish, short_names
from bench.report.charts.curves import thin

MAX_POINTS = 1_000
"""Points of a line, more than it has pixels."""


@dataclass(frozen=True, kw_only=True)
class Decay:
    """A line of the picture."""

    label: str
    epochs: Sequence[Sequence[float]]
    """Learning rates of each epoch: one for the whole epoch, or one per step."""

    def points(self) -> list[tuple[float, float]]:
        """Time in epochs, and the rate that holds from then on; the last one to the end."""
        found = [
            (epoch + step / len(rates), rate)
            for epoch, rates in enumerate(self.epochs)
            for step, rate in enumerate(rates)
        ]
        return [*thin(found, MAX_POINTS), (len(self.epochs), self.epochs[-1][-1])]


def decay_chart(decays: Sequence[Decay], *, subtitle: str) -> Chart:
    """The learning rates of at most :data:`MAX_LEGEND` schedules; ``subtitle`` says what they share."""
    import altair as alt

    series = tuple(short_names([decay.label for decay in decays]))
    look = Look(series, series)
    records: list[Record] = [
        {"cell": name, **look.fields(place), "name": decay.label, "x": time, "y": rate, "figure": f"{rate:.4g}"}
        for place, (name, decay) in enumerate(zip(series, decays, strict=True))
        for time, rate in decay.points()
    ]
    top = max(float(str(record["y"])) for record in records)
    x = alt.X("x:Q", title="Epoch", scale=alt.Scale(domain=[0, max(len(decay.epochs) for decay in decays)], nice=False))
    y = alt.Y("y:Q", title="Learning rate", scale=alt.Scale(domain=[0, top * 1.06], nice=False))
    tooltip = [
        alt.Tooltip("name:N", title="Schedule"),
        alt.Tooltip("x:Q", title="Epoch", format=".3~f"),
        alt.Tooltip("figure:N", title="Learning rate"),
    ]
    datasets = Datasets()
    lines = (
        datasets.chart(records)
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(
            x=x.axis(tickMinStep=1),
            y=y.axis(format=",~r"),
            color=look.colour(),
            strokeDash=look.dash(every=True),  # lines that coincide stay visible through the gaps
            detail="cell:N",
            tooltip=tooltip,
        )
    )
    return finish(
        alt.layer(lines).properties(width=WIDTH, height=max(HEIGHT, 19 * min(len(series), MAX_LEGEND))),
        datasets,
        name="schedules",
        title="Learning rate by epoch",
        subtitle=subtitle,
        description=f"Line chart of the learning rate by epoch ({subtitle}): {'; '.join(series)}.",
        points=len(decays),
        table=0,
    )
