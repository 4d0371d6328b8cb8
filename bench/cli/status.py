"""``bench status``: what runs now and how far, what failed and why, from any shell."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import click

from bench.catalog.labels import titles
from bench.cli.options import json_option, suite_options, tracking_option
from bench.cli.output import columns, note, print_json, say
from bench.errors import UsageError
from bench.text import counted, percent, printable

if TYPE_CHECKING:
    from bench.scheduler.status import CellStatus
    from bench.values import Suite

Statuses: TypeAlias = "Sequence[tuple[Suite, list[CellStatus]]]"
WATCH_S = 2.0
"""Least pause between two looks of ``--watch``, in seconds."""

STATES = ("complete", "running", "interrupted", "failed", "missing")


@click.command()
@suite_options
@tracking_option
@json_option
@click.option("--watch", is_flag=True, help="On a terminal: show it again and again until nothing runs, or Ctrl-C.")
def status(
    paths: Sequence[str],
    filters: Sequence[str],
    overrides: Sequence[str],
    tracking_uri: str | None,
    as_json: bool,
    watch: bool,
) -> None:
    """Show what is running, its progress, and what failed and why; without a suite file, for every suite here."""
    from bench.api.outcomes import find_readable_store, load_suites, select, suite_statuses, suites_here
    from bench.api.several import SuiteFaults

    if watch and (as_json or not sys.stdout.isatty()):
        raise UsageError("--watch redraws a terminal; leave it out for files, pipes and --json")
    store = find_readable_store(tracking_uri, note)
    faults = SuiteFaults(len(set(paths)), note)
    suites = load_suites(paths, overrides, faults, past=True) or suites_here(store, note)
    chosen = [select(suite, filters) for suite in suites]
    if watch:
        follow(lambda: suite_statuses(chosen, store))
    elif as_json:
        found = suite_statuses(chosen, store)
        print_json({"suites": [{"suite": suite.name, "cells": entries(suite, cells)} for suite, cells in found]})
    else:
        for line in lines_of(suite_statuses(chosen, store)):
            say(line)
    faults.raise_all()


def follow(ask: "Callable[[], Statuses]", pause: Callable[[float], None] = time.sleep) -> None:
    """Show statuses on this terminal until nothing runs; the last ones stay.

    Args:
        ask: Reads the statuses.
        pause: Waits for a number of seconds.
    """
    from rich.console import Console, Group
    from rich.text import Text

    from bench.cli.live import ResizableLive

    frame = Group()
    with ResizableLive(console=Console(), get_renderable=lambda: frame, auto_refresh=False, transient=True) as live:
        while True:
            began = time.monotonic()
            found = ask()
            lines = printable("\n".join(lines_of(found))).split("\n")
            frame = Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))
            live.refresh()
            if not any(each.outcome.state == "running" for _, cells in found for each in cells):
                break
            # many cells take long to read: this must not cost a core that trains
            pause(max(WATCH_S, 10 * (time.monotonic() - began)))
    for line in lines_of(found):
        say(line)


def lines_of(found: "Statuses") -> list[str]:
    """What is shown of suites: their counts, their running cells, and why others stand still."""
    return [line for suite, cells in found for line in _lines(suite, cells)]


def _lines(suite: "Suite", cells: "list[CellStatus]") -> list[str]:
    from bench.scheduler.estimates import duration

    names = titles(suite.cells)
    counts: Counter[str] = Counter(each.outcome.state for each in cells)
    counts_text = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    lines = [f"{suite.name}: {counted(len(cells), 'cell')}: {counts_text}"]
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
                names[each.cell.id],
                f"{outcome.epochs_done}/{epochs}",
                f"{100 * each.share:.0f}%",
                "" if outcome.top1 is None else f"{percent(outcome.top1)}%",
                f"{each.images_per_s:,.0f}" if running and each.images_per_s else "",
                duration(each.left_s) if each.left_s is not None else "",
                "" if each.silent_s is None else f"{duration(each.silent_s)} ago",
                outcome.attempts or "",
            )
        )
    if rows:
        headers = ("", "state", "cell", "epochs", "done", "top-1", "images/s", "left", "last update", "attempt")
        lines.append(columns(headers, rows))
    for each in cells:
        if each.outcome.state in ("failed", "interrupted") and each.outcome.reason:
            lines.append(f"  {each.outcome.state} {names[each.cell.id]}: {each.outcome.reason}")
    return lines


def entries(suite: "Suite", cells: "list[CellStatus]") -> list[dict[str, object]]:
    """The cells of a suite as the JSON shows them."""
    names = titles(suite.cells)
    return [entry(each) | {"title": names[each.cell.id]} for each in cells]


def entry(each: "CellStatus") -> dict[str, object]:
    """A cell as the JSON shows it, without its title."""
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
