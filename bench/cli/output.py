"""What commands print: columns, JSON, files, and sentences on standard error.

The one place that prints. Names, reasons and logs come from nets, stores and other people: what a terminal would act
on is left out of them. Nothing that is printed can end a command: not an encoding, nor a reader that has gone.
"""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from bench.errors import UsageError
from bench.text import counted, millions, one_line, printable

if TYPE_CHECKING:
    from bench.api.plans import Entry, PlanReport


def say(text: str, *, style: str = "") -> None:
    """Print to standard output, its first word in a colour if one is given.

    Raises:
        BrokenPipeError: The reader of standard output is gone.
    """
    text = printable(text)
    if style and sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        word, space, rest = text.partition(" ")
        text = click.style(word, style) + space + rest
    print(text, flush=True)  # not click.echo, which takes UTF-8 where the terminal has ASCII


def note(text: str) -> None:
    """Say something on standard error; to nobody if its reader is gone, because the work goes on."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except BrokenPipeError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Discard what is still to be written to a stream whose reader is gone: flushing it would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def prepare_streams() -> None:
    """Have standard streams take every character, and open those that the caller closed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # else the next file that is opened would get all that is printed
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def columns(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned plain text columns, one line per row."""
    from tabulate import tabulate

    lines = [[one_line(str(value)) for value in row] for row in rows]
    return str(tabulate(lines, headers, tablefmt="plain", disable_numparse=True))


def print_json(content: Mapping[str, object]) -> None:
    """Print a JSON document with its schema version at the top."""
    import json

    write_output(json.dumps({"schema": 1, **content}, indent=2), None)


def print_plans(report: "PlanReport", *, as_json: bool) -> None:
    """Print plans, as ``bench plan`` and ``bench run --dry-run`` do."""
    from bench.scheduler.estimates import duration

    if as_json:
        print_json({"cells": report.entries, "total": report.total})
        return
    suites = len({entry["suite"] for entry in report.entries}) > 1
    differing = any(entry["variant"] for entry in report.entries)
    names = [
        *(["suite"] if suites else []),
        "dataset",
        "schedule",
        *(["variant"] if differing else []),
        "seed",
        "state",
    ]
    titles = ["recipe" if name == "variant" else name for name in names]
    headers = ("cell", "model", *titles, "params(M)", "flops(M)", "time", "")
    say(columns(headers, [_plan_row(entry, names) for entry in report.entries]))
    if report.estimates_s and report.unknown == len(report.estimates_s):
        time = "no time estimate yet: nothing similar has run on this machine"
    else:
        rest = f", {report.unknown} more without an estimate" if report.unknown else ""
        time = f"{duration(report.known_s)} on one slot{rest}"
    say(f"\n{counted(len(report.entries), 'cell')}, {len(report.estimates_s)} to run: {time}")


def _plan_row(entry: "Entry", names: Sequence[str]) -> tuple[object, ...]:
    from bench.scheduler.estimates import duration

    params, flops, seconds = entry["params"], entry["flops"], entry["estimate_s"]
    return (
        entry["id"],
        entry["name"],
        *(entry[name] for name in names),
        millions(params if isinstance(params, int) else None),
        millions(flops if isinstance(flops, int) else None, 1),
        duration(seconds) if isinstance(seconds, float | int) else "-",
        entry["reason"],
    )


def print_table(text: str) -> None:
    """Print what a suite gave; to nobody if the reader of standard output is gone, because other suites follow."""
    try:
        write_output(text, None)
    except BrokenPipeError:
        silence(sys.stdout)


def write_output(text: str, output: str | None) -> None:
    """Print to standard output (no path, or ``-``), write to a device or a pipe, or replace a file whole.

    Raises:
        UsageError: The file cannot be written.
        BrokenPipeError: The reader of standard output is gone.
    """
    text = text if text.endswith("\n") else text + "\n"
    if output in (None, "-"):
        # not through say: a table is one text of many lines, and its formats have cleaned every name in it
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    from bench.workspace.files import write_atomically

    path = Path(output or "")
    check_writable(path)
    content = text.encode(errors="replace")
    if is_special(path):
        path.write_bytes(content)
    else:
        write_atomically(path.resolve(), content)  # a link stays, and what it leads to is replaced


def is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or a socket, which is written to and never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def default_format(output: str | None = None, *, runs: bool = False) -> str:
    """The format of tables where none was asked for: for people on a terminal, for documents in files and pipes."""
    if runs:
        return "runs"
    return "plain" if output is None and sys.stdout.isatty() else "markdown"


def check_writable(path: Path, option: str = "--output") -> None:
    """Refuse an output path before work is done for it.

    Raises:
        UsageError: It is a folder, its folder does not exist, or nothing can be written there.
    """
    import tempfile

    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder: name a file in it")
    if is_special(path):
        if not os.access(path, os.W_OK):
            raise UsageError(f"{option} {path} cannot be written: Permission denied")
        return
    folder = path.resolve().parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be written: {error.strerror} ({folder})") from error


def size(count: int) -> str:
    """Bytes as people say them: ``512 B``, ``3.4 MB``."""
    power = min(4, (len(str(count)) - 1) // 3)
    return f"{count} B" if not power else f"{count / 1000**power:.1f} {('', 'kB', 'MB', 'GB', 'TB')[power]}"


def confirm(question: str) -> None:
    """Ask before something is removed; end the command where the answer is not yes, or where nobody answers."""
    try:
        if click.confirm(question, err=True):
            return
    except click.Abort:
        note("")
    note("nothing was removed (--yes answers for you)")
    raise SystemExit(1)
