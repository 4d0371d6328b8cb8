"""``bench run``: from suite files to cells to tables."""

import shlex
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import click

from bench.cli.options import (
    all_overrides,
    json_option,
    max_images_option,
    required,
    runs_option,
    suite_options,
    tracking_option,
)
from bench.cli.output import default_format, note, print_plans, print_table
from bench.errors import BenchError, TrackingError

if TYPE_CHECKING:
    from bench.api.options import RunResult
    from bench.scheduler.attempts import RunObserver
    from bench.scheduler.loop import StopRequest
    from bench.scheduler.plan import Selection
    from bench.values import Plan


@click.command()
@suite_options
@max_images_option
@tracking_option
@json_option
@runs_option
@click.option("--rerun", "selection", flag_value="all", help="Run complete cells again.")
@click.option(
    "--rerun-stale",
    "selection",
    flag_value="stale",
    help="Rerun complete cells whose data, code or library has changed.",
)
@click.option("--accept-stale", is_flag=True, help="Keep stale results knowingly: they count as up to date.")
@click.option("--retry-failed", "selection", flag_value="failed", help="Run only the cells that failed.")
@click.option("--max-cells", type=click.IntRange(min=0), help="Start no more cells than this.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:0,1.")
@click.option("--slots-per-device", type=click.IntRange(min=1), help="Cells at a time on each device.")
@click.option("--keep-weights", type=click.Choice(["last", "none"]), default="last", show_default=True)
@click.option("--no-download", is_flag=True, help="Never download a data set.")
@click.option("--offline", is_flag=True, help="Keep the runs in their journals, for bench sync; needs no MLflow.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failed cell.")
@click.option(
    "--hang-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End a cell without a sign of life for this long.  [default: 900]",
)
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
def run(
    paths: Sequence[str],
    filters: Sequence[str],
    overrides: Sequence[str],
    max_images_per_class: int | None,
    tracking_uri: str | None,
    as_json: bool,
    runs: bool,
    selection: "Selection | None",
    accept_stale: bool,
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
    """Run the missing cells of each suite, then print its table.

    Complete cells are skipped, interrupted ones resume, failed ones are tried again. Ctrl-C saves the running cells;
    run the same command to continue. Exit code: 0 all complete, 1 a cell failed, 2 a file or an option is wrong, 3 the
    store, the data or the disk cannot be used.
    """
    from bench.api.options import Caller, RunOptions, check_options
    from bench.api.outcomes import find_store, load_suites, select
    from bench.api.plans import report_plans
    from bench.api.run import run_suites
    from bench.api.several import SuiteFaults
    from bench.cli.downloads import show_downloads
    from bench.cli.phases import Phases
    from bench.scheduler.attempts import HANG_S
    from bench.scheduler.loop import StopRequest

    options = RunOptions(
        filters=filters,
        select=selection or "missing",
        accept_stale=accept_stale,
        max_cells=max_cells,
        device=device,
        slots_per_device=slots_per_device,
        keep_weights=keep_weights,
        download=not no_download,
        offline=offline,
        fail_fast=fail_fast,
        hang_s=hang_timeout or HANG_S,
        tracking_uri=tracking_uri,
    )
    faults = SuiteFaults(len(set(paths)), note)
    suites = load_suites(required(paths), all_overrides(overrides, max_images_per_class), faults)
    if dry_run:
        check_options(suites, options)
        chosen = [select(suite, filters) for suite in suites]
        store = None if offline else find_store(tracking_uri)
        print_plans(report_plans(chosen, store, select=options.select, max_cells=max_cells), as_json=as_json)
        faults.raise_all()
        return
    stop, phases = StopRequest(), Phases()

    @contextmanager
    def display(plan: "Plan") -> "Iterator[RunObserver]":
        from bench.cli.progress import make_progress

        phases.end()
        with make_progress(plan) as observer, signals_to(stop):
            yield observer

    results: list[RunResult] = []
    caller = Caller(display=display, note=note, stop=stop, on_download=show_downloads, phase=phases)
    try:
        for result in run_suites(suites, options, caller, faults):
            phases.end()
            print_table(result.render("json" if as_json else default_format(runs=runs)))
            changes = [word for each in result.suite.overrides for word in ("--set", each)]
            note(f"table again: {shlex.join(['bench', 'report', result.suite.path, *changes])}")
            note(f"browse:      bench ui {result.suite.name}" if result.store else "into MLflow: bench sync")
            results.append(result)
    except BenchError:
        phases.end()
        for problem in problems_of(results):  # of suites that ended before
            note(f"error: {problem}")
        raise
    finish(results, stop)


def finish(results: "Sequence[RunResult]", stop: "StopRequest") -> None:
    """End with the exit code of the whole command.

    Raises:
        TrackingError: The store did not take everything.
    """
    if problems := problems_of(results):
        raise TrackingError("\n".join(problems))
    if stop.signal:
        note("Interrupted. Run the same command to continue.")
        raise SystemExit(128 + stop.signal)
    states = {state for result in results for state in result.states}
    raise SystemExit(1 if {"failed", "interrupted"} & states else 0)


def problems_of(results: "Sequence[RunResult]") -> list[str]:
    """What the store did not take of any suite, each sentence once."""
    return list(dict.fromkeys(problem for result in results for problem in result.problems))


@contextmanager
def signals_to(stop: "StopRequest") -> Iterator[None]:
    """While cells run, turn SIGINT, SIGTERM and a closed terminal into a request that the scheduler's loop reads."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it on purpose
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
