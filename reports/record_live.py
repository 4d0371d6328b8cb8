"""Record the live display of a real run as a picture: ``python reports/record_live.py suites/digits.yaml live.svg``.

The run is the one that ``bench run`` makes, in a temporary folder; the display is the one that it shows on a terminal.
The picture is taken after half of the cells have ended.
"""

import io
import os
import re
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from bench.api.options import Caller, RunOptions
from bench.api.run import run_suites
from bench.cli.live import LiveProgress
from bench.cli.progress import ending
from bench.suite import load_suite
from bench.values import Cell, Outcome, Plan

WIDTH = 104
"""Columns of the terminal."""


class Recorder(LiveProgress):
    """The live display, which keeps what scrolls by and takes one picture of it all."""

    def __init__(self, plan: Plan, picture: Path, title: str) -> None:
        self._screen = Console(file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor")
        super().__init__(plan, self._screen)
        self._picture, self._title, self._ended = picture, title, list[tuple[str, str]]()

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """Keep the line of a cell that ended."""
        super().finished(cell, outcome)
        self._ended.append((ending(self.titles[cell.id], outcome), "green" if outcome.state == "complete" else "red"))

    def event(self, cell: Cell, event: object) -> None:
        """Take the picture in the middle of the run, while cells are in the middle of an epoch."""
        super().event(cell, event)  # type: ignore[arg-type]
        if 2 * len(self._ended) >= self.total and all(shown.loss is not None for shown in self.cells.values()):
            self.take()

    def take(self) -> None:
        """Write the picture, once."""
        if self._picture.exists():
            return
        page = Console(file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, color_system="truecolor")
        page.print(f"$ {self._title}", markup=False, highlight=False)
        for line, style in self._ended:
            page.print(line, style=style, markup=False, highlight=False)
        page.print(self._table())
        svg = page.export_svg(title=self._title)
        # the font would be fetched from a content host; a picture in a README makes no request
        self._picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


def main(suite: str, picture: str) -> None:
    """Run the suite in a temporary folder and write the picture."""
    title, path = f"bench run {suite}", Path(picture).absolute()
    loaded = load_suite(suite)
    path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_HOME"] = f"{folder}/.bench"
        options = RunOptions(offline=True)
        caller = Caller(display=lambda plan: nullcontext(Recorder(plan, path, title)))
        for _ in run_suites([loaded], options, caller):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
