"""report.model."""

from dataclasses import dataclass

from bench.values import State


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """Mean and sample standard deviation over seeds; ``std`` is None for one seed."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class RunReference:
    """The run behind a number."""

    cell_id: str
    run_id: str
    seed: int
    state: State
    commit: str
    device: str
    top1: float | None
    top5: float | None
    stale: str = ""
    """What has changed since; see :class:`Outcome`."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table: a (model, schedule, recipe) over its seeds."""

    model: str
    label: str
    """``model`` plus what tells it from its neighbours, e.g. ``resnet18 (standard stem)``."""
    stem: str
    schedule: str
    state: str
    """``complete``, or what is shown instead of numbers: ``failed: oom``, ``running 41%``, ``missing``."""
    params: int | None
    flops: int | None
    input_size: int
    top1: Statistic | None
    top5: Statistic | None
    note: str
    """What a reader must know of this row's figures, e.g. counters that disagree; else empty."""
    stale: str
    """What has changed since its figures were made, e.g. ``torch changed from 2.14.0 to 2.15.0``; else empty."""
    runs: tuple[RunReference, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The results on one data set."""

    dataset: str
    title: str
    rows: tuple[Row, ...]
