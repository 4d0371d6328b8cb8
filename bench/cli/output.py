"""What commands print: columns, JSON, files, and sentences on standard error."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.api.plans import Entry, PlanReport


def columns(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned plain text columns, one line per row."""
    from tabulate import tabulate

    lines = [[" ".join(str(value).split("\n")).strip() for value in row] for row in rows]
    return str(tabulate(lines, headers, tablefmt="plain", disable_numparse=True))


def print_json(content: Mapping[str, object]) -> None:
    """Print a JSON document with its schema version at the top."""
    click.echo(json.dumps({"schema": 1, **content}, indent=2))


def print_plans(report: "PlanReport", *, as_json: bool) -> None:
    """Print plans, as ``bench plan`` and ``bench run --dry-run`` do."""
    from bench.scheduler.estimates import duration

    if as_json:
        print_json({"cells": report.entries, "total": report.total})
        return
    headers = ("cell", "model", "dataset", "schedule", "seed", "state", "params(M)", "flops(M)", "time", "")
    click.echo(columns(headers, [_plan_row(entry) for entry in report.entries]))
    if report.estimates_s and report.unknown == len(report.estimates_s):
        time = "no time estimate yet: nothing similar has run on this machine"
    else:
        rest = f", {report.unknown} more without an estimate" if report.unknown else ""
        time = f"{duration(report.known_s)} on one slot{rest}"
    click.echo(f"\n{len(report.entries)} cells, {len(report.estimates_s)} to run: {time}")


def _plan_row(entry: "Entry") -> tuple[object, ...]:
    from bench.scheduler.estimates import duration

    def millions(key: str, digits: int) -> str:
        count = entry[key]
        return f"{count / 1e6:.{digits}f}" if isinstance(count, int) else "-"

    seconds = entry["estimate_s"]
    return (
        entry["id"],
        f"{entry['model']}{' (standard stem)' if entry['shows_stem'] else ''}",
        *(entry[key] for key in ("dataset", "schedule", "seed", "state")),
        millions("params", 3),
        millions("flops", 1),
        duration(seconds) if isinstance(seconds, float | int) else "-",
        entry["reason"],
    )


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


def default_format(output: str | None = None, *, runs: bool = False) -> str:
    """The format of tables where none was asked for: for people on a terminal, for documents in files and pipes."""
    if runs:
        return "runs"
    return "plain" if output is None and sys.stdout.isatty() else "markdown"


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


def say(text: str) -> None:
    """Print to standard output."""
    click.echo(text)


def note(text: str) -> None:
    """Say something on standard error."""
    click.echo(text, err=True)


def size(count: int) -> str:
    """Bytes as people say them: ``512 B``, ``3.4 MB``."""
    power = min(4, (len(str(count)) - 1) // 3)
    return f"{count} B" if not power else f"{count / 1000**power:.1f} {('', 'kB', 'MB', 'GB', 'TB')[power]}"
