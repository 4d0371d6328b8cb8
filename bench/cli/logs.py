"""``bench logs``: what a cell's worker printed, and its traceback."""

import click

from bench.cli.options import tracking_option
from bench.cli.output import note, say


@click.command()
@click.argument("cell")
@click.option("--attempt", type=click.IntRange(min=1), help="Number of the attempt.  [default: the last]")
@tracking_option
def logs(cell: str, attempt: int | None, tracking_uri: str | None) -> None:
    """Print the log and the traceback of a cell's last attempt; CELL is the beginning of its id."""
    from bench.api.cells import attempt_of, find_cell
    from bench.api.outcomes import find_readable_store

    found = find_cell(cell, find_readable_store(tracking_uri, note))
    chosen = attempt_of(found, attempt)
    note(f"attempt {chosen.number} at {found.cell.title} ({chosen.root})")
    texts = [file.read_text(errors="replace") for file in (chosen.log, chosen.traceback) if file.exists()]
    if not any(text.strip() for text in texts):
        note("it printed nothing")
    for text in texts:
        if text.strip():
            say(text.rstrip("\n"))
