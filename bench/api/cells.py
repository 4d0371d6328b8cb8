"""One cell by the beginning of its id: what is known of it, and its folder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.tracking import Store
    from bench.values import Cell, Outcome, Suite
    from bench.workspace.paths import AttemptFolder, CellFolder


class FoundCell(NamedTuple):
    """A cell that somebody named."""

    cell: "Cell"
    suites: "Sequence[Suite]"
    """The suites that have it, of those that ran here or into the store."""
    folder: "CellFolder"
    """Its folder on this machine, which may be missing."""


def all_suites(store: "Store | None") -> "list[Suite]":
    """The suites that ran on this machine or into the store; none if there are none."""
    from bench.api.outcomes import stored_suites
    from bench.workspace.cells import kept_suites
    from bench.workspace.paths import bench_home

    try:
        return [*kept_suites(bench_home()), *stored_suites(store)]
    except UsageError:
        return []


def find_cell(name: str, store: "Store | None") -> FoundCell:
    """The cell whose id begins with ``name``.

    Raises:
        UsageError: There is none, or there are several, which are named.
    """
    from bench.values import Cell, from_json
    from bench.workspace.paths import CellFolder, bench_home, cell_files

    suites = all_suites(store)
    cells = {cell.id: cell for suite in suites for cell in suite.cells}
    for file in cell_files(bench_home()):
        if file.parent.name.startswith(name) and file.parent.name not in cells:
            try:
                cells[file.parent.name] = from_json(Cell, file.read_text())
            except (OSError, ValueError):
                continue  # damaged, or removed at this moment
    found = [cell_id for cell_id in cells if cell_id.startswith(name)]
    if not found or not name:
        raise UsageError(f"no cell's id begins with {name!r}; bench plan SUITE lists cells with their ids")
    if len(found) > 1:
        listed = "\n".join(f"  {cell_id}  {cells[cell_id].title}" for cell_id in sorted(found)[:10])
        raise UsageError(f"{len(found)} cells' ids begin with {name!r}; type one more character:\n{listed}")
    cell_id = found[0]
    having = {suite.name: suite for suite in suites if any(cell.id == cell_id for cell in suite.cells)}
    return FoundCell(cells[cell_id], list(having.values()), CellFolder.of(bench_home(), cell_id))


def outcome_of(found: FoundCell, store: "Store | None") -> "Outcome":
    """What is known of a cell: from its folder, else from the store."""
    from bench.values import Outcome
    from bench.workspace.cells import read_outcome

    cell_id = found.cell.id
    local = read_outcome(cell_id, found.folder)
    stored = [store.outcomes(suite.name).get(cell_id) for suite in found.suites] if store else []
    best = next((outcome for outcome in stored if outcome), None) or Outcome(cell_id=cell_id, state="missing")
    if best.state == "complete" or local.state == "missing":
        return best
    from dataclasses import replace

    return replace(local, run_id=best.run_id)


def attempt_of(found: FoundCell, number: int | None) -> "AttemptFolder":
    """One attempt at a cell on this machine, by default the last.

    Raises:
        UsageError: There is none.
    """
    attempts = found.folder.attempts()
    chosen = [attempt for attempt in attempts if number in (None, attempt.number)]
    if not attempts:
        raise UsageError(f"cell {found.cell.id} was never started on this machine ({found.folder.root})")
    if not chosen:
        numbers = ", ".join(str(attempt.number) for attempt in attempts)
        raise UsageError(f"cell {found.cell.id} has no attempt {number}; there are: {numbers}")
    return chosen[-1]
