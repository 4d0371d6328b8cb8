"""From specs to pictures, in this process and without a network; and the two themes, the only place with colours.

The palette is Okabe and Ito's (2008), which colour-blind people can tell apart, without black and yellow, and somewhat
lighter on dark.
"""

import re
from collections.abc import Mapping

from bench.report.charts.chart import Chart

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""vl-convert brings the first; the others are as wide, so that a page measures texts as the pictures do."""

LIGHT = {
    "background": "#ffffff",
    "text": "#1f2328",
    "muted": "#59636e",
    "grid": "#e4e7eb",
    "category": ["#0072b2", "#d55e00", "#009e73", "#b8568f", "#d08a00", "#3f9bd1", "#555555"],
    "ramp": ["#f2f6fa", "#9cc4e0", "#0072b2", "#00304d"],
}
DARK = {
    "background": "#16181d",
    "text": "#e6e8eb",
    "muted": "#a3abb5",
    "grid": "#31363e",
    "category": ["#4aa3df", "#f0803c", "#2dbe91", "#e29bc5", "#f2b736", "#9ad4f7", "#b8b8b8"],
    "ramp": ["#1c2733", "#1f5f8b", "#4aa3df", "#d6ecfb"],
}


def theme(*, dark: bool = False) -> dict[str, object]:
    """The ``config`` of a Vega-Lite spec: colours and fonts."""
    colours = DARK if dark else LIGHT
    text, muted, grid = colours["text"], colours["muted"], colours["grid"]
    axis = {"labelColor": muted, "titleColor": text, "gridColor": grid, "domainColor": muted, "tickColor": muted}
    sizes = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    symbols = {"symbolBaseFillColor": muted, "symbolBaseStrokeColor": muted}
    return {
        "background": colours["background"],
        "font": FONT,
        "padding": 16,
        "view": {"stroke": None},
        "title": {
            "anchor": "start",
            "color": text,
            "subtitleColor": muted,
            "fontSize": 15,
            "subtitleFontSize": 12,
            "subtitlePadding": 6,
            "offset": 14,
            "limit": 800,
        },
        "axis": {**axis, **sizes, "labelLimit": 300, "titleLimit": 600, "titlePadding": 8},
        "legend": {"labelColor": text, "titleColor": text, **sizes, "labelLimit": 340, "rowPadding": 3, **symbols},
        "header": {"labelColor": text, "titleColor": text, **sizes},
        "range": {"category": colours["category"], "heatmap": colours["ramp"], "ramp": colours["ramp"]},
        "text": {"color": text, "fontSize": 11},
        "style": {
            "front": {"color": muted, "strokeWidth": 1.5, "strokeDash": [5, 4]},
            "spread": {"color": text, "strokeWidth": 1.2},
            "single": {"color": colours["category"][0]},
            "on-weak": {"color": text},
            "on-strong": {"color": colours["background"]},
            "halo": {"color": colours["background"], "stroke": colours["background"], "strokeWidth": 4},
        },
    }


def to_svg(chart: Chart, *, dark: bool = False) -> str:
    """A chart as SVG: the same chart gives the same text."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(_still(chart.spec), config=theme(dark=dark))
    # Vega numbers its clipping paths through the life of the process
    numbers: dict[str, str] = {}
    return re.sub(r"\bclip\d+\b", lambda found: numbers.setdefault(found[0], f"clip{len(numbers) + 1}"), svg)


def to_png(chart: Chart, *, dark: bool = False) -> bytes:
    """A chart as PNG with two pixels per unit."""
    import vl_convert

    png: bytes = vl_convert.vegalite_to_png(_still(chart.spec), scale=2, config=theme(dark=dark))
    return png


def _still(spec: Mapping[str, object]) -> dict[str, object]:
    """A spec without what only a pointer finds."""
    layers = spec["layer"]
    assert isinstance(layers, list)  # every chart has layers
    return {**spec, "layer": [layer for layer in layers if layer["mark"].get("opacity") != 0]}
