"""``bench status``: what runs now and how far, what failed and why, from any shell."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bench.api import known_outcomes, load_suites, open_store_if_there, select
from bench.cli.options import json_option, suite_options, tracking_option
from bench.cli.output import columns, note, print_json
from bench.errors import TrackingError

if TYPE_CHECKING:
    from bench.scheduler.status import CellStatus
    from bench.tracking import Store
    from bench.values import Suite

STATES = ("complete", "running", "interrupted", "failed", "missing")


@click.command()
@suite_options
@tracking_option
@json_option
def status(
    paths: Sequence[str], filters: Sequence[str], overrides: Sequence[str], tracking_uri: str | None, as_json: bool
) -> None:
    """Show what runs now and how far, what failed and why; without a suite file, of every suite that was run here."""
    from bench.scheduler.status import suite_status
    from bench.workspace.paths import bench_home

    store = readable_store(tracking_uri)
    suites = [select(suite, filters) for suite in load_suites(paths, overrides) or suites_here(store)]
    found = [
        (suite, suite_status(suite, known_outcomes(store, suite)[1], bench_home(), now_s=time.time()))
        for suite in suites
    ]
    if as_json:
        print_json({"suites": [{"suite": s.name, "cells": [entry(cell) for cell in cells]} for s, cells in found]})
        return
    for suite, cells in found:
        show(suite, cells)


def readable_store(tracking_uri: str | None) -> "Store | None":
    """The store, or None where there is none or it does not answer, which is said: the journals here know enough."""
    try:
        return open_store_if_there(tracking_uri)
    except TrackingError as error:
        note(f"without the store: {error}")
        return None


def suites_here(store: "Store | None") -> "list[Suite]":
    """The suites that were run on this machine, else those in the store.

    Raises:
        UsageError: There are none.
    """
    from bench.api import stored_suites
    from bench.workspace.cells import kept_suites
    from bench.workspace.paths import bench_home

    return kept_suites(bench_home()) or stored_suites(store)


def show(suite: "Suite", cells: "list[CellStatus]") -> None:
    """Print a suite's counts, its running cells, and why others stand still."""
    from bench.cli.progress import duration

    counts: Counter[str] = Counter(each.outcome.state for each in cells)
    counts_text = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    click.echo(f"{suite.name}: {len(cells)} cells: {counts_text}")
    rows = []
    for each in cells:
        outcome, epochs = each.outcome, each.cell.recipe.epochs
        if outcome.state in ("complete", "missing"):
            continue
        running = outcome.state == "running"
        rows.append(
            (
                "",
                outcome.state + (f": {outcome.kind}" if outcome.kind else ""),
                each.cell.title,
                f"{outcome.epochs_done}/{epochs}",
                f"{100 * each.share:.0f}%",
                "" if outcome.top1 is None else f"{outcome.top1:.2f}%",
                f"{each.images_per_s:,.0f}" if running and each.images_per_s else "",
                duration(each.left_s) if each.left_s is not None else "",
                "" if each.silent_s is None else f"{duration(each.silent_s)} ago",
                outcome.attempts or "",
            )
        )
    if rows:
        headers = ("", "state", "cell", "epochs", "done", "top-1", "images/s", "left", "heard of", "attempt")
        click.echo(columns(headers, rows))
    for each in cells:
        if each.outcome.state in ("failed", "interrupted") and each.outcome.reason:
            click.echo(f"  {each.outcome.state} {each.cell.title}: {each.outcome.reason}")


def entry(each: "CellStatus") -> dict[str, Any]:
    """A cell as the JSON shows it."""
    cell, outcome = each.cell, each.outcome
    return {
        "id": cell.id,
        "model": cell.model,
        "dataset": cell.dataset,
        "schedule": cell.schedule_name,
        "seed": cell.seed,
        "state": outcome.state,
        "kind": outcome.kind,
        "reason": f"stale: {outcome.stale}" if outcome.stale else outcome.reason,
        "epochs": cell.recipe.epochs,
        "epochs_done": outcome.epochs_done,
        "share": round(each.share, 4),
        "top1": outcome.top1,
        "images_per_s": each.images_per_s,
        "left_s": None if each.left_s is None else round(each.left_s, 1),
        "silent_s": None if each.silent_s is None else round(each.silent_s, 1),
        "attempts": outcome.attempts,
        "run_id": outcome.run_id,
    }
