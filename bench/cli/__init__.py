"""The command line: wires the parts together and turns errors into sentences and exit codes.

Nothing but click is imported here, so that ``bench --help`` answers at once; every command imports what it needs.
"""

import os
import sys
from typing import Any

import click

from bench import __version__
from bench.errors import DISK_ERRORS, BenchError

COMMANDS = {
    "run": "bench.cli.run:run",
    "plan": "bench.cli.plan:plan",
    "status": "bench.cli.status:status",
    "report": "bench.cli.report:report",
    "measure": "bench.cli.measure:measure",
    "sync": "bench.cli.sync:sync",
    "data": "bench.cli.data:data",
    "models": "bench.cli.listings:models",
    "datasets": "bench.cli.listings:datasets",
    "schedules": "bench.cli.listings:schedules",
    "schema": "bench.cli.schema:schema",
    "ui": "bench.cli.ui:ui",
    "doctor": "bench.cli.doctor:doctor",
}
"""Name -> where the command is defined; in the order in which people need them."""

SUMMARIES = {
    "run": "Run what is missing of suites and print their tables.",
    "plan": "Show every cell with its state, cost and estimated time.",
    "status": "Show what runs now and how far, what failed and why.",
    "report": "Print the tables of suites from their runs.",
    "measure": "Count params and FLOPs of models.",
    "sync": "Send the journals of offline or cut-off runs to MLflow.",
    "data": "List, fetch, verify and locate data sets.",
    "models": "List the models that a suite can name.",
    "datasets": "List the data sets that a suite can name.",
    "schedules": "List the learning-rate schedules that a suite can name.",
    "schema": "Print the JSON schema of suite files, or their reference page.",
    "ui": "Open the MLflow UI on the store in use.",
    "doctor": "Check devices, libraries, data, disk and store.",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and prints bench's errors as sentences."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Names, in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import a command, or stand in for it where only its summary is asked for."""
        if name not in COMMANDS:
            return None
        import importlib

        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by name; a typo is answered with the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from bench.catalog.options import suggestion

            hint = suggestion(args[0], COMMANDS, "bench --help lists them")
            raise click.UsageError(f"there is no command {args[0]!r} ({hint})", context)
        return super().resolve_command(context, args)

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, translating errors into sentences on standard error and their exit codes."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("interrupted", err=True)
            sys.exit(130)
        except BenchError as error:
            click.echo(f"error: {error}" if "\n" not in str(error) else str(error), err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            # the reader of our output (head, less) left; nothing more can be said to it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {where}{error.strerror}; nothing that was saved is lost: make room and go on", err=True)
            sys.exit(3)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bench")
def cli() -> None:
    """Make the results tables of image classification from real runs.

    A suite file lists models, data sets, schedules and seeds; bench trains every cell as an MLflow run and renders the
    table from the runs.

    \b
      bench run suites/digits.yaml
      bench report suites/digits.yaml --format markdown
      bench ui
    """
