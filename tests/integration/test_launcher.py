"""The contract of launchers, kept by the one that starts processes and by the fake."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.runs import SLOT, attempt_of

from bench.scheduler.fake import FakeLauncher
from bench.scheduler.launcher import Launcher, LocalLauncher
from bench.values import Attempt, from_json
from bench.workspace.paths import CellFolder


def until(condition: Callable[[], bool]) -> bool:
    """Whether a condition became true within a minute."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("make_launcher", [LocalLauncher, FakeLauncher])
def test_a_launcher_writes_the_request_and_its_handle_reports_a_kill(
    project: Path, make_cell: MakeCell, make_launcher: Callable[[], Launcher]
) -> None:
    (project / "nets.py").write_text("import time\ndef net(num_classes): time.sleep(100)\n")
    cell = make_cell("nets.py:net")
    folder = CellFolder.of(project / ".bench", cell.id)
    attempt = attempt_of(cell, folder, project / "data")
    handle = make_launcher().start(attempt, SLOT)
    paths = folder.attempt(1)
    assert from_json(Attempt, paths.request.read_text()) == attempt
    assert until(lambda: paths.journal.exists() and paths.journal.stat().st_size > 0)
    assert handle.poll() is None
    handle.kill()
    assert until(lambda: handle.poll() is not None)
    assert handle.poll() == -9
    handle.kill()  # of an attempt that has ended: nothing happens
    assert handle.poll() == -9
