"""``bench ui``: the MLflow UI on the store in use."""

import shlex
from pathlib import Path

import click

from bench.cli.options import tracking_option
from bench.errors import UsageError


@click.command()
@tracking_option
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def ui(tracking_uri: str | None, port: int, host: str) -> None:
    """Open the MLflow UI on the store in use; Ctrl-C ends it."""
    from bench.tracking import resolve_uri, serve_ui, store_exists

    uri = resolve_uri(tracking_uri, Path.cwd())
    if not store_exists(uri):
        example = shlex.join(["bench", "run", "suites/digits.yaml"])
        raise UsageError(f"there is no store here yet ({uri}); {example} makes one")
    raise SystemExit(serve_ui(uri, port=port, host=host))
