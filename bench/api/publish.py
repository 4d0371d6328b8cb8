"""A suite's own MLflow run: the suite file, the plan, the tables, the curves, and the report with its pictures."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.plans import plan_entries
from bench.errors import BenchError
from bench.text import one_line

if TYPE_CHECKING:
    from bench.api.options import Note
    from bench.report.model import Report, Table
    from bench.tracking import Store
    from bench.values import Plan, Suite


MIN_TRAINED_S = 120.0
"""Training time of a suite from which on its report is drawn, which takes seconds; in seconds."""
DRAWING_S = 120.0
"""How long the drawing may take, in seconds."""
MAX_BYTES = 10_000_000
"""Size of a file from which on it is not sent to the store."""


def publish(
    store: "Store",
    suite: "Suite",
    tables: "Sequence[Table]",
    home: Path,
    plan: "Plan | None" = None,
    here: "Suite | None" = None,
    drawn: "Path | None" = None,
) -> None:
    """Keep the tables of a whole suite, its file and the curves of its cells below a BENCH_HOME in the suite's own run.

    Args:
        store: The store.
        suite: The suite.
        tables: Its tables.
        home: The BENCH_HOME.
        plan: What the run that ends was to do.
        here: The suite with the cells whose curves are read; all of them by default.
        drawn: A folder with files for the run, too, as :func:`draw` leaves it.

    Raises:
        TrackingError: The store takes no more.
    """
    from bench.report.curves import curves
    from bench.report.render import render

    markdown = render(tables, "markdown", suites=[suite])
    files = {
        "suite.yaml": suite.source,
        "tables.md": markdown,
        "tables.json": render(tables, "json", suites=[suite]),
        "tables.csv": render(tables, "csv", suites=[suite]),
        "curves.csv": curves(here or suite, home),
    }
    if plan:
        files["plan.json"] = json.dumps(plan_entries(plan), indent=1)
    store.publish(suite, markdown=markdown, files=files, folder=drawn)


def draw(report: "Report", folder: Path, note: "Note") -> None:
    """Draw a report's page and pictures into a folder; what cannot be drawn is left out, and ``note`` says why.

    A suite that trained for less than :data:`MIN_TRAINED_S` has none: drawing takes ten seconds of a processor.
    """
    rows = [row for table in report.tables for row in table.rows]
    if sum(run.seconds or 0.0 for row in rows for run in row.runs) < MIN_TRAINED_S:
        return
    note("drawing the report for the MLflow UI")
    problem = _draw(report, folder)
    large = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > MAX_BYTES]
    for path in large:
        path.unlink()
    if problem or large:
        problem = problem or f"{', '.join(path.name for path in large)} would be larger than {MAX_BYTES // 10**6} MB"
        note(f"the report in the store is without its page or pictures: {problem[:300]}; bench report draws them")


def _draw(report: "Report", folder: Path) -> str:
    """Draw in a process of its own. Returns why that failed; empty if it did not."""
    from bench.scheduler.launcher import LocalHandle, prepare, start_call

    with tempfile.NamedTemporaryFile("r", errors="replace") as log:
        try:
            prepare([])
            process = start_call("bench.report.pictures:draw", log.name, dict(os.environ), report, folder)
        except (BenchError, OSError) as error:
            return one_line(str(error))
        process.join(DRAWING_S)
        code = process.exitcode
        LocalHandle(process).kill()
        process.join()
        lines = log.read().strip().splitlines() or ["no message"]
    if code is None:
        return f"not finished within {DRAWING_S:g} s"
    return one_line(lines[-1]) if code else ""


def drawing_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder for what is drawn, which its block removes."""
    return tempfile.TemporaryDirectory(prefix="bench-report-", ignore_cleanup_errors=True)
