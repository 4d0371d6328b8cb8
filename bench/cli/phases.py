"""What ``bench run`` does before cells run: a line with the time it takes so far on a terminal, else a line each."""

import time
from typing import TYPE_CHECKING

from bench.cli.output import note
from bench.cli.progress import wall_time
from bench.scheduler.estimates import duration
from bench.text import one_line

if TYPE_CHECKING:
    from bench.cli.live import ResizableLive


class Phases:
    """Shows one phase at a time; called with its name, and ended before anything else is displayed."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._live: ResizableLive | None = None

    def __call__(self, text: str) -> None:
        """A phase begins; the one before is over."""
        text = one_line(text)
        self.end()
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            note(f"{wall_time()} {text}")
            return
        from rich.console import Group
        from rich.text import Text

        from bench.cli.live import ResizableLive

        began = time.monotonic()

        def line() -> Group:
            return Group(Text(f"{duration(time.monotonic() - began)} {text}", no_wrap=True, overflow="ellipsis"))

        # transient: nothing stays when the phase is over
        self._live = ResizableLive(console=self._console, get_renderable=line, refresh_per_second=2, transient=True)
        self._live.start(refresh=True)

    def end(self) -> None:
        """Nothing is shown any more."""
        if self._live is not None:
            self._live.stop()
            self._live = None
