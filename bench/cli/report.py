"""``bench report``: the tables of suites from their runs."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.layout import describe_columns, layout_options
from bench.cli.options import all_overrides, max_images_option, runs_option, suite_options, tracking_option
from bench.cli.output import check_writable, default_format, note, write_output
from bench.cli.readme import check_saved, readme_options, rewrite_file
from bench.errors import BenchError
from bench.report.layout import make_layout
from bench.report.render import FORMATS, describe_formats, format_of_file
from bench.text import counted


@click.command(epilog=describe_columns())
@suite_options
@max_images_option
@tracking_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    help=f"{describe_formats()}  [default: plain on a terminal, else by the ending of --output, else markdown]",
)
@runs_option
@click.option("-o", "--output", type=click.Path(), help="Write here; - is standard output.")
@click.option("--best", is_flag=True, help="Best epoch on the test set instead of the last one: optimistic, labelled.")
@layout_options
@readme_options
@click.option("--against", metavar="PREVIOUS.json", help="What changed since a report that --format json saved.")
@click.option(
    "--fail-below",
    type=float,
    metavar="POINTS",
    help="With --against: exit code 1 if a row's top-1 fell by more than POINTS, or is missing.",
)
@click.option("--per-class", metavar="ROW", help="Accuracy of each class in a row: its label, a part of it, or an id.")
@click.option("--confusion", metavar="ROW", help="Which classes a row takes for which, from its predictions.")
@click.option("--plots", type=click.Path(), help="Write the charts as SVG and PNG into this folder, too.")
@click.option("--strict", is_flag=True, help="Exit code 1 if a cell has no result.")
def report(
    paths: Sequence[str],
    filters: Sequence[str],
    overrides: Sequence[str],
    max_images_per_class: int | None,
    tracking_uri: str | None,
    format_: str | None,
    runs: bool,
    output: str | None,
    best: bool,
    columns: str,
    sort: str,
    highlight: bool,
    pivot: str | None,
    title: str,
    separate: bool,
    saved: str | None,
    update: str | None,
    check: str | None,
    against: str | None,
    fail_below: float | None,
    per_class: str | None,
    confusion: str | None,
    plots: str | None,
    strict: bool,
) -> None:
    """Print the tables of suites from their runs; without a suite file, of every suite in the store."""
    from bench.api.against import check_fall, check_options, compare
    from bench.api.charts import plot_classes, plot_reports, prepare_folder, write_charts
    from bench.api.outcomes import find_store, load_suites, select, stored_suites
    from bench.api.reports import draw, make_reports
    from bench.api.saved import saved_report
    from bench.api.several import SuiteFaults
    from bench.workspace.paths import bench_home

    context = click.get_current_context()
    if update is not None or check is not None:
        rewrite_file(context)
        return
    if saved is not None:
        check_saved(context)
    layout = make_layout(
        columns=columns, sort=sort, highlight=highlight, pivot=pivot or "", title=title, separate=separate
    )
    output = None if output == "-" else output
    if output is not None and format_ is None and not runs:
        format_ = format_of_file(output)
    if output is not None:
        check_writable(Path(output))
    folder = prepare_folder(Path(plots), "--plots") if plots is not None else None
    faults = SuiteFaults(len(set(paths)), note)
    suites = load_suites(paths, all_overrides(overrides, max_images_per_class), faults, past=True)
    format_ = format_ or default_format(output, runs=runs)
    check_options(against, fail_below, format_)
    if saved is not None:
        found, missing = saved_report(saved, [suite.name for suite in suites], best, layout)
        reports = [found]
    else:
        store = find_store(tracking_uri)
        chosen = [select(suite, filters) for suite in suites or stored_suites(store, note)]
        if per_class is not None or confusion is not None:
            from bench.api.classes import class_options

            write_output(class_options(chosen, store, per_class, confusion, format_), output)
            if folder is not None:
                plot_classes(chosen, store, per_class or confusion or "", folder, note)
            faults.raise_all()
            return
        reports, missing = make_reports(chosen, store, format_, best, note, layout)
    if against is not None:
        reports = compare(reports, against, partial=bool(filters))
    write_output(draw(reports, format_), output)
    if folder is not None and saved is not None:
        write_charts(reports[0], bench_home(), folder, note)
    elif folder is not None:
        plot_reports(reports, folder, note)
    faults.raise_all()
    if fail_below is not None:
        check_fall(reports, fail_below)
    if strict and missing:
        raise BenchError(f"{counted(missing, 'cell')} without a result; bench plan says why")
