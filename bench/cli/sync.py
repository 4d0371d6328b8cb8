"""``bench sync``: replays the journals of offline or cut-off runs into MLflow, any number of times, from anywhere."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.options import tracking_option
from bench.cli.output import note
from bench.errors import TrackingError


@click.command()
@click.argument("paths", metavar="DIR...", nargs=-1, type=click.Path(path_type=Path))
@tracking_option
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Give up when the store has taken nothing for this long.",
)
def sync(paths: Sequence[Path], tracking_uri: str | None, wait: float) -> None:
    """Send the journals of offline or cut-off runs to MLflow.

    DIR is a BENCH_HOME (by default the one in use) or a folder that holds .bench, from this machine or copied from
    another. Sending again is harmless: a cell stays one run, and no point is stored twice.
    """
    from bench.api import forwarding

    if problems := forwarding.sync(paths, tracking_uri=tracking_uri, wait_s=wait, note=note):
        raise TrackingError("\n".join(problems))
