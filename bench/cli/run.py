"""``bench run``: from suite files to cells to tables."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bench.cli.common import (
    json_option,
    known_outcomes,
    load_suites,
    note,
    required,
    select,
    suite_options,
    tracking_option,
    write_output,
)
from bench.cli.plan import history, measured, plan_entry, show_plans
from bench.errors import DataError, StoreError, UsageError

if TYPE_CHECKING:
    from bench.devices import Slot
    from bench.run import StopRequest
    from bench.tracking import Store
    from bench.values import Outcome, Plan, Suite

DRAIN_S = 120.0
"""How long a run waits at its end for the store to take everything."""


@click.command()
@suite_options
@tracking_option
@json_option
@click.option("--rerun", is_flag=True, help="Run complete cells again.")
@click.option("--max-cells", type=click.IntRange(min=0), help="Start no more cells than this.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:0,1.")
@click.option("--slots-per-device", type=click.IntRange(min=1), help="Cells at a time on each device.")
@click.option("--keep-weights", type=click.Choice(["last", "none"]), default="last", show_default=True)
@click.option("--no-download", is_flag=True, help="Never fetch a data set.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failed cell.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
def run(
    paths: Sequence[str],
    filters: Sequence[str],
    overrides: Sequence[str],
    tracking_uri: str | None,
    as_json: bool,
    rerun: bool,
    max_cells: int | None,
    device: str,
    slots_per_device: int | None,
    keep_weights: Literal["last", "none"],
    no_download: bool,
    fail_fast: bool,
    dry_run: bool,
) -> None:
    """Run what is missing of suites and print their tables.

    Complete cells are skipped, interrupted ones go on where they stopped, failed ones are tried again. Ctrl-C saves
    the running cells; the same command goes on. Exit code: 0 all complete, 1 a cell failed, 2 a file or an option is
    wrong, 3 the store or the data cannot be used.
    """
    from bench.devices import find_slots
    from bench.run import StopRequest

    suites = [(suite, select(suite, filters)) for suite in load_suites(required(paths), overrides)]
    find_slots(device, per_device=slots_per_device, cells=1)  # a wrong --device is said before anything is opened
    if dry_run:
        show_plans([chosen for _, chosen in suites], tracking_uri, as_json, rerun, max_cells)
        return
    stop = StopRequest()
    states: list[str] = []
    for suite, chosen in suites:
        session = open_session(suite, chosen, tracking_uri, download=not no_download, rerun=rerun, max_cells=max_cells)
        slots = find_slots(device, per_device=slots_per_device, cells=max(1, len(session.plan.to_run)))
        if errors := session.run(slots, keep_weights, fail_fast, stop):
            raise StoreError("; ".join(errors))
        outcomes = session.finish(as_json)
        states += [outcomes[cell.id].state if cell.id in outcomes else "missing" for cell in chosen.cells]
        if stop.signal:
            note("interrupted; the same command goes on where it stopped")
            raise SystemExit(128 + stop.signal)
    raise SystemExit(1 if "failed" in states else 0)


@contextmanager
def signals_to(stop: "StopRequest") -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a request that the loop reads, while cells run."""
    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Session:
    """One suite of a ``bench run``: everything that is open for it."""

    def __init__(self, suite: "Suite", store: "Store", plan: "Plan", stored: "Mapping[str, Outcome]") -> None:
        self.suite, self.store, self.plan, self.stored = suite, store, plan, stored
        self.context = run_context()

    def run(
        self, slots: "list[Slot]", keep_weights: Literal["last", "none"], fail_fast: bool, stop: "StopRequest"
    ) -> list[str]:
        """Run the plan's cells. Returns what the store did not take, as sentences."""
        from bench.launch import LocalLauncher
        from bench.paths import CellFolder, bench_home, data_home
        from bench.progress import make_progress
        from bench.run import Setting, run_plan, unforwarded
        from bench.tracking import Forwarder

        home = bench_home()
        forwarder = Forwarder(self.store, self.suite, self.context)
        try:
            for cell in unforwarded(self.plan.suite, self.stored, home):
                forwarder.watch(cell, CellFolder.of(home, cell.id))
            if waiting := len(self.plan.to_run):
                skipped = len(self.plan.tasks) - waiting
                already = f" ({skipped} already complete)" if skipped else ""
                note(f"{self.suite.name}: {waiting} cells to run{already} on {', '.join(slot.name for slot in slots)}")
                with make_progress(self.plan) as progress, signals_to(stop):
                    setting = Setting(
                        launcher=LocalLauncher(),
                        slots=slots,
                        forwarder=forwarder,
                        watcher=progress,
                        home=home,
                        data_home=data_home(),
                        keep_weights=keep_weights,
                        fail_fast=fail_fast,
                    )
                    run_plan(self.plan, setting, stop)
            return forwarder.drain(DRAIN_S)
        finally:
            forwarder.close()

    def finish(self, as_json: bool) -> "Mapping[str, Outcome]":
        """Render the tables from the store, keep them there, and print them."""
        from bench.paths import bench_home
        from bench.report.render import render
        from bench.report.table import build_tables
        from bench.run import curves

        outcomes = self.store.outcomes(self.suite.name)
        tables = build_tables(self.suite, outcomes)
        markdown = render(tables, "markdown", suite=self.suite)
        files = {
            "suite.yaml": self.suite.source,
            "tables.md": markdown,
            "tables.json": render(tables, "json", suite=self.suite),
            "tables.csv": render(tables, "csv", suite=self.suite),
            "plan.json": json.dumps([plan_entry(task, {}) for task in self.plan.tasks], indent=1),
            "curves.csv": curves(self.suite, bench_home()),
        }
        self.store.publish(self.suite, markdown=markdown, files=files)
        shown = build_tables(self.plan.suite, outcomes)
        write_output(render(shown, "json" if as_json else "markdown", suite=self.plan.suite), None)
        note(f"table again: bench report {self.suite.path}")
        note("browse:      bench ui")
        return outcomes


def open_session(
    suite: "Suite", chosen: "Suite", tracking_uri: str | None, *, download: bool, rerun: bool, max_cells: int | None
) -> Session:
    """Open the store, plan, and bring, pack and measure what the cells that will run need.

    Raises:
        StoreError: The store cannot be used.
        DataError: Data that the cells need is not here and cannot be fetched.
    """
    from bench.paths import bench_home
    from bench.plan import make_plan
    from bench.tracking import Store, resolve_uri

    check_home(bench_home())
    store = Store(resolve_uri(tracking_uri, Path.cwd()))
    stored, outcomes = known_outcomes(store, chosen)
    plan = make_plan(chosen, outcomes, {}, rerun=rerun, max_cells=max_cells)
    if not plan.to_run:
        return Session(suite, store, plan, stored)
    waiting = replace(chosen, cells=tuple(task.cell for task in plan.to_run))
    fetch_data(waiting, download=download)
    with ThreadPoolExecutor() as pool:
        measuring = pool.submit(measured, waiting)
        pack_data(waiting)
        costs, errors = measuring.result()
    plan = make_plan(chosen, outcomes, costs, history=history(), rerun=rerun, max_cells=max_cells)
    for reason in dict.fromkeys(errors.values()):
        note(f"warning: {reason}")
    return Session(suite, store, plan, stored)


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
    from bench.fetch import require
    from bench.paths import data_home

    names = list(dict.fromkeys(cell.dataset for cell in suite.cells))
    with show_progress() as on_progress:
        require(names, data_home(), download=download, on_progress=on_progress)


def pack_data(suite: "Suite") -> None:
    """Decode the data sets once, so that all cells share them.

    Raises:
        DataError: One is broken; every such data set is named.
    """
    from bench.devices import cpu_cores
    from bench.launch import ask_worker
    from bench.paths import data_home

    needed = dict.fromkeys((cell.dataset, cell.recipe.input_size) for cell in suite.cells)
    requests = [{"dataset": name, "input_size": size, "data_home": str(data_home())} for name, size in needed]
    answers = ask_worker("pack", requests, threads=cpu_cores())
    if errors := [answer["error"] for answer in answers if "error" in answer]:
        raise DataError("\n".join(errors))


def run_context() -> dict[str, str]:
    """What every run of this invocation is tagged with: host, user and, in a git work tree, the commit."""
    import getpass
    import platform

    context = {"bench.host": platform.node(), "mlflow.source.name": "bench run", "mlflow.source.type": "LOCAL"}
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
        context["mlflow.source.git.commit"] = found.stdout.strip()
    return context
