"""What is known of a suite's cells: from the store, from the folders of this machine, and under the cells' other names.

A result counts wherever it is: in another suite's experiment, under another spelling of a path, or of a file of nets
that was moved since. A run that somebody deleted in the store is missing, although the journals are still here.
"""

import json
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.api.prepare import prepare_data
from bench.errors import DataError
from bench.values import Cell, Outcome

if TYPE_CHECKING:
    from bench.datasets.prepared import Prepared
    from bench.tracking import Store
    from bench.values import DataKey, Suite

DELETED = "its run was deleted in the store"
"""Reason of a cell whose journals are here and whose run was deleted."""


class Known(NamedTuple):
    """What is known of a suite's cells, by cell id."""

    stored: Mapping[str, Outcome]
    """What the store says."""
    outcomes: Mapping[str, Outcome]
    """That, merged with what the folders of this machine say. Stale results are marked."""


def known_outcomes(store: "Store | None", suite: "Suite", data: "Mapping[DataKey, Prepared] | None" = None) -> Known:
    """What the store and the folders of this machine know of a suite's cells.

    First, attempts whose process died are marked as lost, in the journals and in the store. ``data`` holds data sets
    whose current state is known already.
    """
    from bench.scheduler.plan import mark_stale, merge_outcomes
    from bench.workspace.cells import local_outcomes, mark_lost
    from bench.workspace.paths import bench_home, cell_names

    home = bench_home()
    mark_lost(suite, home)
    stored: dict[str, Outcome] = {}
    if store:
        store.mark_orphans_lost(suite.name)
        stored = store.outcomes(suite.name)
        if wanted := {cell.id for cell in suite.cells} - complete(stored):
            stored |= store.outcomes_elsewhere(wanted)
    local = local_outcomes(suite, home, stored)
    deleted = store.deleted_series(suite.name) if store and cell_names(home) else set[str]()
    merged = merge_outcomes(stored, {cell_id: without_deleted(local[cell_id], deleted, home) for cell_id in local})
    merged |= renamed_results(suite, merged, deleted, home)
    return Known(stored, mark_stale(suite.cells, merged, current_digests(suite, merged, data or {})))


def complete(outcomes: Mapping[str, Outcome]) -> set[str]:
    """The ids of cells that have a result."""
    return {cell_id for cell_id, outcome in outcomes.items() if outcome.state == "complete"}


def without_deleted(outcome: Outcome, deleted: Set[str], home: Path) -> Outcome:
    """A local outcome; a missing one if it belongs to a series of attempts whose run was deleted in the store."""
    from bench.workspace.cells import series_name
    from bench.workspace.paths import CellFolder

    if not deleted or outcome.state == "running" or series_name(CellFolder.of(home, outcome.cell_id)) not in deleted:
        return outcome
    return Outcome(cell_id=outcome.cell_id, state="missing", kind="deleted", reason=DELETED)


def renamed_results(suite: "Suite", known: Mapping[str, Outcome], deleted: Set[str], home: Path) -> dict[str, Outcome]:
    """Results of cells that have none under their own id: under another spelling of a path, or of a file that moved.

    Args:
        suite: Whose cells.
        known: What is known under any id.
        deleted: The series of attempts whose runs were deleted in the store.
        home: The BENCH_HOME.
    """
    from bench.suite.spelling import other_ids
    from bench.workspace.cells import read_outcome
    from bench.workspace.paths import CellFolder, cell_names

    names, found = cell_names(home), dict[str, Outcome]()
    moved = moved_cells(suite, complete(known), home) if names else {}
    for cell in suite.cells if names or known else ():
        if cell.id in known and known[cell.id].state in ("complete", "running"):
            continue
        for other in (*other_ids(cell), *moved.get(cell.id, ())):
            outcome = known.get(other)
            if outcome is None and other in names:
                outcome = without_deleted(read_outcome(other, CellFolder.of(home, other)), deleted, home)
            if outcome and outcome.state == "complete":
                found[cell.id] = replace(outcome, cell_id=cell.id)
    return found


def moved_cells(suite: "Suite", done: Set[str], home: Path) -> dict[str, list[str]]:
    """By id of a cell without a result: ids of cells with the same net, whose file has moved since.

    The net is the same if the code that its function reaches is, and if the older file is no longer there.
    """
    from bench.workspace.cells import recent_cells
    from bench.workspace.fingerprint import model_digest
    from bench.workspace.journal import fold, read_cell
    from bench.workspace.net_source import split_model
    from bench.workspace.paths import CellFolder

    def anywhere(cell: Cell) -> str:
        """The id that a cell would have if its file had no name."""
        parts = split_model(cell.model)
        return replace(cell, model=cell.model.removeprefix(str(parts[0]))).id if parts else ""

    waiting = {anywhere(cell): cell for cell in suite.cells if split_model(cell.model) and cell.id not in done}
    moved: dict[str, list[str]] = {}
    for other in recent_cells(home) if waiting else ():
        parts, cell = split_model(other.model), waiting.get(anywhere(other))
        if parts is None or cell is None or parts[0].exists():
            continue
        recorded = fold(other.id, read_cell(CellFolder.of(home, other.id))).fingerprint
        if recorded.get("net", "") == model_digest(cell.model) != "":
            moved.setdefault(cell.id, []).append(other.id)
    return moved


def accept_stale(store: "Store | None", suite: "Suite", known: Known) -> Known:
    """Keep the stale results of a suite knowingly: what they depend on now is noted beside what they depended on.

    Raises:
        TrackingError: The store cannot be written.
        OSError: BENCH_HOME cannot be written.
    """
    from bench.datasets.prepared import data_key
    from bench.workspace.files import write_atomically
    from bench.workspace.fingerprint import fingerprint
    from bench.workspace.paths import CellFolder, bench_home

    outcomes = dict(known.outcomes)
    digests = current_digests(suite, outcomes, {})
    for cell in suite.cells:
        outcome = outcomes.get(cell.id)
        if outcome is None or not outcome.stale:
            continue
        now = fingerprint(cell, data=digests[data_key(cell)], device="")
        folder = CellFolder.of(bench_home(), cell.id)
        if folder.result.exists():
            write_atomically(folder.accepted, json.dumps(now, sort_keys=True))
        if store and outcome.run_id:
            store.accept(outcome.run_id, now)
        outcomes[cell.id] = replace(outcome, accepted=now, stale="")
    return Known(known.stored, outcomes)


def current_digests(
    suite: "Suite", outcomes: Mapping[str, Outcome], data: "Mapping[DataKey, Prepared]"
) -> "dict[DataKey, str]":
    """Digests of the data of complete cells, as the data is now; changed images are decoded for it."""
    from bench.datasets.prepared import data_key, look
    from bench.datasets.source import open_source
    from bench.workspace.paths import data_home

    home = data_home()
    done = [cell for cell in suite.cells if cell.id in outcomes and outcomes[cell.id].state == "complete"]
    digests = {}
    for key in dict.fromkeys(data_key(cell) for cell in done):
        prepared = data.get(key) or look(key, home)
        if not prepared and (source := open_source(key.dataset)).mutable and source.status(home).state == "ready":
            with suppress(DataError):  # a broken image, or a disk that cannot be written, hides no result
                prepared = prepare_data([key])[key]
        digests[key] = prepared.digest if prepared else ""
    return digests
