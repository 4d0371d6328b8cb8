"""The display of a run on a terminal: a line per running cell and one for the whole run, fitted to any width.

Numbers are never cut. Where the terminal is narrow, names shrink first, to the parts in which they differ; then the
bars, images/s and the loss go. Called by :mod:`bench.cli.progress`; it observes and decides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleRenderable, Group
from rich.live import Live
from rich.text import Text

from bench.cli.progress import CellProgress, RunProgress, ending, retrying
from bench.report.names import differing_parts, shorten
from bench.scheduler.estimates import duration
from bench.text import percent
from bench.values import Cell, Outcome, Plan

if TYPE_CHECKING:
    from rich.console import RenderableType

GAP = 2
"""Columns of the terminal between two columns of the table."""
MIN_NAME = 14
"""Columns that the names keep before other columns go."""
HEADERS = {"epoch": "epoch", "bar": "", "loss": "loss", "top1": "top-1", "speed": "images/s", "left": "left"}
WIDTHS = {"epoch": 5, "loss": 6, "top1": 7, "speed": 8, "left": 8}
"""Smallest widths, so that columns do not move while numbers grow."""


class Line(NamedTuple):
    """What the table shows of a running cell."""

    name: str
    share: float
    """Of its epochs that are done, 0 to 1."""
    texts: dict[str, str]
    """By column, without the name and the bar."""


@dataclass(frozen=True)
class Layout:
    """Which columns there are, and how wide."""

    name: int
    bar: int
    """0: none."""
    widths: dict[str, int]
    """Of the columns of numbers, from left to right."""

    @property
    def total(self) -> int:
        """Columns of the terminal that a line takes."""
        return self.name + self.bar + sum(self.widths.values()) + GAP * (len(self.widths) + (self.bar > 0))


def fit(names: Sequence[str], lines: Sequence[Line], width: int) -> Layout:
    """The layout for a terminal of ``width`` columns, for cells of the given names."""
    numbers = {
        column: max([least, len(HEADERS[column]), *(len(line.texts[column]) for line in lines)])
        for column, least in WIDTHS.items()
    }
    compact = max(map(cell_len, differing_parts(names)), default=MIN_NAME)
    full = max(map(cell_len, names), default=MIN_NAME)
    least = min(compact, MIN_NAME)
    short = [column for column in numbers if column != "speed"]
    shortest = [column for column in short if column != "loss"]
    layout = Layout(least, 0, numbers)
    for room, bar, columns in (
        (full, 20, list(numbers)),
        (compact, 20, list(numbers)),
        (compact, 10, list(numbers)),
        (least, 10, list(numbers)),
        (least, 10, short),
        (least, 10, shortest),
        (least, 0, shortest),
    ):
        layout = Layout(room, bar, {column: numbers[column] for column in columns})
        if layout.total <= width:
            break
    return Layout(max(1, min(full, layout.name + width - layout.total)), layout.bar, layout.widths)


class ResizableLive(Live):
    """rich's live display, which leaves nothing behind when the terminal becomes narrower.

    rich moves up by the lines that it drew. A terminal that becomes narrower wraps them anew, and they take more rows
    than they did.
    """

    drawn: Sequence[int] = ()
    """Lengths of the lines on the screen."""
    lengths: Sequence[int] = ()
    """Lengths of the lines that were made last."""

    def get_renderable(self) -> "RenderableType":
        """The next frame, whose lines are measured."""
        frame = super().get_renderable()
        lines = frame.renderables if isinstance(frame, Group) else []
        self.lengths = [line.cell_len for line in lines if isinstance(line, Text)]
        return frame

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Count the rows that the last frame takes now, before it is erased."""
        with self._lock:
            if self._live_render._shape is not None:
                width = max(1, self.console.width)
                self._live_render._shape = (width, sum(max(1, -(-length // width)) for length in self.drawn))
            self.drawn = self.lengths
            return super().process_renderables(renderables)


class LiveProgress(RunProgress):
    """A table, redrawn four times per second; cells that end scroll by above it."""

    def __init__(self, plan: Plan, console: Console) -> None:
        super().__init__(plan)
        self._console = console
        self._titles = {task.cell.id: self.titles[task.cell.id] for task in plan.to_run}
        self._live = ResizableLive(console=console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        """Let the line of an attempt that was lost scroll by."""
        super().retried(cell, outcome)
        self._console.print(retrying(self.titles[cell.id], outcome), style="yellow", markup=False, highlight=False)

    def finished(self, cell: Cell, outcome: Outcome) -> None:
        """Let the line of a cell that ended scroll by."""
        super().finished(cell, outcome)
        style = {"complete": "green", "failed": "red"}.get(outcome.state, "yellow")
        self._console.print(ending(self.titles[cell.id], outcome), style=style, markup=False, highlight=False)

    def _table(self) -> "RenderableType":
        # a column stays free: a line that fills the last one leaves some terminals' cursor on the next row
        width, height = self._console.width - 1, self._console.height
        lines = [self._line(each) for each in list(self.cells.values())]
        layout = fit(list(self._titles.values()), lines, width)
        names = dict(zip(self._titles, shorten(list(self._titles.values()), layout.name), strict=True))
        shown = lines[: max(1, height - 4)]
        texts = [self._row("cell", layout, HEADERS, Text(" " * layout.bar))]
        texts += [self._row(names[line.name], layout, line.texts, self._bar(line.share, layout.bar)) for line in shown]
        if len(lines) > len(shown):
            texts.append(Text(f"and {len(lines) - len(shown)} more running"))
        texts.append(self._total(layout))
        for text in texts:
            text.no_wrap, text.overflow = True, "crop"
            text.truncate(width)
        return Group(*texts)

    def _line(self, each: CellProgress) -> Line:
        epochs, left = each.cell.recipe.epochs, each.left_s(self.clock())
        texts = {
            "epoch": f"{min(each.epochs_done + 1, epochs)}/{epochs}",
            "loss": "" if each.loss is None else f"{each.loss:.3f}",
            "top1": "" if each.top1 is None else f"{percent(each.top1)}%",
            "speed": "" if each.images_per_s is None else f"{each.images_per_s:,.0f}",
            "left": "starting" if left is None else duration(left),
        }
        return Line(each.cell.id, min(1.0, (each.epochs_done + each.share) / epochs), texts)

    def _row(self, name: str, layout: Layout, texts: dict[str, str], bar: Text) -> Text:
        parts = [Text(set_cell_size(name, layout.name))]
        for column, width in layout.widths.items():
            parts.append(Text(texts[column].rjust(width)))
            if column == "epoch" and layout.bar:
                parts.append(bar)
        return Text(" " * GAP).join(parts)

    def _total(self, layout: Layout) -> Text:
        """The line of the whole run; its time left stands below those of the cells."""
        left, unknown = self.left()
        at_the_end = "" if not left else f"{'>' if unknown else ''}{duration(left)}"
        failed = f", {self.failed} failed" if self.failed else ""
        so_far = duration(self.clock() - self.began)
        room = layout.total - len(at_the_end) - GAP
        before_bar = layout.name + GAP + layout.widths["epoch"]
        count = f"{self.done} of {self.total} done{failed}"
        text = next(
            (text for text in (f"{count}, {so_far} so far", f"{count}, {so_far}", count) if len(text) <= before_bar), ""
        )
        if text and layout.bar:
            line = Text(text.ljust(before_bar) + " " * GAP) + self._bar(self.share_done(), layout.bar)
        else:
            short = f"{self.done}/{self.total} done{failed}"
            texts = (f"{count}, {so_far} so far", f"{count}, {so_far}", count, short, f"{self.done}/{self.total}")
            line = Text(next((text for text in texts if len(text) <= room), texts[-1]))
        return line + Text(" " * (layout.total - line.cell_len - len(at_the_end)) + at_the_end)

    def _bar(self, share: float, width: int) -> Text:
        full = round(max(0.0, min(1.0, share)) * width)
        mark = "━" if "utf" in (self._console.encoding or "").lower() else "="
        rest = mark if mark == "━" and self._console.color_system else " "
        return Text(mark * full, "bar.complete") + Text(rest * (width - full), "bar.back")

    def __enter__(self) -> "LiveProgress":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the table off the screen."""
        self._live.stop()
