"""The options of ``bench report`` that keep tables in a markdown file up to date, and reports from JSON."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeVar

import click
from click.core import ParameterSource

from bench.cli.options import all_overrides
from bench.cli.output import note, write_output
from bench.errors import BenchError, UsageError
from bench.report.layout import make_layout
from bench.text import counted

if TYPE_CHECKING:
    from bench.api.readme import BlockRequest

Command = TypeVar("Command", bound=Callable[..., object])

BESIDE_A_FILE = {"paths", "saved", "tracking_uri", "update", "check"}
"""Parameters that may stand beside ``--update`` and ``--check``; all others are for markers."""
IN_A_MARKER = {
    *("paths", "saved", "filters", "overrides", "max_images_per_class", "best", "runs"),
    *("columns", "sort", "highlight", "pivot", "title", "separate"),
}
WITHOUT_RUNS = {"filters", "overrides", "max_images_per_class", "tracking_uri", "per_class", "confusion"}
"""Parameters that need the runs, and so do not fit ``--from``."""


def readme_options(command: Command) -> Command:
    """``--from``, ``--update`` and ``--check``."""
    for decorate in (
        click.option(
            "--check", metavar="FILE", help="Exit code 1, with what differs, where --update would change FILE."
        ),
        click.option(
            "--update",
            metavar="FILE",
            help="Rewrite the tables in a markdown file, each between <!-- bench report SUITE --> and "
            "<!-- end bench report -->. The first marker takes options of this command.",
        ),
        click.option(
            "saved", "--from", metavar="FILE.json", help="From a report saved with --format json, not from the runs."
        ),
    ):
        command = decorate(command)
    return command


def given(context: click.Context, allowed: Collection[str]) -> list[str]:
    """The options on a command line that are not among the parameters that are allowed there."""
    return [
        parameter.opts[-1]
        for parameter in context.command.params
        if parameter.name not in allowed
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]


def check_saved(context: click.Context) -> None:
    """Refuse what does not fit ``--from``.

    Raises:
        UsageError: An option needs the runs.
    """
    names = {parameter.name or "" for parameter in context.command.params}
    if wrong := given(context, names - WITHOUT_RUNS):
        raise UsageError(f"{wrong[0]} needs the runs, and --from is a report that was saved: leave one of them out")


def rewrite_file(context: click.Context) -> None:
    """What ``--update`` or ``--check`` does.

    Raises:
        UsageError: The file, a marker or an option is wrong.
        BenchError: ``--check`` found a difference.
    """
    from bench.api.readme import BlockRequest, rewrite

    update, check = context.params["update"], context.params["check"]
    if update and check:
        raise UsageError("choose one of --update and --check")
    if wrong := given(context, BESIDE_A_FILE):
        raise UsageError(
            f"{wrong[0]} has no place beside --{'update' if update else 'check'}: markers have the options"
        )
    own = BlockRequest(paths=tuple(context.params["paths"]), saved=context.params["saved"] or "", layout=make_layout())
    uri = context.params["tracking_uri"]
    done = rewrite(update or check, own, lambda arguments: _marker(context.command, arguments), uri, note)
    blocks = counted(done.blocks, "table")
    if check and done.changed:
        write_output(done.diff(), None)
        raise BenchError(f"{check} is not up to date; the same command with --update for --check rewrites it")
    if done.changed:
        done.write()
    note(f"{done.path}: {blocks} {'written' if done.changed else 'up to date'}")


def _marker(command: click.Command, arguments: Sequence[str]) -> "BlockRequest":
    """What a marker asks for."""
    from bench.api.readme import BlockRequest

    try:
        if wrong := [word for word in arguments if word in ("-h", "--help")]:
            raise UsageError(f"{wrong[0]} has no place in a marker")
        with command.make_context("bench report", list(arguments)) as context:
            values = context.params
            if wrong := given(context, IN_A_MARKER):
                raise UsageError(f"{wrong[0]} has no place in a marker")
            if values["saved"]:
                check_saved(context)
    except click.ClickException as error:
        raise UsageError(f"the command in the marker: {error.format_message()}") from error
    layout = {name: values[name] for name in ("columns", "sort", "highlight", "title", "separate")}
    return BlockRequest(
        paths=tuple(values["paths"]),
        saved=values["saved"] or "",
        filters=tuple(values["filters"]),
        overrides=tuple(all_overrides(values["overrides"], values["max_images_per_class"])),
        best=values["best"],
        runs=values["runs"],
        layout=make_layout(**layout, pivot=values["pivot"] or ""),
    )
