"""A fixture that runs cells through the loop."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.runs import SLOT, Silent

from bench.scheduler.attempts import RunContext
from bench.scheduler.fake import FakeLauncher
from bench.scheduler.loop import StopRequest, run_plan
from bench.scheduler.plan import make_plan
from bench.values import Cell, Outcome, Suite
from bench.workspace.cells import local_outcomes

Run = Callable[..., dict[str, Outcome]]


@pytest.fixture
def run(project: Path, make_suite: Callable[..., Suite]) -> Run:
    def run_cells(cells: list[Cell], launcher: FakeLauncher, **options: object) -> dict[str, Outcome]:
        home = project / ".bench"
        suite = make_suite(*cells)
        select = "all" if options.pop("rerun", False) else "missing"
        plan = make_plan(suite, local_outcomes(suite, home), {}, select=select)  # type: ignore[arg-type]
        silent = options.pop("silent", Silent())
        context = RunContext(
            suite="test",
            launcher=launcher,
            slots=options.pop("slots", [SLOT]),  # type: ignore[arg-type]
            forwarder=silent,  # type: ignore[arg-type]
            observer=silent,  # type: ignore[arg-type]
            home=home,
            data_home=project / "data",
            sleep=options.pop("sleep", lambda _: None),  # type: ignore[arg-type]
            **options,  # type: ignore[arg-type]
        )
        found = run_plan(plan, context, StopRequest())
        return {cell.model: found[cell.id] for cell in cells if cell.id in found}

    return run_cells
