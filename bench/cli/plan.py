"""``bench plan``: every cell with its state, cost and estimated time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bench.cli.common import (
    all_overrides,
    columns,
    json_option,
    known_outcomes,
    load_suites,
    max_images_option,
    open_store_if_there,
    print_json,
    required,
    select,
    suite_options,
    tracking_option,
)
from bench.errors import DataError

if TYPE_CHECKING:
    from bench.plan import Selection
    from bench.values import Cell, Cost, Outcome, Suite


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
    from bench.plan import make_plan
    from bench.progress import duration

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


def plan_entry(task: Any, reasons: Mapping[str, str]) -> dict[str, Any]:
    """A task as the plan's JSON and table show it."""
    from bench.catalog import SMALL_INPUT, model_forms

    cell, outcome = task.cell, task.outcome
    small = cell.recipe.input_size <= SMALL_INPUT and "small" in model_forms(cell.model)
    return {
        "id": cell.id,
        "model": cell.model,
        "stem": cell.recipe.stem,
        "shows_stem": small and cell.recipe.stem == "standard",
        "dataset": cell.dataset,
        "schedule": cell.schedule_name,
        "seed": cell.seed,
        "state": outcome.state,
        "reason": f"stale: {outcome.stale}" if outcome.stale else outcome.reason or reasons.get(cell.id, ""),
        "params": task.cost.params if task.cost else None,
        "flops": task.cost.flops if task.cost else None,
        "estimate_s": task.estimate_s if task.runs or outcome.state != "complete" else 0.0,
    }


def measured(suite: "Suite") -> "tuple[dict[str, Cost], dict[str, str]]":
    """Params and FLOPs of the suite's nets by cell id, and the reasons for those that cannot be measured."""
    from bench.costs import costs_of
    from bench.paths import bench_home

    return costs_of(suite.cells, classes_of, bench_home())


def history() -> "list[tuple[Cell, Outcome]]":
    """Cells of any suite that ran on this machine, for estimates."""
    from bench.history import local_history
    from bench.paths import bench_home

    return local_history(bench_home())


def classes_of(dataset: str) -> int | None:
    """Number of classes of a data set; None for a folder that is not here."""
    from bench.fetch import num_classes
    from bench.paths import data_home

    try:
        return num_classes(dataset, data_home())
    except DataError:
        return None
