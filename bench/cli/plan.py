"""``bench plan``: every cell with its state, cost and estimated time."""

from collections.abc import Sequence

import click

from bench.cli.options import all_overrides, json_option, max_images_option, required, suite_options, tracking_option
from bench.cli.output import note, print_plans


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
    from bench.api.outcomes import find_store, load_suites, select
    from bench.api.plans import report_plans
    from bench.api.several import SuiteFaults

    faults = SuiteFaults(len(set(paths)), note)
    suites = load_suites(required(paths), all_overrides(overrides, max_images_per_class), faults)
    chosen = [select(suite, filters) for suite in suites]
    print_plans(report_plans(chosen, find_store(tracking_uri)), as_json=as_json)
    faults.raise_all()
