"""Plans of suites, for people and programs: what ``bench run`` would do, without doing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.api.known import known_outcomes
from bench.api.prepare import check_augmentations, measure_costs, past_cells
from bench.values import Plan, Task

if TYPE_CHECKING:
    from bench.scheduler.plan import Selection
    from bench.tracking import Store
    from bench.values import Suite

Entry = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class PlanReport:
    """The cells of several plans, as the plan's JSON and table show them."""

    entries: Sequence[Entry]
    estimates_s: Sequence[float | None]
    """Of the cells that would run, in seconds; None where nothing similar has run on this machine."""

    @property
    def known_s(self) -> float:
        """Seconds on one slot of the cells that have an estimate."""
        return sum(seconds for seconds in self.estimates_s if seconds is not None)

    @property
    def unknown(self) -> int:
        """Cells that would run and have no estimate."""
        return sum(seconds is None for seconds in self.estimates_s)

    @property
    def total(self) -> Entry:
        """The JSON's summary."""
        return {
            "cells": len(self.entries),
            "to_run": len(self.estimates_s),
            "estimate_s": None if self.unknown else self.known_s,
        }


def plan_suite(
    suite: "Suite", store: "Store | None", *, select: "Selection" = "missing", max_cells: int | None = None
) -> Plan:
    """The plan of a suite with costs and estimates.

    Raises:
        UsageError: An augmentation does not fit its data set.
    """
    from bench.scheduler.plan import make_plan

    check_augmentations(suite)
    costs, failures = measure_costs(suite)
    outcomes = known_outcomes(store, suite).outcomes
    return make_plan(
        suite, outcomes, costs, failures=failures, history=past_cells(), select=select, max_cells=max_cells
    )


def report_plans(
    suites: "Sequence[Suite]",
    store: "Store | None",
    *,
    select: "Selection" = "missing",
    max_cells: int | None = None,
) -> PlanReport:
    """The plans of suites, ready to be shown."""
    entries: list[Entry] = []
    estimates: list[float | None] = []
    for suite in suites:
        plan = plan_suite(suite, store, select=select, max_cells=max_cells)
        entries += plan_entries(plan)
        estimates += [task.estimate_s for task in plan.tasks if task.runs]
    return PlanReport(entries=entries, estimates_s=estimates)


def plan_entries(plan: Plan) -> list[Entry]:
    """The tasks of a plan as its JSON and table show them."""
    from bench.catalog.labels import variants

    labels = variants([task.cell for task in plan.tasks], shown=("stem",))
    return [_entry(plan.suite.name, task, variant) for task, variant in zip(plan.tasks, labels, strict=True)]


def _entry(suite: str, task: Task, variant: str) -> Entry:
    from bench.catalog.labels import model_label

    cell, outcome = task.cell, task.outcome
    name = model_label(cell)
    return {
        "id": cell.id,
        "model": cell.model,
        "name": name,
        "stem": cell.recipe.stem,
        "shows_stem": name != cell.model,
        "dataset": cell.dataset,
        "schedule": cell.schedule_name,
        "variant": variant,
        "seed": cell.seed,
        "threads": outcome.threads,
        "state": outcome.state,
        "reason": f"stale: {outcome.stale}"
        if outcome.stale
        else (str(task.failure) if task.failure and outcome.state != "complete" else outcome.reason),
        "params": task.cost.params if task.cost else None,
        "flops": task.cost.flops if task.cost else None,
        "suite": suite,
        "estimate_s": task.estimate_s if task.runs or outcome.state != "complete" else 0.0,
    }
