"""``bench init``: a first suite file."""

from pathlib import Path

import click

from bench.cli.output import note


@click.command()
@click.argument("path", metavar="[FILE]", default="first.yaml", type=click.Path(path_type=Path, dir_okay=False))
def init(path: Path) -> None:
    """Write a small suite file with comments, by default first.yaml. It never replaces a file."""
    from bench.api.starter import write_suite

    write_suite(path)
    note(f"wrote {path}; run it with: bench run {path}")
