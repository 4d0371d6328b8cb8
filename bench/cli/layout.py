"""The options of ``bench report`` that lay tables out: columns, order, what is bold, pivot, title."""

from collections.abc import Callable
from typing import TypeVar

import click

from bench.report.columns import COLUMNS
from bench.report.layout import PIVOTS

Command = TypeVar("Command", bound=Callable[..., object])


def layout_options(command: Command) -> Command:
    """``--columns``, ``--sort``, ``--highlight``, ``--pivot``, ``--title`` and ``--separate``."""
    for decorate in (
        click.option("--separate", is_flag=True, help="A table per suite, even where several share a data set."),
        click.option("--title", default="", metavar="TEXT", help="Heading of the table."),
        click.option(
            "--pivot",
            type=click.Choice(PIVOTS),
            default=None,
            help="A column of top-1 per data set or per schedule, and one line per net.",
        ),
        click.option("--highlight", is_flag=True, help="The best of each column in bold (not in plain)."),
        click.option(
            "--sort",
            default="",
            metavar="COLUMN[:desc|:asc]",
            help="Order of the lines; the best first unless a direction is given.",
        ),
        click.option(
            "--columns",
            default="",
            metavar="NAME,...",
            help="These columns, in this order; +NAME,-NAME change the default ones. Listed below.",
        ),
    ):
        command = decorate(command)
    return command


def describe_columns() -> str:
    """The columns with their descriptions, for the end of a help text."""
    width = max(map(len, COLUMNS))
    lines = [f"  {name:<{width}}  {column.description}" for name, column in COLUMNS.items()]
    return "\n".join(["\b", "Columns:", *lines])
