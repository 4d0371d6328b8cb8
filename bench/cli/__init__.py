"""The command line: finds commands, and turns errors into sentences and exit codes.

Called by ``bench`` and ``python -m bench``. Nothing but click is imported here, so that ``bench --help`` answers at
once; each command imports what it needs, when it is called.
"""

import sys
from typing import Any, NamedTuple

import click

from bench import __version__
from bench.cli.output import note, prepare_streams, silence
from bench.errors import DISK_ERRORS, BenchError


class Command(NamedTuple):
    """Where a command is defined, and what it does."""

    target: str
    """``module:attribute``, imported when the command is called."""
    summary: str
    """Its line in ``bench --help``, which imports no command."""


COMMANDS = {
    "init": Command("bench.cli.init:init", "Write a small suite file with comments, to start from."),
    "run": Command("bench.cli.run:run", "Run the missing cells of each suite, then print its table."),
    "plan": Command("bench.cli.plan:plan", "Show every cell with its state, cost and estimated time."),
    "status": Command("bench.cli.status:status", "Show what is running, its progress, and what failed and why."),
    "show": Command("bench.cli.show:show", "Show everything that is known of one cell."),
    "logs": Command("bench.cli.logs:logs", "Print the log and the traceback of a cell's last attempt."),
    "report": Command("bench.cli.report:report", "Print the tables of suites from their runs."),
    "export": Command("bench.cli.export:export", "Write the trained net of a run as ONNX, TorchScript or a folder."),
    "measure": Command("bench.cli.measure:measure", "Count params and FLOPs of models."),
    "sync": Command("bench.cli.sync:sync", "Send the journals of offline or cut-off runs to MLflow."),
    "rm": Command("bench.cli.rm:rm", "Remove the results of a suite or a cell, from the store and this machine."),
    "clean": Command("bench.cli.clean:clean", "Show what takes up space and can be made again, and remove it."),
    "data": Command("bench.cli.data:data", "List, fetch, verify and locate data sets."),
    "models": Command("bench.cli.listings:models", "List the models that a suite can name."),
    "datasets": Command("bench.cli.listings:datasets", "List the data sets that a suite can name."),
    "schedules": Command(
        "bench.cli.schedules:schedules", "List or draw the learning-rate schedules that a suite can name."
    ),
    "schema": Command("bench.cli.schema:schema", "Print the JSON schema of suite files, or their reference page."),
    "ui": Command("bench.cli.ui:ui", "Open the MLflow UI on the store in use."),
    "doctor": Command("bench.cli.doctor:doctor", "Check devices, libraries, data, disk and store."),
}
"""Name -> command, in the order in which people need them. Help, completion and hints derive from it."""


OTHER_WORDS = {
    "train": "run",
    "list": "models",
    "results": "report",
    "table": "report",
    "download": "data get",
    "delete": "rm",
}
"""What people type -> the command that does it, where the words are too different for a typo."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and prints bench's errors as sentences."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Names, in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import a command; None if there is none of this name."""
        if name not in COMMANDS:
            return None
        from pkgutil import resolve_name

        command: click.Command = resolve_name(COMMANDS[name].target)
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by name; a typo is answered with the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from bench.catalog.options import suggestion

            other = OTHER_WORDS.get(args[0])
            safe = [name for name in COMMANDS if name != "rm"]  # a typo is never answered with what removes results
            hint = f"did you mean {other!r}?" if other else suggestion(args[0], safe, "bench --help lists them")
            raise click.UsageError(f"there is no command {args[0]!r} ({hint})", context)
        return super().resolve_command(context, args)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Take ``bench help``, ``bench help COMMAND`` and ``bench version`` for the options that are meant."""
        if args[:1] == ["help"]:
            args = [*args[1:2], "--help"]
        elif args == ["version"]:
            args = ["--version"]
        return super().parse_args(context, args)

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, translating errors into sentences on standard error and their exit codes."""
        prepare_streams()
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
            sys.stdout.flush()
        except click.ClickException as error:
            note(explain(error))
            sys.exit(error.exit_code)
        except click.Abort:
            note("interrupted")
            sys.exit(130)
        except BenchError as error:
            note(f"error: {error}" if "\n" not in str(error) else str(error))
            sys.exit(error.exit_code)
        except BrokenPipeError:
            silence(sys.stdout)  # its reader (head, less) has exited
            sys.exit(141)
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            where = f"{error.filename}: " if error.filename else ""
            saved = "everything saved so far is intact: free some space and run the same command again"
            note(f"error: {where}{error.strerror}; {saved}")
            sys.exit(3)
        sys.exit(code if isinstance(code, int) else 0)


def explain(error: click.ClickException) -> str:
    """An error of the command line with its usage, and where a recipe's key is meant, how to set it."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    text = f"Error: {error.format_message()}"
    if isinstance(error, click.NoSuchOption):
        from bench.recipe import Recipe, keys_of

        key = error.option_name.lstrip("-").replace("-", "_")
        if key in (*keys_of(Recipe), "lr", "weight_decay", "momentum"):
            path = f"recipe.{key}" if key in keys_of(Recipe) else f"recipe.optimizer.{key}"
            text += f"\nKeys of the recipe are changed with --set {path}=VALUE."
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return text
    return f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n\n{text}"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bench")
def cli() -> None:
    """Train image classifiers over a grid of settings and print the results table.

    A suite file lists models, data sets, schedules and seeds; bench trains every cell as an MLflow run and renders the
    table from the runs.

    \b
      bench run suites/digits.yaml
      bench report suites/digits.yaml --output table.md
      bench ui
    """
