"""The steps of ``bench run``: one suite after the other, each with the list of steps that :func:`run_suite` reads as.

Called by the command line and by :func:`bench.run`. It prints nothing: whoever calls passes in what shows the progress
(``display``) and what takes sentences (``note``).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bench.api.context import run_context
from bench.api.forwarding import drain, forwarding
from bench.api.outcomes import Known, known_outcomes, open_store, select
from bench.api.prepare import check_augmentations, fetch_data, measure_costs, past_cells, prepare_data
from bench.api.publish import publish
from bench.datasets.prepared import data_key
from bench.errors import TrackingError, UsageError
from bench.scheduler import plan as planning
from bench.scheduler.attempts import HANG_S, RunContext, RunObserver
from bench.scheduler.estimates import duration, predicted, with_estimates
from bench.scheduler.loop import StopRequest, run_plan
from bench.scheduler.plan import Selection
from bench.values import Mode, Outcome, Plan, Suite
from bench.workspace.paths import CellFolder, bench_home, data_home

if TYPE_CHECKING:
    from pathlib import Path

    from bench.datasets.prepared import Prepared
    from bench.datasets.published import Progress
    from bench.report.model import Table
    from bench.scheduler.devices import Slot
    from bench.tracking import Store
    from bench.values import Cost, DataKey

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

    def __post_init__(self) -> None:
        if self.offline and self.tracking_uri:
            raise UsageError("--offline writes to no store: leave --tracking-uri to bench sync")


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

        return render(self.tables, format_, suite=self.suite)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who runs suites: how progress is shown, where sentences go, and how the run is asked to stop."""

    display: Display
    note: Note = lambda _: None
    stop: StopRequest = field(default_factory=StopRequest)
    on_download: "Callable[[], AbstractContextManager[Progress | None]]" = nullcontext
    """Makes what shows the progress of downloads."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """The run of one suite: what stays the same through its steps."""

    whole: Suite
    suite: Suite
    """``whole`` with the cells that were asked for."""
    store: "Store | None"
    known: Known
    options: RunOptions
    caller: Caller


class Needs(NamedTuple):
    """What the cells that will run need."""

    data: "Mapping[DataKey, Prepared]"
    costs: "Mapping[str, Cost]"
    """By cell id."""
    problems: Sequence[str] = ()
    """Why nets could not be measured."""


class Layout(NamedTuple):
    """How the machine is divided."""

    slots: "list[Slot]"
    modes: Mapping[str, Mode]
    """By cell id; the other cells get the default."""
    seconds: Mapping[str, float]
    """Predicted training time by cell id, where speeds were measured."""


def run_suites(suites: Sequence[Suite], options: RunOptions, caller: Caller) -> Iterator[RunResult]:
    """Run what is missing of suites, one after the other, and yield each result when its suite has ended.

    A store that goes away keeps no later suite from running: its runs stay in their journals, and the result says so.

    Raises:
        UsageError: An option does not fit the machine or a suite.
        TrackingError: The store cannot be used when the first suite begins.
        DataError: Data that cells need is missing and cannot be downloaded.
        DiskError: BENCH_HOME cannot be written any more.
    """
    check_options(suites, options)
    store = None if options.offline else open_store(options.tracking_uri)
    chosen = [select(suite, options.filters) for suite in suites]
    # read while the store is there: a later suite must not train what only the store knows to be complete
    early = [known_outcomes(store, suite) for suite in chosen] if len(chosen) > 1 else []
    for number, (whole, suite) in enumerate(zip(suites, chosen, strict=True)):
        try:
            known = early[0] if early and number == 0 else known_outcomes(store, suite)
        except TrackingError as error:
            if number == 0:
                raise
            caller.note(f"without the store: {error}")
            known = early[number]
        yield run_suite(Job(whole=whole, suite=suite, store=store, known=known, options=options, caller=caller))
        if caller.stop.signal:
            return


def run_suite(job: Job) -> RunResult:
    """The steps of a run, in order."""
    waiting = cells_to_run(job)
    needs = prepare(job, waiting) if waiting.cells else Needs({}, {})
    plan = make_plan(job, needs)
    layout = lay_out(job, plan, needs)
    plan = with_estimates(plan, layout.seconds)
    problems = execute(job, plan, needs, layout)
    return conclude(job, plan, needs, problems)


def check_options(suites: Sequence[Suite], options: RunOptions) -> None:
    """Refuse options that do not fit the machine or a suite, before anything is opened.

    Raises:
        UsageError: They do not.
    """
    from bench.scheduler.devices import find_slots
    from bench.workspace.paths import bench_home

    for suite in suites:
        if suite.execution.timed and options.slots_per_device not in (None, 1):
            raise UsageError(
                f"--slots-per-device {options.slots_per_device}: {suite.path} says timed: true, so its cells share no "
                "device; leave one of them out"
            )
    find_slots(options.device, per_device=options.slots_per_device, cells=1)
    check_home(bench_home())


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


def cells_to_run(job: Job) -> Suite:
    """The suite with only the cells that will run."""
    options = job.options
    tasks = planning.make_plan(
        job.suite, job.known.outcomes, {}, select=options.select, max_cells=options.max_cells
    ).to_run
    return replace(job.suite, cells=tuple(task.cell for task in tasks))


def prepare(job: Job, waiting: Suite) -> Needs:
    """Download and prepare the data of the cells that will run, while their nets are measured.

    Raises:
        DataError: Data is missing and cannot be downloaded, or is broken.
        UsageError: An augmentation does not fit its data set.
    """
    from bench.scheduler.launcher import end_workers
    from bench.scheduler.launcher import prepare as start_fork_server

    with job.caller.on_download() as on_progress:
        fetch_data(waiting, download=job.options.download, on_progress=on_progress)
    check_augmentations(waiting)
    # torch and mlflow take seconds to import: both begin now, each on a core, and not for a run that is refused
    start_fork_server([cell.model for cell in waiting.cells])
    if job.store:
        job.store.open_soon()
    with ThreadPoolExecutor() as pool:
        measuring = pool.submit(measure_costs, waiting)
        try:
            data = prepare_data(dict.fromkeys(data_key(cell) for cell in waiting.cells))
            costs, problems = measuring.result()
        except BaseException:
            end_workers()  # or the pool would wait for an answer that nothing will use
            raise
    return Needs(data, costs, list(dict.fromkeys(problems.values())))


def make_plan(job: Job, needs: Needs) -> Plan:
    """The plan with costs and estimates; reports stale results and nets that could not be measured."""
    plan = planning.make_plan(
        job.suite,
        job.known.outcomes,
        needs.costs,
        history=past_cells() if needs.data else (),
        select=job.options.select,
        max_cells=job.options.max_cells,
    )
    stale = [task.outcome.stale for task in plan.tasks if task.outcome.stale and not task.runs]
    if stale:
        reasons = "; ".join(dict.fromkeys(stale))
        job.caller.note(f"{len(stale)} results are stale ({reasons}); --rerun-stale runs them again")
    for problem in needs.problems:
        job.caller.note(f"warning: {problem}")
    return plan


def lay_out(job: Job, plan: Plan, needs: Needs) -> Layout:
    """Divide the machine for the cells that will run, and choose each cell's mode from measured speeds."""
    from bench.scheduler.devices import find_slots
    from bench.scheduler.modes import MAX_ON_A_GPU
    from bench.scheduler.tuning import TuningRequest, tune
    from bench.workspace.paths import speeds_file

    if not plan.to_run:
        return Layout([], {}, {})
    cells = [task.cell for task in plan.to_run]
    images = {
        task.cell.id: max(0, task.cell.recipe.epochs - task.outcome.epochs_done)
        * needs.data[data_key(task.cell)].train_images
        for task in plan.to_run
    }
    execution, device = job.whole.execution, job.options.device
    per_device = 1 if execution.timed else job.options.slots_per_device
    whole = find_slots(device, per_device=1, cells=len(cells))
    default = find_slots(device, per_device=per_device, cells=len(cells))
    request = TuningRequest(
        cells=cells,
        images=images,
        classes={cell.id: needs.data[data_key(cell)].num_classes for cell in cells},
        slot=whole[0],
        devices=len(whole),
        execution=execution,
        cache=speeds_file(),
        max_concurrency=len(default) if whole[0].device == "cpu" else min(MAX_ON_A_GPU, -(-len(cells) // len(whole))),
        concurrency=per_device,
    )
    allocation = tune(request, note=job.caller.note)
    if allocation is None:
        return Layout(default, {}, {})
    slots = find_slots(device, per_device=allocation.concurrency, cells=len(cells))
    return Layout(slots, allocation.modes, allocation.seconds)


def execute(job: Job, plan: Plan, needs: Needs, layout: Layout) -> list[str]:
    """Run the plan's cells while their journals are sent to the store. Returns what the store did not take.

    Raises:
        DiskError: BENCH_HOME cannot be written any more.
    """
    from bench.scheduler.launcher import LocalLauncher
    from bench.workspace.cells import keep_suite, unforwarded

    home = bench_home()
    keep_suite(job.whole, home)
    with forwarding(job.store, job.whole.name) as forwarder:
        if job.store:
            for cell in unforwarded(plan.suite, job.known.stored, home):
                forwarder.watch(cell, CellFolder.of(home, cell.id))
        if plan.to_run:
            context = partial(
                RunContext,
                suite=job.whole.name,
                launcher=LocalLauncher(),
                slots=layout.slots,
                forwarder=forwarder,
                home=home,
                data_home=data_home(),
                digests={key: data.digest for key, data in needs.data.items()},
                data_folders={key: data.folder for key, data in needs.data.items()},
                context=run_context(),
                modes=layout.modes,
                execution=job.whole.execution,
                keep_weights=job.options.keep_weights,
                fail_fast=job.options.fail_fast,
                hang_s=job.options.hang_s,
            )
            with timed(plan, layout.slots, job.caller.note), job.caller.display(plan) as observer:
                run_plan(plan, context(observer=observer), job.caller.stop)
        return drain(forwarder, job.caller.note)


@contextmanager
def timed(plan: Plan, slots: "list[Slot]", note: Note) -> Iterator[None]:
    """Report before and after how long the cells are expected to take, and took."""
    waiting = len(plan.to_run)
    states = Counter(task.outcome.state for task in plan.tasks if not task.runs)
    skipped = ", ".join(
        f"{count} already {state}" if state == "complete" else f"{count} {state} not asked for"
        for state, count in states.items()
    )
    seconds = predicted(plan, len(slots))
    expected = "" if seconds is None else f", about {duration(seconds)}"
    where = ", ".join(slot.name for slot in slots)
    note(f"{plan.suite.name}: {waiting} cells to run{f' ({skipped})' if skipped else ''} on {where}{expected}")
    began = time.monotonic()
    yield
    against = "" if seconds is None else f", predicted {duration(seconds)}"
    note(f"{plan.suite.name}: ran for {duration(time.monotonic() - began)}{against}")


def conclude(job: Job, plan: Plan, needs: Needs, problems: list[str]) -> RunResult:
    """The outcomes and tables after the run; kept in the store if it has everything that they are made of."""
    from bench.report.table import build_tables
    from bench.workspace.cells import local_outcomes

    if problems:
        outcomes: Mapping[str, Outcome] = planning.merge_outcomes(
            job.known.stored, local_outcomes(job.suite, bench_home())
        )
    else:
        outcomes = known_outcomes(job.store, job.whole, needs.data).outcomes
    tables = build_tables(plan.suite, outcomes)
    result = RunResult(plan=plan, outcomes=outcomes, tables=tables, store=job.store, problems=problems)
    if job.store and not problems:
        publish(job.store, job.whole, outcomes, bench_home(), plan)
    return result
