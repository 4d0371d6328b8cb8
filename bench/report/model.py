"""The one model of a results table, made by :mod:`bench.report.table` and read by every format.

The JSON format is these classes, field by field, so a field that is renamed here changes a public contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.values import NetSpeed, State, Suite

if TYPE_CHECKING:
    from bench.report.predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """Mean and sample standard deviation over seeds."""

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
    """Percent of test images, of the epoch that the table is about; None if the run has no valid accuracy."""
    top5: float | None
    seconds: float | None = None
    """Wall time of the run; None until it is complete."""
    mode: str = ""
    """How it was computed; the words of :class:`bench.values.Mode`."""
    stale: str = ""
    """What has changed since the run; see :class:`bench.values.Outcome`."""
    threads: int | None = None
    """CPU threads that it was computed with; None if it is not known."""
    best_top1: float | None = None
    """Percent of test images, of the best epoch on the test set."""
    test_loss: float | None = None
    images_per_s: float | None = None
    """Training images a second, evaluation and start-up excluded."""
    peak_mb: float | None = None
    """Peak memory of the device that trained, in megabytes."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table: a (model, schedule, recipe) over its seeds."""

    model: str
    name: str
    """``model``, marked where its stem is not the usual one, e.g. ``resnet18 (standard stem)``."""
    variant: str
    """What of its recipe differs from other rows of the table, e.g. ``8 epochs, lr 0.05``; empty if nothing does."""
    label: str
    """``name`` and ``variant``, e.g. ``resnet18 (8 epochs)``. Tells rows of one schedule apart."""
    stem: str
    schedule: str
    """The name that the suite gave it."""
    decay: str
    """Its kind and options, e.g. ``step(gamma=0.1, step_size=30)``."""
    recipe: Mapping[str, object]
    """Every key of the recipe and every option of its components, under the names of the MLflow params."""
    recipe_text: str
    """The recipe as the words under a table."""
    state: str
    """``complete``, or the text shown instead of numbers: ``failed: oom``, ``running 41%``, ``missing``."""
    params: int | None
    flops: int | None
    input_size: int
    """Height and width in pixels."""
    seconds: float | None
    """Mean wall time of its complete runs; None if there is none."""
    top1: Statistic | None
    top5: Statistic | None
    """None for data sets of five classes or fewer, too: there it says nothing."""
    best: Statistic | None = None
    """Top-1 of the best epoch on the test set: optimistic."""
    gap: Statistic | None = None
    """Best minus last top-1 of the same runs, in percentage points: what choosing an epoch on the test set gains."""
    loss: Statistic | None = None
    """Test loss of the last epoch."""
    images_per_s: Statistic | None = None
    peak_mb: Statistic | None = None
    ece: Statistic | None = None
    """Expected calibration error in percent, of the last epoch; None unless it was asked for."""
    note: str
    """A caveat about the row's numbers, e.g. counters that disagree; else empty."""
    stale: str
    """What has changed since the row's runs, e.g. ``torch changed from 2.14.0 to 2.15.0``; else empty."""
    runs: tuple[RunReference, ...]
    suite: str = ""
    """Name of the suite that it is of; of several, with commas."""
    speed: NetSpeed | None = None
    """How fast its net answers; None until ``bench measure --speed`` has measured that."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The results of one or several suites on one data set."""

    suite: str
    """Name of the suite; of several, with commas."""
    dataset: str
    title: str
    """Its heading. Within a report every table has another."""
    num_classes: int | None
    """None for a folder that is not here and whose runs do not say it."""
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How tables are laid out; it changes no figure. Formats for programs (JSON, CSV) ignore it.

    Made and checked by :func:`bench.report.layout.make_layout`.
    """

    columns: tuple[str, ...] = ()
    """Names of :data:`bench.report.columns.COLUMNS`; empty: those that the table needs. ``+name`` adds to these, and
    ``-name`` takes away."""
    sort: str = ""
    """The column that lines are sorted by; empty: the order of the suite."""
    descending: bool = False
    highlight: bool = False
    """The best of every column is bold."""
    pivot: Literal["", "dataset", "schedule"] = ""
    """What gets a column of results each, with one line per net; empty: every row is a line."""
    title: str = ""
    """Heading in place of the data set's name, or before it where there are several tables."""
    separate: bool = False
    """Every suite has tables of its own, even where several are about the same data set."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a format draws: tables, the suites that they are of, and how to lay them out."""

    tables: tuple[Table, ...]
    suites: tuple[Suite, ...]
    best: bool = False
    """Whether accuracies are those of each run's best epoch on the test set."""
    layout: Layout = field(default_factory=Layout)
    home: Path | None = None
    """The BENCH_HOME whose journals, logs and predictions a format may show; None: no file is read."""
    charts: bool = False
    """Whether a page has charts, which take seconds to draw."""
    predictions: "Mapping[str, Predictions]" = field(default_factory=dict)
    """Those that lie here, by cell id; empty for formats that do not show them."""
    store: str = ""
    """URI of the store, without credentials, for links to runs; empty if there is none."""
    against: "Against | None" = None
    """An older report to compare with."""


@dataclass(frozen=True, kw_only=True)
class Against:
    """An older report of the same suites."""

    path: str
    """Of its JSON, as the user named it."""
    report: Report
    partial: bool = False
    """Whether the newer report leaves out cells that were not asked for: a row that it lacks need not be gone."""
