"""What a chart is, and what all charts share: names of series, legends, scales that fit their values."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.report.model import Row, Table
from bench.report.names import shorten
from bench.text import one_line

if TYPE_CHECKING:
    import altair as alt

Record = dict[str, object]
"""One mark's data: what is drawn and what its tooltip shows."""

MAX_LEGEND = 30
"""Series of a legend. With more there is none, and tooltips name the marks."""
MAX_NAME = 48
"""Characters of a name in a legend or on an axis; tooltips show the whole name."""
COLOURS = 7
"""Colours of the themes, see :mod:`bench.report.charts.drawing`. Further series repeat them with another shape."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")
DASHES: tuple[list[float], ...] = ([], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4])
HEIGHT, WIDTH = 340, 560
"""Pixels of a chart, without its axes and its legend."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of one table."""

    name: str
    """Safe as a file name and different from the report's other charts, e.g. ``cifar10-accuracy-params``."""
    title: str
    description: str
    """What it shows, for people who cannot see it."""
    spec: dict[str, object]
    """Vega-Lite, with its data and without colours."""
    points: int
    """How many marks show a figure."""
    table: int = 0
    """Which of the report's tables it is of."""


class Datasets:
    """The data of a chart, kept out of altair's hands: it copies and checks each value, for 10,000 rows 10 s long."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}

    def chart(self, records: Sequence[Record]) -> "alt.Chart":
        """An altair chart of records."""
        import altair as alt

        name = f"data-{len(self.records) + 1}"
        self.records[name] = list(records)
        return alt.Chart(alt.NamedData(name=name))


def finish(
    drawing: "alt.LayerChart | alt.FacetChart",
    datasets: Datasets,
    *,
    name: str,
    title: str,
    subtitle: str,
    description: str,
    points: int,
    table: int,
) -> Chart:
    """A chart from an altair object; ``subtitle`` is a line below its title."""
    spec: dict[str, object] = drawing.to_dict()
    spec.pop("config", None)  # altair's default theme
    spec["title"] = {"text": title, **({"subtitle": subtitle} if subtitle else {})}
    spec["description"] = description
    spec["datasets"] = datasets.records
    return Chart(name=name, title=title, description=description, spec=spec, points=points, table=table)


def slug(text: str) -> str:
    """A text as a part of a file name: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "table"


def full_names(table: Table) -> list[str]:
    """For each row of a table, a name that no other row has: its label, and schedule and suite where they differ."""
    schedules = len({row.schedule for row in table.rows}) > 1
    suites = len({row.suite for row in table.rows}) > 1
    return distinct(
        [one_line(" · ".join([row.label, *[row.schedule] * schedules, *[row.suite] * suites])) for row in table.rows]
    )


def short_names(names: Sequence[str]) -> list[str]:
    """Names that fit into a legend, different for different names."""
    return distinct(shorten(names, MAX_NAME))


def distinct(names: Sequence[str]) -> list[str]:
    """Names, numbered where they repeat."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result


@dataclass(frozen=True)
class Look:
    """How the series of a chart are told apart, by colour and by shape or dashes, each with a legend of its own.

    Where schedules differ, colours stand for the rows' labels and shapes for schedules. Else, and where that is more
    than there are colours, both stand for the row.
    """

    colours: tuple[str, ...]
    """What a colour stands for, of each series."""
    shapes: tuple[str, ...]
    """What a shape stands for, of each series."""

    @classmethod
    def of(cls, rows: Sequence[Row], series: Sequence[str]) -> "Look":
        """The look of rows whose names are ``series``."""
        labels = tuple(short_names_of(row.label for row in rows))
        schedules = tuple(short_names_of(row.schedule for row in rows))
        pairs = set(zip(labels, schedules, strict=True))
        several = 1 < len(set(schedules)) <= len(SHAPES)
        if several and len(set(labels)) <= COLOURS and len(pairs) == len(rows):
            return cls(labels, schedules)
        if len(series) > 2 * MAX_LEGEND:  # colours would say nothing, and take long
            plain = schedules if several else ("",) * len(rows)
            return cls(plain, plain)
        return cls(tuple(series), tuple(series))

    def fields(self, place: int) -> Record:
        """The data of a mark of a series."""
        return {"colour": self.colours[place], "shape": self.shapes[place]}

    def colour(self) -> "alt.Color":
        """The encoding of colours, which the theme chooses."""
        import altair as alt

        domain = list(dict.fromkeys(self.colours))
        return alt.Color("colour:N", scale=alt.Scale(domain=domain), legend=legend(domain), title=None)

    def shape(self) -> "alt.Shape":
        """The encoding of shapes."""
        import altair as alt

        domain = list(dict.fromkeys(self.shapes))
        return alt.Shape("shape:N", scale=self._scale(domain, SHAPES), legend=legend(domain), title=None)

    def dash(self, *, every: bool = False) -> "alt.StrokeDash":
        """The encoding of the dashes of lines; ``every``: other ones for each line, not for each round of colours."""
        import altair as alt

        domain = list(dict.fromkeys(self.shapes))
        return alt.StrokeDash(
            "shape:N", scale=self._scale(domain, DASHES, every=every), legend=legend(domain), title=None
        )

    def _scale(self, domain: list[str], values: Sequence[str | Sequence[float]], *, every: bool = False) -> "alt.Scale":
        """Another value per entry; where colours stand for the same, another one per round of colours."""
        import altair as alt

        each = 1 if every or self.shapes != self.colours else COLOURS
        return alt.Scale(domain=domain, range=[values[place // each % len(values)] for place in range(len(domain))])

    @property
    def entries(self) -> int:
        """Lines of its legends."""
        counts = {len(set(self.colours)), len(set(self.shapes))}
        return sum(count for count in counts if count <= MAX_LEGEND)


def short_names_of(names: Iterable[str]) -> list[str]:
    """As :func:`short_names`, of names that may repeat: equal names stay equal."""
    names = [one_line(name) for name in names]
    once = list(dict.fromkeys(names))
    short = dict(zip(once, short_names(once), strict=True))
    return [short[name] for name in names]


def legend(entries: Sequence[str]) -> "alt.Legend | None":
    """A legend in the order of its entries; None if there are too many or just one."""
    import altair as alt

    if not 1 < len(entries) <= MAX_LEGEND:
        return None
    return alt.Legend(title=None, symbolLimit=MAX_LEGEND, orient="right", symbolOpacity=1)


def scale_of(values: Sequence[float], *, decades: float = 1.0, log: bool = True) -> "alt.Scale":
    """A scale with some room around its values: logarithmic where they are positive and span more than ``decades``."""
    import altair as alt

    low, high = min(values), max(values)
    if log and spans(values, decades):
        room = (high / low) ** 0.06
        return alt.Scale(type="log", domain=[low / room, high * room], nice=False)
    room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    bottom = max(0.0, low - room) if low >= 0 else low - room
    return alt.Scale(domain=[bottom, high + room], nice=False, zero=False)


def share_of(value: float, values: Sequence[float], *, log: bool) -> float:
    """Where a value lies between the least and the greatest, from 0 to 1."""
    if log:
        value, values = math.log(value), [math.log(min(values)), math.log(max(values))]
    low, high = min(values), max(values)
    return (value - low) / (high - low) if high > low else 0.5


def spans(values: Sequence[float], decades: float) -> bool:
    """Whether positive values span more than so many decades."""
    low, high = min(values), max(values)
    return low > 0 and math.log10(high / low) > decades
