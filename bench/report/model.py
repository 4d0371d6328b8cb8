"""The one model of a results table, made by :mod:`bench.report.table` and read by every format.

The JSON format is these classes, field by field, so a field that is renamed here changes a public contract.
"""

from dataclasses import dataclass

from bench.values import State


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """Mean and sample standard deviation over seeds, in percent."""

    mean: float
    std: float | None
    """None for one seed."""
    n: int


@dataclass(frozen=True, kw_only=True)
class RunReference:
    """The run behind a number."""

    cell_id: str
    run_id: str
    """MLflow run, empty if there is none."""
    seed: int
    state: State
    commit: str
    device: str
    top1: float | None
    """Percent of test images, last epoch; None if the run has no valid accuracy."""
    top5: float | None
    stale: str = ""
    """What has changed since the run; see :class:`bench.values.Outcome`."""
    threads: int | None = None
    """CPU threads that it was computed with; None if it is not known."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table: a (model, schedule, recipe) over its seeds."""

    model: str
    label: str
    """``model`` plus whatever distinguishes it from similar rows, e.g. ``resnet18 (standard stem)``."""
    stem: str
    schedule: str
    state: str
    """``complete``, or the text shown instead of numbers: ``failed: oom``, ``running 41%``, ``missing``."""
    params: int | None
    flops: int | None
    input_size: int
    """Height and width in pixels."""
    top1: Statistic | None
    top5: Statistic | None
    note: str
    """A caveat about the row's numbers, e.g. counters that disagree; else empty."""
    stale: str
    """What has changed since the row's runs, e.g. ``torch changed from 2.14.0 to 2.15.0``; else empty."""
    runs: tuple[RunReference, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The results on one data set."""

    dataset: str
    title: str
    rows: tuple[Row, ...]
