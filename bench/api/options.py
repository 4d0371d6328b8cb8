"""What a run is told and what it returns: options, the caller's display, and the result.

Made by the command line and by :func:`bench.run`; read by the steps in :mod:`bench.api.run`.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import UsageError
from bench.scheduler.attempts import HANG_S, RunObserver
from bench.scheduler.devices import Machine
from bench.scheduler.loop import StopRequest
from bench.scheduler.plan import Selection
from bench.values import Outcome, Plan, Suite
from bench.workspace.paths import bench_home

if TYPE_CHECKING:
    from pathlib import Path

    from bench.datasets.published import Progress
    from bench.report.model import Table
    from bench.tracking import Store

DRAIN_S = 60.0
"""How long a run waits at its end for a store that takes nothing, before it gives up."""

WAIT_VARIABLE = "BENCH_STORE_WAIT"
"""Replaces :data:`DRAIN_S`, in seconds."""

Note = Callable[[str], None]
"""Takes a sentence for people."""
Display = Callable[[Plan], AbstractContextManager[RunObserver]]
"""Makes the observer of a plan, which is open while its cells run."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What ``bench run`` may be told besides suites. None of it is part of a cell's id."""

    filters: Sequence[str] = ()
    """``AXIS=GLOB``: only cells that match all of them."""
    select: Selection = "missing"
    """Which cells run: those without a result, ``all``, the ``failed`` or the ``stale`` ones too."""
    max_cells: int | None = None
    """Start no more cells than this."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``cuda:0,1``."""
    slots_per_device: int | None = None
    """Cells at a time on each device; None: measured."""
    keep_weights: Literal["last", "none"] = "last"
    download: bool = True
    """Whether missing data sets may be downloaded."""
    offline: bool = False
    """Keep the runs in their journals; needs no MLflow."""
    fail_fast: bool = False
    """Stop at the first failed cell."""
    hang_s: float = HANG_S
    """End a cell without a sign of life for this long, in seconds."""
    tracking_uri: str | None = None
    """MLflow store; None: the default one."""
    accept_stale: bool = False
    """Keep stale results knowingly: they are no longer stale, until something changes again."""

    def __post_init__(self) -> None:
        if self.offline and self.tracking_uri:
            raise UsageError("--offline writes to no store: leave --tracking-uri to bench sync")
        if self.accept_stale and self.select in ("all", "stale"):
            raise UsageError(
                "--accept-stale keeps the results that --rerun and --rerun-stale would make again: use one"
            )


def make_options(given: Mapping[str, Any]) -> RunOptions:
    """Options out of keyword arguments.

    Raises:
        UsageError: There is no such option; the valid ones are named.
    """
    valid = [field.name for field in fields(RunOptions)]
    if unknown := [name for name in given if name not in valid]:
        raise UsageError(f"unknown option {', '.join(unknown)}; valid: {', '.join(valid)}")
    return RunOptions(**given)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How the run of a suite ended."""

    plan: Plan
    outcomes: Mapping[str, Outcome]
    """By cell id, of every cell of the plan's suite that is known."""
    tables: "Sequence[Table]"
    store: "Store | None"
    """Where the runs are; None where they were kept in their journals."""
    problems: Sequence[str] = ()
    """What the store did not take, as sentences; the journals are kept."""

    @property
    def suite(self) -> Suite:
        """The suite, with the cells that were asked for."""
        return self.plan.suite

    @property
    def states(self) -> list[str]:
        """The state of each cell, in the suite's order."""
        known = self.outcomes
        return [known[cell.id].state if cell.id in known else "missing" for cell in self.suite.cells]

    def render(self, format_: str = "markdown") -> str:
        """The tables as text."""
        from bench.report.render import render

        return render(self.tables, format_, suites=[self.suite])

    def _repr_html_(self) -> str:
        """The tables in the cell of a notebook."""
        from bench.report.model import Report
        from bench.report.notebook import notebook_html

        return notebook_html([Report(tables=tuple(self.tables), suites=(self.suite,))])


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who runs suites: how progress is shown, where sentences go, and how the run is asked to stop."""

    display: Display
    note: Note = lambda _: None
    stop: StopRequest = field(default_factory=StopRequest)
    on_download: "Callable[[], AbstractContextManager[Progress | None]]" = nullcontext
    """Makes what shows the progress of downloads."""
    phase: Note = lambda _: None
    """Takes what is done now, before any cell runs: it holds until the next one, or until ``display`` opens."""


def check_options(suites: Sequence[Suite], options: RunOptions) -> Machine:
    """Refuse options that do not fit the machine or a suite, before anything is opened. Returns the machine.

    Raises:
        UsageError: They do not.
    """
    store_wait_s()
    for suite in suites:
        if suite.execution.timed and options.slots_per_device not in (None, 1):
            raise UsageError(
                f"--slots-per-device {options.slots_per_device}: {suite.path} says timed: true, so its cells share no "
                "device; leave one of them out"
            )
    machine = Machine.detect(options.device)
    check_home(bench_home())
    return machine


def store_wait_s() -> float:
    """How long a run waits for a store that takes nothing: BENCH_STORE_WAIT, else a minute.

    Raises:
        UsageError: The variable is no number of seconds.
    """
    text = os.environ.get(WAIT_VARIABLE) or str(DRAIN_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise UsageError(f"{WAIT_VARIABLE} must be a number of seconds, not {text!r}")
    return seconds


def check_home(home: "Path") -> None:
    """Refuse a BENCH_HOME that cannot be written, before anything trains.

    Raises:
        UsageError: It cannot be written.
    """
    import tempfile

    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            return
    except OSError as error:
        raise UsageError(f"BENCH_HOME {home} cannot be written: {error.strerror}; set it to another folder") from error
