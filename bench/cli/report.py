"""``bench report``: the tables of suites from their runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.common import (
    all_overrides,
    check_writable,
    known_outcomes,
    load_suites,
    max_images_option,
    open_store_if_there,
    select,
    suite_options,
    tracking_option,
    write_output,
)
from bench.errors import BenchError, UsageError

if TYPE_CHECKING:
    from bench.tracking import Store
    from bench.values import Suite

FORMAT_NAMES = ("markdown", "json", "csv")


@click.command()
@suite_options
@max_images_option
@tracking_option
@click.option("--format", "format_", type=click.Choice(FORMAT_NAMES), default="markdown", show_default=True)
@click.option("--output", type=click.Path(), help="Write here instead of to standard output.")
@click.option("--best", is_flag=True, help="Best epoch on the test set instead of the last one: optimistic, labelled.")
@click.option("--strict", is_flag=True, help="Exit code 1 if a cell has no result.")
def report(
    paths: Sequence[str],
    filters: Sequence[str],
    overrides: Sequence[str],
    max_images_per_class: int | None,
    tracking_uri: str | None,
    format_: str,
    output: str | None,
    best: bool,
    strict: bool,
) -> None:
    """Print the tables of suites from their runs; without a suite file, of every suite in the store."""
    if output is not None:
        check_writable(Path(output))
    suites = [select(suite, filters) for suite in load_suites(paths, all_overrides(overrides, max_images_per_class))]
    store = open_store_if_there(tracking_uri)
    if not suites:
        suites = [select(suite, filters) for suite in stored_suites(store)]
    text, missing = render_suites(suites, store, format_, best)
    write_output(text, output)
    if strict and missing:
        raise BenchError(f"{missing} cells have no result; bench plan says why")


def stored_suites(store: "Store | None") -> "list[Suite]":
    """The suites that were run into a store, or on this machine while there was none.

    Raises:
        UsageError: There are none.
    """
    from bench.history import kept_suites
    from bench.paths import bench_home
    from bench.suite import parse_suite

    found = [parse_suite(source, path) for _, source, path in (store.suites() if store else [])]
    names = {suite.name for suite in found}
    found += [suite for suite in kept_suites(bench_home()) if suite.name not in names]
    if not found:
        raise UsageError("there are no results here yet: bench run SUITE makes some, bench report SUITE shows a plan")
    return found


def render_suites(suites: "list[Suite]", store: "Store | None", format_: str, best: bool) -> tuple[str, int]:
    """The tables of suites as one text, and how many of their cells have no result."""
    from bench.report.render import render
    from bench.report.table import build_tables

    texts, missing = [], 0
    for suite in suites:
        outcomes = known_outcomes(store, suite)[1]
        missing += sum(cell.id not in outcomes or outcomes[cell.id].state != "complete" for cell in suite.cells)
        tables = build_tables(suite, outcomes, best=best)
        texts.append(render(tables, format_, suite=suite, best=best))
    if format_ == "json" and len(texts) > 1:
        documents = [json.loads(text) for text in texts]
        merged = {**documents[0], "tables": [table for document in documents for table in document["tables"]]}
        return json.dumps(merged, indent=2), missing
    if format_ == "csv":
        return texts[0] + "".join(text.split("\n", 1)[1] for text in texts[1:]), missing
    return "\n".join(texts), missing
