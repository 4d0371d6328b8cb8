"""Reading the Vega-Lite specs of charts."""

from typing import Any

from bench.report.charts import Chart


def records(chart: Chart | None) -> list[dict[str, Any]]:
    """The data of the marks that have tooltips; of error bars only where there is nothing else."""
    assert chart
    layers: Any = chart.spec["layer"]
    datasets: Any = chart.spec["datasets"]
    layer = next(layer for layer in reversed(layers) if "tooltip" in layer["encoding"])
    # altair writes what layers share once
    found: list[dict[str, Any]] = datasets[layer.get("data", chart.spec.get("data"))["name"]]
    return found
