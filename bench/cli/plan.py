"""``bench plan``: every cell with its state, cost and estimated time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bench.api import history, known_outcomes, load_suites, measured, open_store_if_there, plan_entry, select
from bench.cli.options import all_overrides, json_option, max_images_option, required, suite_options, tracking_option
from bench.cli.output import columns, print_json

if TYPE_CHECKING:
    from bench.scheduler.plan import Selection
    from bench.values import Suite


@click.command()
@suite_options
@max_images_option
@tracking_option
@json_option
def plan(
    paths: Sequence[str],
    filters: Sequence[str],
    overrides: Sequence[str],
    max_images_per_class: int | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Show every cell with its state, cost and estimated time. Starts nothing."""
    overrides = all_overrides(overrides, max_images_per_class)
    suites = [select(suite, filters) for suite in load_suites(required(paths), overrides)]
    show_plans(suites, tracking_uri, as_json)


def show_plans(
    suites: "list[Suite]",
    tracking_uri: str | None,
    as_json: bool,
    select_cells: "Selection" = "missing",
    max_cells: int | None = None,
    *,
    offline: bool = False,
) -> None:
    """Print the plans of suites."""
    from bench.cli.progress import duration
    from bench.scheduler.plan import make_plan

    store, ran = None if offline else open_store_if_there(tracking_uri), history()
    plans, reasons = [], {}
    for suite in suites:
        costs, errors = measured(suite)
        reasons.update(errors)
        outcomes = known_outcomes(store, suite)[1]
        plans.append(make_plan(suite, outcomes, costs, history=ran, select=select_cells, max_cells=max_cells))
    cells = [plan_entry(task, reasons) for plan in plans for task in plan.tasks]
    times = [task.estimate_s for plan in plans for task in plan.tasks if task.runs]
    known = [seconds for seconds in times if seconds is not None]
    total = {"cells": len(cells), "to_run": len(times), "estimate_s": sum(known) if len(known) == len(times) else None}
    if as_json:
        print_json({"cells": cells, "total": total})
        return
    rows = [
        (
            entry["id"],
            entry["model"] + (" (standard stem)" if entry["shows_stem"] else ""),
            entry["dataset"],
            entry["schedule"],
            entry["seed"],
            entry["state"],
            "-" if entry["params"] is None else f"{entry['params'] / 1e6:.3f}",
            "-" if entry["flops"] is None else f"{entry['flops'] / 1e6:.1f}",
            "-" if entry["estimate_s"] is None else duration(entry["estimate_s"]),
            entry["reason"],
        )
        for entry in cells
    ]
    headers = ("cell", "model", "dataset", "schedule", "seed", "state", "params(M)", "flops(M)", "time", "")
    click.echo(columns(headers, rows))
    unknown = len(times) - len(known)
    rough = f" and {unknown} without an estimate (nothing comparable ran here yet)" if unknown else ""
    click.echo(f"\n{len(cells)} cells, {len(times)} to run: {duration(sum(known))} on one slot{rough}")
