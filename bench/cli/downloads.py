"""The display of downloads by ``bench run`` and ``bench data get``: a bar on a terminal, else a line per file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.cli.output import note

if TYPE_CHECKING:
    from bench.datasets.published import Progress


@contextmanager
def show_downloads() -> Iterator["Progress"]:
    """A download bar on a terminal, else one line per file. Yields what :func:`require` reports progress to."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def on_progress(file: str, received: int, expected: int) -> None:
        if file not in tasks:
            tasks[file] = bars.add_task(file, total=expected or None)
            if not console.is_terminal:
                note(f"downloading {file} ({expected / 1e6:.1f} MB)")
        bars.update(tasks[file], completed=received, total=expected or None)

    with bars:
        yield on_progress
