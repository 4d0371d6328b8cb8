"""A suite's own MLflow run: the suite file, the plan, the tables and the curves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.plans import plan_entries

if TYPE_CHECKING:
    from bench.report.model import Table
    from bench.tracking import Store
    from bench.values import Plan, Suite


def publish(
    store: "Store",
    suite: "Suite",
    tables: "Sequence[Table]",
    home: Path,
    plan: "Plan | None" = None,
    here: "Suite | None" = None,
) -> None:
    """Keep the tables of a whole suite, its file and the curves of its cells below a BENCH_HOME in the suite's own run.

    Args:
        store: The store.
        suite: The suite.
        tables: Its tables.
        home: The BENCH_HOME.
        plan: What the run that ends was to do.
        here: The suite with the cells whose curves are read; all of them by default.

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
    store.publish(suite, markdown=markdown, files=files)
