"""The metric points of journal events: what a journal adds to those that the store already has. Pure functions."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bench.workspace.events import CostMeasured, Diverged, EpochDone, Event, Summarised

StoredPoints = dict[tuple[str, int], float]
"""Values by metric and step."""


class Point(NamedTuple):
    """A value of a metric."""

    key: str
    value: float
    time_ms: int
    """Unix time in milliseconds at which the event was written, whenever the point is sent."""
    step: int
    """The epoch, from 1; 0 for metrics of the whole cell."""


def points_of(event: Event) -> list[Point]:
    """The metric points of an event. Infinity becomes NaN, because MLflow would turn it into 1.8e308."""
    step = 0
    metrics: Mapping[str, float] = {}
    match event:
        case EpochDone() | Diverged():
            step, metrics = event.epoch, event.metrics
        case Summarised():
            metrics = event.metrics
        case CostMeasured(cost=cost):
            metrics = {
                key: figure / 1e6
                for key, figure in (
                    ("cost/params_m", cost.params),
                    ("cost/flops_m", cost.flops),
                    ("cost/conv_linear_m", cost.conv_linear_macs),
                )
                if figure is not None
            }
    return [
        Point(key, value if math.isfinite(value) else math.nan, event.time_ms, step) for key, value in metrics.items()
    ]


def stored_points(events: Iterable[Event]) -> StoredPoints:
    """The points of events that the store has; of repeated steps the last value."""
    return {(point.key, point.step): point.value for event in events for point in points_of(event)}


def new_points(events: Iterable[Event], stored: StoredPoints) -> list[Point]:
    """The points of events that the store does not have yet; they are added to ``stored``.

    A resumed attempt repeats steps: with equal bits on a CPU, and within rounding on a GPU, where the later value is
    logged because it belongs to the final weights. The times of a summary differ in every attempt; the first is kept.
    """
    new = []
    for event in events:
        for point in points_of(event):
            place = point.key, point.step
            repeated = place in stored and (isinstance(event, Summarised) or _is_same(stored[place], point.value))
            if not repeated:
                stored[place] = point.value
                new.append(point)
    return new


def missing_points(events: Iterable[Event], steps: Mapping[str, set[int]]) -> list[Point]:
    """The points of events at steps of which the store has no point.

    Args:
        events: All events that were sent.
        steps: The steps at which the store has a point, by metric.
    """
    return [point for point in new_points(events, {}) if point.step not in steps.get(point.key, ())]


def _is_same(before: float, now: float) -> bool:
    return before == now or (math.isnan(before) and math.isnan(now))
