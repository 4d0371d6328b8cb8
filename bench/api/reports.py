"""The tables of suites from their runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.api.known import known_outcomes

if TYPE_CHECKING:
    from bench.report.model import Table
    from bench.tracking import Store
    from bench.values import Suite


def render_suites(suites: "Sequence[Suite]", store: "Store | None", format_: str, best: bool) -> tuple[str, int]:
    """The tables of suites as one text, and how many of their cells have no result."""
    from bench.report.render import join, render
    from bench.report.table import build_tables, distinct_titles

    tables: list[Table] = []
    missing = 0
    for suite in suites:
        outcomes = known_outcomes(store, suite).outcomes
        missing += sum(cell.id not in outcomes or outcomes[cell.id].state != "complete" for cell in suite.cells)
        tables += build_tables(suite, outcomes, best=best)
    titled = distinct_titles(tables)
    texts = [
        render([table for table in titled if table.suite == suite.name], format_, suite=suite, best=best)
        for suite in suites
    ]
    return join(texts, format_), missing
