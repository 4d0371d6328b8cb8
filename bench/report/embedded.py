"""The charts of :mod:`bench.report.charts` as they stand in the HTML page: light enough to be part of it.

Each is there twice: as Vega-Lite, whose records are packed (a run's name stands once and not once per epoch), and as a
still picture for print and for browsers without scripts. Curves of more than a few rows begin with the best ones; a
reader chooses others.
"""

import json
import math
import re
import zlib
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from bench.report.model import Report
from bench.report.packing import Record, pack
from bench.text import one_line

if TYPE_CHECKING:
    from bench.report.charts import Chart

ROWS_AT_FIRST = 7
"""Rows whose curves are drawn at first: as many as there are colours."""
DIGITS = 5
"""Significant digits of what is drawn: more than a screen can show."""
SVG_POINTS = 2_000
"""A picture of more points is a PNG: as SVG it would take megabytes."""
WIDTH, HEIGHT = 800, 450
"""Pixels of a picture that does not say its own."""
SIZED = re.compile(r'<svg[^>]*? width="([\d.]+)" height="([\d.]+)"')
SEEN_BY_NOBODY = re.compile(r' (?:aria-[a-z]+|role|tabindex|class|pointer-events)="[^"]*"| opacity="1"')
"""Attributes of a picture whose words stand beside it."""
PLACES = re.compile(r' (?:d|transform|x|y|x1|x2|y1|y2|points)="[^"]*"')
DECIMALS = re.compile(r"(\.\d)\d+")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart of the page."""

    number: int
    """Its place in the data of the script."""
    title: str
    description: str
    image: str
    """The still picture, as a ``data:`` URL. So nothing in it can act on the page."""
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The charts of one table: of accuracy and cost, or of epochs."""

    title: str
    """Its heading; may be empty."""
    figures: tuple[Figure, ...]
    choice: bool
    """Whether some of its charts show the rows that a reader chooses."""


@dataclass(frozen=True, kw_only=True)
class Charts:
    """All charts of the page, and what its script needs of them."""

    galleries: tuple[Gallery, ...] = ()
    drawings: str = ""
    """The charts and the two themes as JSON, see :func:`deflated`."""
    libraries: str = ""
    """The script of the libraries that draw, see :func:`deflated`."""
    missing: tuple[str, ...] = ()
    """Why there are none, or not all, a sentence each."""


def page_charts(report: Report) -> Charts:
    """The charts of a report for the page; none, with a sentence, where the libraries that draw are missing."""
    from bench.report.charts import make_charts, theme
    from bench.report.charts.collect import failed

    missing: list[str] = []
    charts = make_charts(report, _curves(report), missing.append)
    if not charts and not missing:
        return Charts()
    try:
        import altair  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        sentence = f"Charts are left out: {one_line(str(error))}."
        return Charts(missing=(f"{sentence} pip install altair vl-convert-python brings them.",))
    drawn: list[tuple[Chart, Figure]] = []
    for chart in charts:
        try:
            drawn.append((chart, _figure(chart, len(drawn), best_rows(chart, report))))
        except Exception as error:  # whatever the drawing library raises; a chart is worth less than the page
            missing.append(failed(chart.title, error))
    if not drawn:
        return Charts(missing=tuple(missing))
    galleries = []
    for place, curves in sorted({(chart.table, _is_of_curves(chart)) for chart, _ in drawn}):
        own = [pair for pair in drawn if (pair[0].table, _is_of_curves(pair[0])) == (place, curves)]
        title = report.tables[place].title
        galleries.append(
            Gallery(
                title=", ".join([title] * (len(report.tables) > 1) + ["epoch by epoch"] * curves),
                figures=tuple(figure for _, figure in own),
                choice=any(rows_of(chart.spec) for chart, _ in own),
            )
        )
    drawings = {
        "charts": [
            {
                "spec": packed(chart.spec),
                "points": chart.points,
                "rows": rows_of(chart.spec),
                "chosen": best_rows(chart, report),
            }
            for chart, _ in drawn
        ],
        "themes": {"light": theme(), "dark": theme(dark=True)},
    }
    return Charts(
        galleries=tuple(galleries),
        drawings=deflated(json.dumps(drawings, allow_nan=False, separators=(",", ":"))),
        libraries=_libraries(),
        missing=tuple(missing),
    )


@cache
def _libraries() -> str:
    """The libraries that draw charts in a browser; made in a second or two, from what vl-convert brings."""
    import vl_convert

    return deflated(vl_convert.javascript_bundle())  # type: ignore[call-arg]  # its stub says otherwise


def deflated(text: str) -> str:
    """A text with a third of its size or less, in letters that HTML has no meaning for; ``report.js`` inflates it."""
    return b64encode(zlib.compress(text.encode(), 9)).decode()


def _is_of_curves(chart: "Chart") -> bool:
    return bool(rows_of(chart.spec)) or chart.name.endswith("-lr")


def _curves(report: Report) -> Sequence[Mapping[str, object]]:
    from bench.report.curves import curve_records

    return curve_records(report.suites, report.home) if report.home else []


def best_rows(chart: "Chart", report: Report) -> list[int]:
    """The places of the rows whose curves are drawn at first."""
    rows = {place: report.tables[chart.table].rows[place] for place in rows_of(chart.spec)}
    ranked = sorted(rows, key=lambda place: (-top1.mean if (top1 := rows[place].top1) else math.inf, place))
    return sorted(ranked[:ROWS_AT_FIRST])


def rows_of(spec: Mapping[str, object]) -> dict[int, str]:
    """The rows, by their place in the table, that a chart of curves can show; empty for other charts."""
    return {
        int(str(record["row"])): str(record["name"])
        for records in datasets(spec).values()
        for record in records
        if {"row", "name", "seed"} <= record.keys()
    }


def datasets(spec: Mapping[str, object]) -> Mapping[str, list[Record]]:
    """The records of a spec by name: altair keeps them all in one place."""
    found = spec.get("datasets")
    return found if isinstance(found, dict) else {}


def packed(spec: Mapping[str, object]) -> dict[str, object]:
    """A spec with its records packed, see :func:`pack`; ``unpack`` of ``report.js`` is the inverse."""
    return {**spec, "datasets": {name: pack(records, digits=DIGITS) for name, records in datasets(spec).items()}}


def _figure(chart: "Chart", number: int, chosen: Collection[int]) -> Figure:
    from bench.report.charts import to_png

    spec = _still(chart.spec, chosen) if rows_of(chart.spec) else chart.spec
    still = replace(chart, spec=spec)
    if chart.points > SVG_POINTS and spec is chart.spec:
        image, width, height = f"data:image/png;base64,{b64encode(to_png(still)).decode()}", WIDTH, HEIGHT
    else:
        image, width, height = _svg(still)
    return Figure(
        number=number, title=chart.title, description=chart.description, image=image, width=width, height=height
    )


def _svg(chart: "Chart") -> tuple[str, int, int]:
    """A chart as the URL of a picture without what nobody sees, its width and its height in pixels."""
    from bench.report.charts import to_svg

    svg = SEEN_BY_NOBODY.sub("", to_svg(chart))
    svg = PLACES.sub(lambda found: DECIMALS.sub(r"\1", found[0]), svg)
    size = SIZED.search(svg)
    if "'" not in svg:
        svg = svg.replace('"', "'")  # which a URL in an attribute can hold as it is
    url = "data:image/svg+xml," + quote(svg, safe=" ='<>/:;,.()[]{}!@$*+-_~|?")
    return url, round(float(size[1])) if size else WIDTH, round(float(size[2])) if size else HEIGHT


def _still(spec: Mapping[str, object], chosen: Collection[int]) -> dict[str, object]:
    """A chart of curves with the chosen rows only."""
    kept = {name: [each for each in records if each.get("row") in chosen] for name, records in datasets(spec).items()}
    shown = {each.get(key) for records in kept.values() for each in records for key in ("colour", "shape")}
    pruned = {key: _pruned(each, shown) for key, each in spec.items() if key != "datasets"}
    return {**pruned, "datasets": kept}


def _pruned(value: object, shown: Collection[object]) -> object:
    """A part of a spec whose legends have only what is shown."""
    if isinstance(value, list):
        return [_pruned(each, shown) for each in value]
    if not isinstance(value, dict):
        return value
    result = {key: _pruned(each, shown) for key, each in value.items()}
    domain = value.get("domain")
    if isinstance(domain, list) and all(isinstance(each, str) for each in domain):
        for key in {"domain", "range"} & value.keys():
            result[key] = [each for each, name in zip(value[key], domain, strict=True) if name in shown]
    scale = result.get("scale")
    if "legend" in value and value["legend"] is None and isinstance(scale, dict) and scale.get("domain"):
        result["legend"] = {"title": None}  # there was none for all rows
    return result
