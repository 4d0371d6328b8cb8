"""A suite's own MLflow run: the suite file, the plan, the tables and the curves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.plans import plan_entry

if TYPE_CHECKING:
    from bench.tracking import Store
    from bench.values import Outcome, Plan, Suite


def publish(
    store: "Store", suite: "Suite", outcomes: "Mapping[str, Outcome]", home: Path, plan: "Plan | None" = None
) -> None:
    """Keep a suite's tables, file and the curves of its cells below a BENCH_HOME in the suite's own run.

    Raises:
        TrackingError: The store takes no more.
    """
    from bench.report.render import render
    from bench.report.table import build_tables
    from bench.workspace.cells import curves

    tables = build_tables(suite, outcomes)  # of the whole suite, whatever part of it was asked for
    markdown = render(tables, "markdown", suite=suite)
    files = {
        "suite.yaml": suite.source,
        "tables.md": markdown,
        "tables.json": render(tables, "json", suite=suite),
        "tables.csv": render(tables, "csv", suite=suite),
        "curves.csv": curves(suite, home),
    }
    if plan:
        files["plan.json"] = json.dumps([plan_entry(task, {}) for task in plan.tasks], indent=1)
    store.publish(suite, markdown=markdown, files=files)
