"""``bench run``: from suite files to cells to tables."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bench.api import history, known_outcomes, load_suites, measured, packed, plan_entry, select
from bench.cli.options import all_overrides, json_option, max_images_option, required, suite_options, tracking_option
from bench.cli.output import note, write_output
from bench.cli.plan import show_plans
from bench.errors import DiskError, TrackingError, UsageError

if TYPE_CHECKING:
    from bench.datasets.prepared import Prepared
    from bench.scheduler.devices import Slot
    from bench.scheduler.loop import StopRequest
    from bench.scheduler.plan import Selection
    from bench.tracking import Forwarder, Store
    from bench.values import Cell, DataKey, Mode, Outcome, Plan, Suite
    from bench.workspace.paths import CellFolder

SHORT_S, DRAIN_S = 5.0, 60.0
"""How long a run waits at its end for the store to take everything, before it says so and before it gives up."""


@click.command()
@suite_options
@max_images_option
@tracking_option
@json_option
@click.option("--rerun", "select_cells", flag_value="all", help="Run complete cells again.")
@click.option("--rerun-stale", "select_cells", flag_value="stale", help="Run complete cells again that are stale.")
@click.option("--retry-failed", "select_cells", flag_value="failed", help="Run only the cells that failed.")
@click.option("--max-cells", type=click.IntRange(min=0), help="Start no more cells than this.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:0,1.")
@click.option("--slots-per-device", type=click.IntRange(min=1), help="Cells at a time on each device.")
@click.option("--keep-weights", type=click.Choice(["last", "none"]), default="last", show_default=True)
@click.option("--no-download", is_flag=True, help="Never fetch a data set.")
@click.option("--offline", is_flag=True, help="Keep the runs in their journals, for bench sync; needs no MLflow.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failed cell.")
@click.option(
    "--hang-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End a cell that shows no sign of life for this long.  [default: 900]",
)
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
def run(
    paths: Sequence[str],
    filters: Sequence[str],
    overrides: Sequence[str],
    max_images_per_class: int | None,
    tracking_uri: str | None,
    as_json: bool,
    select_cells: "Selection | None",
    max_cells: int | None,
    device: str,
    slots_per_device: int | None,
    keep_weights: Literal["last", "none"],
    no_download: bool,
    offline: bool,
    fail_fast: bool,
    hang_timeout: float | None,
    dry_run: bool,
) -> None:
    """Run what is missing of suites and print their tables.

    Complete cells are skipped, interrupted ones go on where they stopped, failed ones are tried again. Ctrl-C saves
    the running cells; the same command goes on. Exit code: 0 all complete, 1 a cell failed, 2 a file or an option is
    wrong, 3 the store, the data or the disk cannot be used.
    """
    from bench.scheduler.attempts import HANG_S
    from bench.scheduler.devices import find_slots
    from bench.scheduler.loop import StopRequest

    if offline and tracking_uri:
        raise UsageError("--offline writes to no store: leave --tracking-uri to bench sync")
    suites = [
        (suite, select(suite, filters))
        for suite in load_suites(required(paths), all_overrides(overrides, max_images_per_class))
    ]
    for suite, _ in suites:
        if suite.execution.timed and slots_per_device not in (None, 1):
            raise UsageError(
                f"--slots-per-device {slots_per_device}: {suite.path} says timed: true, so its cells share no device; "
                "leave one of them out"
            )
    find_slots(device, per_device=slots_per_device, cells=1)  # a wrong --device is said before anything is opened
    chosen_cells = select_cells or "missing"
    if dry_run:
        show_plans([chosen for _, chosen in suites], tracking_uri, as_json, chosen_cells, max_cells, offline=offline)
        return
    stop = StopRequest()
    states: list[str] = []
    for suite, chosen in suites:
        store = None if offline else open_store(tracking_uri)
        session = open_session(
            suite, chosen, store, download=not no_download, select_cells=chosen_cells, max_cells=max_cells
        )
        slots, modes = lay_out(session, device, slots_per_device)
        problems = session.run(slots, modes, keep_weights, fail_fast, hang_timeout or HANG_S, stop)
        outcomes = session.finish(as_json, whole=not problems)
        if problems:
            raise TrackingError("\n".join(problems))
        states += [outcomes[cell.id].state if cell.id in outcomes else "missing" for cell in chosen.cells]
        if stop.signal:
            note("interrupted; the same command goes on where it stopped")
            raise SystemExit(128 + stop.signal)
    raise SystemExit(1 if {"failed", "interrupted"} & set(states) else 0)


@contextmanager
def signals_to(stop: "StopRequest") -> Iterator[None]:
    """Turn SIGINT, SIGTERM and a closed terminal into a request that the loop reads, while cells run."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it, and is meant
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Session:
    """One suite of a ``bench run``: everything that is open for it."""

    def __init__(
        self,
        suite: "Suite",
        store: "Store | None",
        plan: "Plan",
        stored: "Mapping[str, Outcome]",
        data: "Mapping[DataKey, Prepared]",
    ) -> None:
        self.suite, self.store, self.plan, self.stored, self.data = suite, store, plan, stored, data

    def run(
        self,
        slots: "list[Slot]",
        modes: "Mapping[str, Mode]",
        keep_weights: Literal["last", "none"],
        fail_fast: bool,
        hang_s: float,
        stop: "StopRequest",
    ) -> list[str]:
        """Run the plan's cells. Returns what the store did not take, as sentences.

        Raises:
            DiskError: BENCH_HOME cannot be written any more.
        """
        from bench.cli.progress import duration, make_progress
        from bench.scheduler.attempts import RunContext
        from bench.scheduler.estimates import predicted
        from bench.scheduler.launcher import LocalLauncher
        from bench.scheduler.loop import run_plan
        from bench.workspace.cells import keep_suite, unforwarded
        from bench.workspace.paths import CellFolder, bench_home, data_home

        home = bench_home()
        keep_suite(self.suite, home)
        forwarder = make_forwarder(self.store, self.suite)
        try:
            if self.store:
                for cell in unforwarded(self.plan.suite, self.stored, home):
                    forwarder.watch(cell, CellFolder.of(home, cell.id))
            if waiting := len(self.plan.to_run):
                skipped = len(self.plan.tasks) - waiting
                others = f" ({skipped} others are left as they are)" if skipped else ""
                seconds = predicted(self.plan, len(slots))
                expected = "" if seconds is None else f", about {duration(seconds)}"
                where = ", ".join(slot.name for slot in slots)
                note(f"{self.suite.name}: {waiting} cells to run{others} on {where}{expected}")
                began = time.monotonic()
                with make_progress(self.plan) as progress, signals_to(stop):
                    setting = RunContext(
                        suite=self.suite.name,
                        launcher=LocalLauncher(),
                        slots=slots,
                        forwarder=forwarder,
                        observer=progress,
                        home=home,
                        data_home=data_home(),
                        digests={key: each.digest for key, each in self.data.items()},
                        data_folders={key: each.folder for key, each in self.data.items()},
                        context=run_context(),
                        modes=modes,
                        execution=self.suite.execution,
                        keep_weights=keep_weights,
                        fail_fast=fail_fast,
                        hang_s=hang_s,
                    )
                    run_plan(self.plan, setting, stop)
                against = "" if seconds is None else f", predicted {duration(seconds)}"
                note(f"{self.suite.name}: ran for {duration(time.monotonic() - began)}{against}")
            return drain(forwarder)
        except DiskError:
            forwarder.drain(SHORT_S)
            raise
        finally:
            forwarder.close()

    def finish(self, as_json: bool, *, whole: bool) -> "Mapping[str, Outcome]":
        """Print the tables, and keep them in the store if it has everything that they are made of."""
        from bench.report.render import render
        from bench.report.table import build_tables
        from bench.scheduler.plan import merge_outcomes
        from bench.workspace.cells import local_outcomes
        from bench.workspace.paths import bench_home

        if whole:
            outcomes = known_outcomes(self.store, self.suite, self.data)[1]
        else:
            outcomes = merge_outcomes(self.stored, local_outcomes(self.suite, bench_home()))
        shown = build_tables(self.plan.suite, outcomes)
        write_output(render(shown, "json" if as_json else "markdown", suite=self.plan.suite), None)
        if self.store and whole:
            publish(self.store, self.suite, outcomes, bench_home(), self.plan)
        note(f"table again: bench report {self.suite.path}")
        note("browse:      bench ui" if self.store else "into MLflow: bench sync")
        return outcomes


def publish(
    store: "Store", suite: "Suite", outcomes: "Mapping[str, Outcome]", home: Path, plan: "Plan | None" = None
) -> None:
    """Keep a suite's tables, file and the curves of its cells below a BENCH_HOME in its own run.

    Raises:
        TrackingError: The store takes no more.
    """
    from bench.report.render import render
    from bench.report.table import build_tables
    from bench.workspace.cells import curves

    tables = build_tables(suite, outcomes)
    markdown = render(tables, "markdown", suite=suite)
    files = {
        "suite.yaml": suite.source,
        "tables.md": markdown,
        "tables.json": render(tables, "json", suite=suite),
        "tables.csv": render(tables, "csv", suite=suite),
        "curves.csv": curves(suite, home),
    }
    if plan:
        files["plan.json"] = json.dumps([plan_entry(task, {}) for task in plan.tasks], indent=1)
    store.publish(suite, markdown=markdown, files=files)


class NoForwarder:
    """Stands in for the forwarder where there is no store: the journals are kept, and that is all."""

    def watch(self, cell: "Cell", folder: "CellFolder") -> None:
        """Nothing is sent."""

    def drain(self, timeout_s: float) -> list[str]:  # noqa: ARG002 - the forwarder's
        """Nothing is owed to anybody."""
        return []

    def close(self) -> None:
        """Nothing is open."""


def make_forwarder(store: "Store | None", suite: "Suite") -> "Forwarder | NoForwarder":
    """What takes journals to the store, where there is one."""
    if store is None:
        return NoForwarder()
    from bench.tracking import Forwarder

    return Forwarder(store, suite.name, live=True)


def drain(forwarder: "Forwarder | NoForwarder") -> list[str]:
    """Wait until the store has everything, and say so where that takes long. Returns what it did not take."""
    if not forwarder.drain(SHORT_S):
        return []
    note(f"waiting up to {DRAIN_S:.0f} s for the store (Ctrl-C leaves; the journals are kept)")
    return forwarder.drain(DRAIN_S)


def open_store(tracking_uri: str | None) -> "Store":
    """The store in use, made where there is none.

    Raises:
        TrackingError: It cannot be used.
    """
    from bench.tracking import Store, resolve_uri

    return Store(resolve_uri(tracking_uri, Path.cwd()))


def open_session(
    suite: "Suite",
    chosen: "Suite",
    store: "Store | None",
    *,
    download: bool,
    select_cells: "Selection",
    max_cells: int | None,
) -> Session:
    """Plan, and bring, pack and measure what the cells that will run need.

    Raises:
        TrackingError: The store cannot be used.
        DataError: Data that the cells need is not here and cannot be fetched.
    """
    from bench.datasets.prepared import data_key
    from bench.scheduler.launcher import end_workers, prepare
    from bench.scheduler.plan import make_plan
    from bench.workspace.paths import bench_home

    check_home(bench_home())
    stored, outcomes = known_outcomes(store, chosen)
    plan = make_plan(chosen, outcomes, {}, select=select_cells, max_cells=max_cells)
    say_stale(plan)
    if not plan.to_run:
        return Session(suite, store, plan, stored, {})
    waiting = replace(chosen, cells=tuple(task.cell for task in plan.to_run))
    fetch_data(waiting, download=download)
    check_augmentations(waiting)
    # torch and mlflow take seconds to import: both begin now, each on a core, and not for a run that is refused
    prepare([cell.model for cell in waiting.cells])
    if store:
        store.open_soon()
    with ThreadPoolExecutor() as pool:
        measuring = pool.submit(measured, waiting)
        try:
            data = packed(dict.fromkeys(data_key(cell) for cell in waiting.cells))
            costs, errors = measuring.result()
        except BaseException:
            end_workers()  # or the pool would wait for an answer that nobody wants
            raise
    plan = make_plan(chosen, outcomes, costs, history=history(), select=select_cells, max_cells=max_cells)
    for reason in dict.fromkeys(errors.values()):
        note(f"warning: {reason}")
    return Session(suite, store, plan, stored, data)


def lay_out(session: Session, device: str, slots_per_device: int | None) -> "tuple[list[Slot], Mapping[str, Mode]]":
    """Divide the machine for the cells that will run: the slots, and how each cell is computed, by cell id."""
    from bench.datasets.prepared import data_key
    from bench.scheduler.devices import find_slots
    from bench.scheduler.estimates import with_estimates
    from bench.scheduler.modes import MAX_ON_A_GPU
    from bench.scheduler.tuning import TuningRequest, tune
    from bench.workspace.paths import speeds_file

    waiting = session.plan.to_run
    if not waiting:
        return [], {}
    cells = [task.cell for task in waiting]
    images = {
        task.cell.id: max(0, task.cell.recipe.epochs - task.outcome.epochs_done)
        * session.data[data_key(task.cell)].train_images
        for task in waiting
    }
    if session.suite.execution.timed:
        slots_per_device = 1
    whole = find_slots(device, per_device=1, cells=len(cells))
    default = find_slots(device, per_device=slots_per_device, cells=len(cells))
    request = TuningRequest(
        cells=cells,
        images=images,
        classes={cell.id: session.data[data_key(cell)].num_classes for cell in cells},
        slot=whole[0],
        devices=len(whole),
        execution=session.suite.execution,
        cache=speeds_file(),
        max_concurrency=len(default) if whole[0].device == "cpu" else min(MAX_ON_A_GPU, -(-len(cells) // len(whole))),
        concurrency=slots_per_device,
    )
    allocation = tune(request, note=note)
    if allocation is None:
        return default, {}
    session.plan = with_estimates(session.plan, allocation.seconds)
    return find_slots(device, per_device=allocation.concurrency, cells=len(cells)), allocation.modes


def say_stale(plan: "Plan") -> None:
    """Say which results no longer fit and are left as they are."""
    stale = [task.outcome.stale for task in plan.tasks if task.outcome.stale and not task.runs]
    if stale:
        note(f"{len(stale)} results are stale ({'; '.join(dict.fromkeys(stale))}); --rerun-stale runs them again")


def check_home(home: Path) -> None:
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
        raise UsageError(f"BENCH_HOME {home} cannot be written: {error.strerror}; name another folder") from error


def fetch_data(suite: "Suite", *, download: bool) -> None:
    """Fetch the data sets that are not here.

    Raises:
        DataError: Something cannot be had; every such data set is named.
    """
    from bench.cli.data import show_progress
    from bench.datasets.source import require
    from bench.workspace.paths import data_home

    names = list(dict.fromkeys(cell.dataset for cell in suite.cells))
    whole = {cell.dataset for cell in suite.cells if cell.recipe.max_images_per_class is None}
    with show_progress() as on_progress:
        require(names, data_home(), download=download, on_progress=on_progress, partly=set(names) - whole)


def check_augmentations(suite: "Suite") -> None:
    """Refuse augmentations that cannot be done on the data sets that they are asked for, before anything is decoded.

    Raises:
        UsageError: There are some; each is named once.
    """
    from bench.datasets.prepared import augmentation_problem

    asked = {(cell.dataset, cell.recipe.input_size, cell.recipe.augment): cell for cell in suite.cells}
    if problems := [problem for cell in asked.values() if (problem := augmentation_problem(cell))]:
        raise UsageError("\n".join(f"{suite.path}: {problem}" for problem in dict.fromkeys(problems)))


def run_context() -> dict[str, str]:
    """What every run of this invocation is tagged with: process, user and, in a git work tree, the commit."""
    import getpass

    from bench.workspace.host import process_tags
    from bench.workspace.journal import COMMIT_TAG

    context = {**process_tags(), "mlflow.source.name": "bench run", "mlflow.source.type": "LOCAL"}
    try:
        context["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):
        context["mlflow.user"] = "unknown"
    git = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return context
    if found.returncode == 0:
        context[COMMIT_TAG] = found.stdout.strip()
    return context
