"""The steps of ``bench run``: one suite after the other, each with the list of steps that :func:`run_suite` reads as.

Called by the command line and by :func:`bench.run`. It prints nothing: whoever calls passes in what shows the progress
(``display``) and what takes sentences (``note``). It is longer than other files so that all steps of a run stand
together, in their order.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.context import run_context
from bench.api.forwarding import drain, forwarding
from bench.api.job import Job, Layout, Needs, Sent
from bench.api.known import Known, accept_stale, known_outcomes
from bench.api.layout import lay_out
from bench.api.options import Caller, Note, RunOptions, RunResult, check_options
from bench.api.outcomes import open_store, select
from bench.api.prepare import check_augmentations, data_remarks, fetch_data, measure_costs, past_cells, prepare_data
from bench.api.publish import draw, drawing_folder, publish
from bench.api.run_predictions import predictions_here
from bench.api.several import SuiteFaults
from bench.catalog.labels import titles
from bench.datasets.prepared import data_key
from bench.errors import TrackingError
from bench.scheduler.attempts import RunContext
from bench.scheduler.estimates import duration, predicted, with_estimates
from bench.scheduler.loop import run_plan
from bench.scheduler.plan import cells_to_run, make_plan, merge_outcomes
from bench.text import counted
from bench.values import Outcome, Plan, Suite
from bench.workspace.cells import result_marks
from bench.workspace.locks import shared_use
from bench.workspace.paths import CellFolder, bench_home, data_home, devices_lock
from bench.workspace.requests import Measure

if TYPE_CHECKING:
    from bench.report.model import Report, Table
    from bench.scheduler.devices import Slot
    from bench.tracking import Store


def run_suites(
    suites: Sequence[Suite], options: RunOptions, caller: Caller, faults: SuiteFaults | None = None
) -> Iterator[RunResult]:
    """Run what is missing of suites, one after the other, and yield each result when its suite has ended.

    A suite that cannot be run keeps no other from running; neither does a store that goes away: the runs stay in their
    journals, and the result says so.

    Raises:
        UsageError: An option does not fit the machine or a suite.
        TrackingError: The store cannot be used when the first suite begins.
        DataError: Data that cells need is missing and cannot be downloaded.
        DiskError: BENCH_HOME cannot be written any more.
    """
    faults = faults or SuiteFaults(len(suites), caller.note)
    machine = check_options(suites, options)
    chosen = []
    for suite in suites:
        with faults.of(suite.path):
            chosen.append((suite, select(suite, options.filters)))
    store = None if options.offline or not chosen else open_store(options.tracking_uri)
    if store:
        chosen = [(whole, suite) for whole, suite in chosen if is_usable(store, whole, faults)]
    # read while the store is there: a later suite must not train what only the store knows to be complete
    early = [known_outcomes(store, suite) for _, suite in chosen] if len(chosen) > 1 else []
    first = True
    for number, (whole, suite) in enumerate(chosen):
        result = None
        caller.phase(f"{whole.name}: looking at the data and the results of {counted(len(suite.cells), 'cell')}")
        with faults.of(whole.path):
            known = (
                early[0] if early and first and number == 0 else known_now(store, suite, early[number:], caller.note)
            )
            if options.accept_stale:
                known = accept_stale(store, suite, known)
            job = Job(
                whole=whole,
                suite=suite,
                store=store,
                machine=machine,
                known=known,
                marks=result_marks(suite, bench_home()),
                first=first,
                options=options,
                caller=caller,
            )
            result = run_suite(job)
        if result:
            first = False
            yield result
        if caller.stop.signal:
            return
    faults.raise_all()


def is_usable(store: "Store", suite: Suite, faults: SuiteFaults) -> bool:
    """Whether a suite's runs can go to the store; not if its experiment was deleted there."""
    with faults.of(suite.path):
        store.refuse_deleted(suite.name)
        return True
    return False


def known_now(store: "Store | None", suite: Suite, early: Sequence[Known], note: Note) -> Known:
    """What is known of a suite's cells now; where the store has gone away since, what was known before.

    Args:
        store: The store.
        suite: The suite.
        early: What was known when the command began; empty for its only suite.
        note: Takes a sentence about a store that is away.

    Raises:
        TrackingError: The store cannot be read, and was not read before.
    """
    try:
        if store and early:
            store.check_answers()
        return known_outcomes(store, suite)
    except TrackingError as error:
        if not early:
            raise
        note(f"without the store: {error}")
        return early[0]


def run_suite(job: Job) -> RunResult:
    """The steps of a run, in order."""
    options = job.options
    cells = cells_to_run(job.suite, job.known.outcomes, select=options.select, max_cells=options.max_cells)
    waiting = replace(job.suite, cells=cells)
    needs = prepare(job, waiting) if waiting.cells else Needs({}, {})
    plan = plan_suite(job, needs)
    with devices(job) if plan.to_run else nullcontext():
        layout = lay_out(job, plan, needs)
        plan = with_estimates(plan, layout.seconds)
        sent = execute(job, plan, needs, layout)
    return conclude(job, plan, needs, sent)


def devices(job: Job) -> AbstractContextManager[None]:
    """Use the devices beside other runs, but not while speed is measured on them."""
    return shared_use(
        devices_lock(),
        stopped=lambda: bool(job.caller.stop.signal),
        waiting=lambda: job.caller.note(f"{job.whole.name}: waiting, because bench measure --speed uses the machine"),
    )


def prepare(job: Job, waiting: Suite) -> Needs:
    """Download and prepare the data of the cells that will run, while their nets are measured.

    Raises:
        DataError: Data is missing and cannot be downloaded, or is broken.
        UsageError: An augmentation does not fit its data set.
    """
    from bench.scheduler.launcher import end_workers
    from bench.scheduler.launcher import prepare as start_fork_server

    check_augmentations(waiting)  # before a download that would be of no use
    if job.store:
        with nullcontext() if job.first else suppress(TrackingError):  # the forwarder reports it at the end
            job.store.announce(job.whole)
    with job.caller.on_download() as on_progress:
        fetch_data(waiting, download=job.options.download, on_progress=on_progress)
    for remark in data_remarks(waiting):
        job.caller.note(remark)
    # torch and mlflow take seconds to import: both begin now, each on a core, and not for a run that is refused
    start_fork_server([cell.model for cell in waiting.cells])
    if job.store:
        with nullcontext() if job.first else suppress(TrackingError):  # the forwarder reports it at the end
            job.store.open_soon()
    keys = dict.fromkeys(data_key(cell) for cell in waiting.cells)
    nets = len({(cell.model, cell.recipe.stem, cell.recipe.input_size) for cell in waiting.cells})
    limit_s = min(job.options.hang_s, Measure.limit_s or job.options.hang_s)
    work = f"preparing {counted(len(keys), 'data set')}, measuring {counted(nets, 'net')}"
    job.caller.phase(f"{waiting.name}: {work} (at most {duration(limit_s)} each)")
    with ThreadPoolExecutor() as pool:
        measuring = pool.submit(measure_costs, waiting, limit_s)
        try:
            data = prepare_data(keys)
            costs, failures = measuring.result()
        except BaseException:
            end_workers()  # or the pool would wait for an answer that nothing will use
            raise
    return Needs(data, costs, failures)


def plan_suite(job: Job, needs: Needs) -> Plan:
    """The plan with costs and estimates; reports stale results, nets without a cost and surprising batches."""
    from bench.report.notes import batch_note

    plan = make_plan(
        job.suite,
        job.known.outcomes,
        needs.costs,
        failures=needs.failures,
        history=past_cells() if needs.data else (),
        select=job.options.select,
        max_cells=job.options.max_cells,
    )
    stale = [task.outcome.stale for task in plan.tasks if task.outcome.stale and not task.runs]
    if stale:
        reasons = "; ".join(dict.fromkeys(stale))
        advice = "--rerun-stale runs them again, --accept-stale keeps them"
        job.caller.note(f"{counted(len(stale), 'stale result')} ({reasons}); {advice}")
    cells = [task.cell for task in plan.to_run]
    batches = [(cell.dataset, batch_note(cell, needs.data[data_key(cell)].train_images)) for cell in cells]
    remarks = [f"{dataset}: {remark}" for dataset, remark in batches if remark]
    for problem in dict.fromkeys([*map(str, needs.failures.values()), *remarks]):
        job.caller.note(f"warning: {problem}")
    return plan


def execute(job: Job, plan: Plan, needs: Needs, layout: Layout) -> Sent:
    """Run the plan's cells while their journals are sent to the store.

    Raises:
        DiskError: BENCH_HOME cannot be written any more.
    """
    from bench.scheduler.launcher import LocalLauncher
    from bench.workspace.cells import keep_suite, unforwarded

    home = bench_home()
    keep_suite(job.whole, home)
    with forwarding(job.store, job.whole.name) as forwarder:
        deleted = {outcome.cell_id for outcome in job.known.outcomes.values() if outcome.kind == "deleted"}
        unsent = unforwarded(plan.suite, job.known.stored, home, deleted=deleted) if job.store else []
        for cell in unsent:
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
                titles=titles(job.whole.cells),
                modes=layout.modes,
                execution=job.whole.execution,
                results=job.marks,
                keep_weights=job.options.keep_weights,
                fail_fast=job.options.fail_fast,
                hang_s=job.options.hang_s,
            )
            with timed(plan, layout.slots, job.caller.note), job.caller.display(plan) as observer:
                run_plan(plan, context(observer=observer), job.caller.stop)
        return Sent(drain(forwarder, job.caller.note), bool(plan.to_run or unsent))


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
    note(
        f"{plan.suite.name}: {counted(waiting, 'cell')} to run{f' ({skipped})' if skipped else ''} on {where}{expected}"
    )
    began = time.monotonic()
    yield
    against = "" if seconds is None else f", predicted {duration(seconds)}"
    note(f"{plan.suite.name}: ran for {duration(time.monotonic() - began)}{against}")


def conclude(job: Job, plan: Plan, needs: Needs, sent: Sent) -> RunResult:
    """The outcomes and tables after the run; kept in the store if it has everything that they are made of."""
    from bench.report.table import build_tables

    problems = list(sent.problems)
    outcomes = job.known.outcomes
    if sent.any or job.suite is not job.whole:
        outcomes = outcomes_after(job, needs, problems)
    tables = build_tables(plan.suite, outcomes)
    if job.store and not problems:
        whole = tables if plan.suite is job.whole else build_tables(job.whole, outcomes)
        try:
            with drawing_folder() as folder:
                if sent.any:  # else the store has the pictures of these results
                    draw(report_of(job, whole, outcomes), Path(folder), job.caller.note)
                publish(job.store, job.whole, whole, bench_home(), plan, drawn=Path(folder))
        except TrackingError as error:
            problems.append(str(error))
    return RunResult(plan=plan, outcomes=outcomes, tables=tables, store=job.store, problems=problems)


def report_of(job: Job, tables: "Sequence[Table]", outcomes: Mapping[str, Outcome]) -> "Report":
    """The report that is drawn for the store."""
    from bench.report.model import Report
    from bench.tracking import redact

    return Report(
        tables=tuple(tables),
        suites=(job.whole,),
        home=bench_home(),
        charts=True,
        predictions=predictions_here(job.whole.cells, outcomes),
        store=redact(job.store.uri) if job.store else "",
    )


def outcomes_after(job: Job, needs: Needs, problems: list[str]) -> Mapping[str, Outcome]:
    """What is known after the run. A store that has gone away is added to ``problems``."""
    from bench.workspace.cells import local_outcomes

    if not problems:
        try:
            return known_outcomes(job.store, job.whole, needs.data).outcomes
        except TrackingError as error:
            problems.append(str(error))
    return merge_outcomes(job.known.stored, local_outcomes(job.suite, bench_home()))
