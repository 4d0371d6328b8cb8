"""cli.output."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.errors import UsageError

if TYPE_CHECKING:
    pass


def columns(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned plain text columns, one line a row."""
    from tabulate import tabulate

    lines = [[" ".join(str(value).split("\n")).strip() for value in row] for row in rows]
    return str(tabulate(lines, headers, tablefmt="plain", disable_numparse=True))


def print_json(content: dict[str, Any]) -> None:
    """Print a JSON document with its schema version at the top."""
    click.echo(json.dumps({"schema": 1, **content}, indent=2))


def write_output(text: str, output: str | None) -> None:
    """Print to standard output, or replace a file whole.

    Raises:
        UsageError: The file cannot be written.
    """
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    from bench.workspace.files import write_atomically

    path = Path(output)
    check_writable(path)
    write_atomically(path, text if text.endswith("\n") else text + "\n")


def check_writable(path: Path) -> None:
    """Refuse an output path before work is done for it.

    Raises:
        UsageError: It is a folder, its folder does not exist, or nothing can be written there.
    """
    import tempfile

    if path.is_dir():
        raise UsageError(f"--output {path} is a folder: name a file in it")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return
    except OSError as error:
        raise UsageError(f"--output {path} cannot be written: {error.strerror} ({path.parent.absolute()})") from error


def note(text: str) -> None:
    """Say something on standard error."""
    click.echo(text, err=True)
