"""The display of a run on a terminal: what is cut where it is narrow, and what stays on the screen."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.catalog.labels import titles
from bench.cli.live import LiveProgress, fit
from bench.scheduler.devices import Slot
from bench.scheduler.plan import make_plan
from bench.values import Cell, Outcome, Plan, Suite
from bench.workspace.events import EpochDone

METRICS = {"train/loss": 0.5, "train/lr": 0.1, "test/loss": 0.6, "test/top1": 81.25, "test/top5": 99.0}
FIRST = EpochDone(epoch=1, metrics=METRICS, epoch_s=10.0, images_per_s=1250.0)
LONG = "timm/convnextv2_atto_with_a_very_long_name.fcmae_ft_in1k"


def slot(number: int) -> Slot:
    return Slot(name=f"cpu {number}", device="cpu", visible="", threads=1)


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def plan(make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]) -> Plan:
    return make_plan(make_suite(*(make_cell(f"{LONG}_{size}") for size in ("s", "l"))), {}, {})


def make(plan: Plan, width: int = 120, height: int = 30) -> tuple[LiveProgress, Clock, io.StringIO]:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, width=width, height=height, force_terminal=True, color_system=None)
    display = LiveProgress(plan, console)
    display.clock, display.began = clock, clock.now
    return display, clock, stream


def rendered(display: LiveProgress, width: int) -> list[str]:
    """The lines of the table that would be on the screen now."""
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(display._table())
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_number_is_cut_and_names_differ_at_any_width(plan: Plan, width: int) -> None:
    display, clock, _ = make(plan, width)
    for number, cell in enumerate(plan.suite.cells):
        display.started(cell, slot(number), 1)
        display.event(cell, FIRST)
    clock.now += 3700
    header, first, second, total = rendered(display, width)
    assert all(len(line) <= width for line in (header, first, second, total))
    for text in ("2/2", "81.25%", "1h01m"):
        assert text in first
        assert text in second
    assert first != second, "the part of the names in which they differ is kept"
    assert total.endswith("1h01m")
    assert "0 of 2" in total or "0/2" in total
    assert ("1,250" in first) == (width > 60)
    assert ("0.500" in first) == (width > 60)


def test_a_running_cell_without_results_says_starting(plan: Plan) -> None:
    display, _, _ = make(plan)
    display.started(plan.suite.cells[0], slot(0), 1)
    assert rendered(display, 120)[1].endswith("starting")


def test_more_cells_than_rows_are_counted(make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]) -> None:
    plan = make_plan(make_suite(*(make_cell(seed=seed) for seed in range(12))), {}, {})
    display, _, _ = make(plan, 80, height=10)
    for number, cell in enumerate(plan.suite.cells):
        display.started(cell, slot(number), 1)
    lines = rendered(display, 80)
    assert len(lines) < 10
    assert lines[-2] == "and 6 more running"
    assert "0 of 12 done" in lines[-1]


def test_cells_that_end_are_printed_above_the_table(plan: Plan) -> None:
    display, _, stream = make(plan)
    cell = plan.suite.cells[0]
    with display:
        display.started(cell, slot(0), 1)
        display.finished(cell, Outcome(cell_id=cell.id, state="failed", kind="oom", reason="out of [memory]"))
    assert f"failed (oom) {titles(plan.suite.cells)[cell.id]}: out of [memory]" in stream.getvalue()
    assert "0 of 2 done, 1 failed" in rendered(display, 120)[-1]


def test_a_frame_is_erased_as_the_terminal_wrapped_it(plan: Plan) -> None:
    display, _, stream = make(plan, 100)
    for number, cell in enumerate(plan.suite.cells):
        display.started(cell, slot(number), 1)
    display._live.auto_refresh = False
    display._live.start()
    try:
        display._live.refresh()
        lengths = list(display._live.lengths)
        display._console.size = display._console.size._replace(width=50)
        stream.truncate(0)
        display._live.refresh()
        moved = stream.getvalue().partition("cell")[0].count("\x1b[1A")
        assert moved == sum(-(-length // 50) for length in lengths) - 1
    finally:
        display._live.stop()


@given(st.integers(30, 300), st.integers(1, 80))
def test_fit_leaves_no_column_of_numbers_without_room(width: int, length: int) -> None:
    layout = fit(["x" * length], [], width)
    assert layout.total <= max(width, 40)
    assert {"epoch", "top1", "left"} <= layout.widths.keys()


SCRIPT = """
import sys
from bench.cli.progress import make_progress
from bench.scheduler.devices import Slot
from bench.scheduler.plan import make_plan
from bench.values import Cell, Component, Recipe, Suite, from_json
from bench.workspace.events import Progress

suite = from_json(Suite, sys.stdin.read())
with make_progress(make_plan(suite, {}, {})) as display:
    for number, cell in enumerate(suite.cells):
        display.started(cell, Slot(name=f"cpu {number}", device="cpu", visible="", threads=1), 1)
        display.event(cell, Progress(epoch=1, step=1, steps=4, images_per_s=1234.0))
    display._live.refresh()
"""


@pytest.mark.parametrize("columns", [60, 80])
def test_a_real_terminal_shows_whole_lines(plan: Plan, columns: int) -> None:
    from bench.values import to_json

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR", "CI")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=to_json(plan.suite).encode(),
        stderr=theirs,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
        env={**environment, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown = read_all(ours)
    assert not done.stdout
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n").splitlines()
    total = [line for line in lines if "0 of 2 done" in line][-1]
    assert re.search(r"\d+s$", total), total
    assert max(map(len, lines)) < columns
    assert "1/2" in shown


def read_all(descriptor: int) -> str:
    """What was written to the other end of a terminal that is closed now."""
    content = b""
    try:
        while chunk := os.read(descriptor, 65536):
            content += chunk
    except OSError:  # Linux's end of file
        pass
    os.close(descriptor)
    return content.decode()
