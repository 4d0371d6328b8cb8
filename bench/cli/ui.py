"""``bench ui``: the MLflow UI on the store in use."""

import os
import shlex
import sys
from pathlib import Path

import click

from bench.cli.options import tracking_option
from bench.errors import UsageError


@click.command()
@click.argument("suite", metavar="[SUITE]", required=False)
@tracking_option
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--browser/--no-browser", default=None, help="Open the page.  [default: on a graphical desktop]")
def ui(suite: str | None, tracking_uri: str | None, port: int, host: str, browser: bool | None) -> None:
    """Open the training runs of a suite (its name or its file) in the MLflow UI; Ctrl-C ends it.

    Without a suite it is the one that ran last.
    """
    from bench.api.outcomes import load_suites
    from bench.tracking import resolve_uri, serve_ui, store_exists

    uri = resolve_uri(tracking_uri, Path.cwd())
    if not store_exists(uri):
        example = shlex.join(["bench", "run", "suites/digits.yaml"])
        raise UsageError(f"there is no store here yet ({uri}); {example} makes one")
    name = load_suites([suite])[0].name if suite and Path(suite).is_file() else suite
    browse = has_desktop() if browser is None else browser
    raise SystemExit(serve_ui(uri, suite=name, port=port, host=host, browse=browse))


def has_desktop() -> bool:
    """Whether a browser would open beside this terminal, and not in it."""
    shown = sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return shown and sys.stderr.isatty() and "SSH_CONNECTION" not in os.environ
