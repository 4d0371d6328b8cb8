"""Results and curves of suites as frames; see :func:`bench.api.results`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.api.known import known_outcomes
from bench.api.outcomes import choose_suites, find_store
from bench.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame

    from bench.values import Suite


def results_of(suites: "Suite | Sequence[Suite] | None", by: str, tracking_uri: str | None) -> "DataFrame":
    """The results of suites, by cell or by row of a table.

    Raises:
        UsageError: There is no suite, two have one name, or ``by`` is another word.
        TrackingError: The store cannot be read.
    """
    from bench.report.frame import results_frame, rows_frame
    from bench.report.table import build_tables

    if by not in ("cell", "row"):
        raise UsageError(f"results are by 'cell' or by 'row', not by {by!r}")
    store = find_store(tracking_uri)
    known = [(suite, known_outcomes(store, suite).outcomes) for suite in choose_suites(suites, store)]
    if by == "row":
        return rows_frame([table for suite, outcomes in known for table in build_tables(suite, outcomes)])
    return results_frame(*known)


def curves_of(suites: "Suite | Sequence[Suite] | None", tracking_uri: str | None) -> "DataFrame":
    """The curves of suites, from the journals on this machine.

    Raises:
        UsageError: There is no suite, or two have one name.
        TrackingError: The store cannot be read.
    """
    from bench.report.frame import curves_frame
    from bench.workspace.paths import bench_home

    chosen = choose_suites(suites, find_store(tracking_uri) if suites is None else None)
    return curves_frame(chosen, bench_home())
