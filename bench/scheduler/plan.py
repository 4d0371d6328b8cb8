"""Decide which cells of a suite run, from their outcomes so far. Pure functions: start nothing, read no store."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from bench.datasets.prepared import data_key
from bench.scheduler.estimates import SpeedHistory
from bench.values import Cell, Cost, DataKey, Failure, Outcome, Plan, Suite, Task, protocol_version
from bench.workspace.fingerprint import changes, fingerprint

Selection = Literal["missing", "all", "failed", "stale"]


def merge_outcomes(stored: Mapping[str, Outcome], local: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The outcome of each cell, from the tracking store and from its folder on this machine.

    A complete result counts wherever it is. Otherwise the folder wins, because its journal is the truth until the store
    has it.
    """
    merged = dict(stored)
    for cell_id, outcome in local.items():
        if cell_id in stored and (outcome.state == "missing" or stored[cell_id].state == "complete"):
            continue
        merged[cell_id] = outcome
    return merged


def make_plan(
    suite: Suite,
    outcomes: Mapping[str, Outcome],
    costs: Mapping[str, Cost],
    *,
    failures: Mapping[str, Failure] | None = None,
    history: Iterable[tuple[Cell, Outcome]] = (),
    select: Selection = "missing",
    max_cells: int | None = None,
) -> Plan:
    """Decide for every cell of a suite whether it runs.

    Args:
        suite: What to run.
        outcomes: By cell id; a cell that is not in it is missing.
        costs: Params and FLOPs by cell id, where known.
        failures: By cell id, why nets could not be built or measured.
        history: Cells of other suites that ran on this machine, for estimates.
        select: Which cells run: those without a result (``missing``, the default), all of them (``all``), those that
            failed (``failed``), or those without a result and those whose result is stale (``stale``).
        max_cells: Maximum number of cells to run, the first ones of the suite.
    """
    ran = [(cell, outcomes[cell.id]) for cell in suite.cells if cell.id in outcomes]
    speeds = SpeedHistory.of([*history, *ran])
    running = {cell.id for cell in cells_to_run(suite, outcomes, select=select, max_cells=max_cells)}
    tasks = []
    for cell in suite.cells:
        outcome = outcomes.get(cell.id) or Outcome(cell_id=cell.id, state="missing")
        cost = costs.get(cell.id) or outcome.cost
        runs = cell.id in running
        done = 0 if outcome.state == "complete" else outcome.epochs_done
        failure = (failures or {}).get(cell.id)
        tasks.append(
            Task(
                cell=cell,
                outcome=outcome,
                runs=runs,
                cost=cost,
                estimate_s=0.0 if failure else speeds.estimate(cell, cost, done),
                failure=failure,
            )
        )
    return Plan(suite=suite, tasks=tuple(tasks))


def cells_to_run(
    suite: Suite, outcomes: Mapping[str, Outcome], *, select: Selection = "missing", max_cells: int | None = None
) -> tuple[Cell, ...]:
    """The cells of a suite that would run, in its order; arguments as in :func:`make_plan`."""
    selected = [
        cell
        for cell in suite.cells
        if _is_selected(outcomes.get(cell.id) or Outcome(cell_id=cell.id, state="missing"), select)
    ]
    return tuple(selected[:max_cells])


def _is_selected(outcome: Outcome, select: Selection) -> bool:
    match select:
        case "all":
            return True
        case "failed":
            return outcome.state == "failed"
        case "stale":
            return outcome.state != "complete" or bool(outcome.stale)
        case "missing":
            return outcome.state != "complete"


def mark_stale(
    cells: Iterable[Cell], outcomes: Mapping[str, Outcome], digests: Mapping[DataKey, str]
) -> dict[str, Outcome]:
    """The outcomes, each complete one with what has changed since it was made.

    Args:
        cells: The cells they are of.
        outcomes: By cell id.
        digests: Digest of the data that is here now, by :func:`bench.datasets.prepared.data_key`; missing data has
            not changed.
    """
    marked = dict(outcomes)
    current: dict[tuple[str, str, int], Mapping[str, str]] = {}
    for cell in cells:
        outcome = outcomes.get(cell.id)
        if outcome is None or outcome.state != "complete":
            continue
        data = digests.get(data_key(cell), "")
        key = cell.model, data, protocol_version(cell)
        if key not in current:  # ten thousand cells need the same few fingerprints
            # without the device: a result from a GPU does not become stale when it is read on a laptop
            current[key] = fingerprint(cell, data=data, device="")
        if stale := changes({**outcome.fingerprint, **outcome.accepted}, current[key]):
            marked[cell.id] = replace(outcome, stale=stale)
    return marked
