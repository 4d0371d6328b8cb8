"""Turn outcomes into tables: one table per data set, one row per (model, schedule, recipe), averaged over seeds.

Called by :mod:`bench.api` for ``bench run``, ``bench report`` and ``bench sync``. It never reads a file and never
renders.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from bench.datasets.source import dataset_title
from bench.report.labels import row_labels
from bench.report.model import Row, RunReference, Statistic, Table
from bench.report.notes import run_notes
from bench.values import Cell, Cost, Outcome, Suite

MAX_PERCENT = 100.0
"""A store turns infinity into 1.8e308, so a value above this is not an accuracy."""


def build_tables(suite: Suite, outcomes: Mapping[str, Outcome], *, best: bool = False) -> tuple[Table, ...]:
    """The tables of a suite, one per data set, in the suite's order.

    Args:
        suite: Which cells there are, and in which order.
        outcomes: Outcomes by cell id. A cell without one is missing.
        best: Use each run's best epoch on the test set instead of its last one; optimistic by construction.
    """
    by_dataset: dict[tuple[str, int], list[Cell]] = {}
    for cell in suite.cells:
        by_dataset.setdefault((cell.dataset, cell.recipe.max_images_per_class or 0), []).append(cell)
    return tuple(
        Table(dataset=dataset, title=dataset_title(dataset, max_images), rows=_rows(cells, outcomes, best))
        for (dataset, max_images), cells in by_dataset.items()
    )


def _rows(cells: Sequence[Cell], outcomes: Mapping[str, Outcome], best: bool) -> tuple[Row, ...]:
    by_row: dict[object, list[Cell]] = {}
    for cell in cells:
        by_row.setdefault((cell.model, cell.schedule, cell.recipe), []).append(cell)
    seeds = list(by_row.values())
    labels = row_labels([group[0] for group in seeds])
    return tuple(_row(group, label, outcomes, best) for group, label in zip(seeds, labels, strict=True))


def _row(cells: Sequence[Cell], label: str, outcomes: Mapping[str, Outcome], best: bool) -> Row:
    """One row from the cells of its seeds, which are equal in everything else."""
    cell = cells[0]
    existing = [outcomes[seed.id] for seed in cells if seed.id in outcomes]
    complete = [outcome for outcome in existing if is_complete(outcome)]
    cost = next((outcome.cost for outcome in existing if outcome.cost), None)
    notes = [note for seed in cells if seed.id in outcomes for note in run_notes(seed, outcomes[seed.id])]
    if cost and (cost_note := _cost_note(cost)):
        notes.insert(0, cost_note)
    return Row(
        model=cell.model,
        label=label,
        stem=cell.recipe.stem,
        schedule=cell.schedule_name,
        state=_row_state([describe(outcomes.get(seed.id)) for seed in cells]),
        params=cost.params if cost else None,
        flops=cost.flops if cost else None,
        input_size=cell.recipe.input_size,
        top1=_statistic(outcome.best_top1 if best else outcome.top1 for outcome in complete),
        top5=None if best else _statistic(outcome.top5 for outcome in complete),
        note="; ".join(dict.fromkeys(notes)),
        stale="; ".join(dict.fromkeys(outcome.stale for outcome in existing if outcome.stale)),
        runs=tuple(_reference(seed, outcomes.get(seed.id)) for seed in cells),
    )


def is_complete(outcome: Outcome) -> bool:
    """Whether a cell ended with a valid accuracy; a cell that diverged may end without one."""
    return outcome.state == "complete" and _is_percent(outcome.top1)


def _is_percent(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and 0 <= value <= MAX_PERCENT


def _statistic(values: Iterable[float | None]) -> Statistic | None:
    import numpy as np

    numbers = [value for value in values if value is not None and _is_percent(value)]
    if len(numbers) < 2:
        return Statistic(mean=float(numbers[0]), std=None, n=1) if numbers else None
    # the statistics module rounds the last bit differently, which the digits of JSON and CSV would show
    return Statistic(mean=float(np.mean(numbers)), std=float(np.std(numbers, ddof=1)), n=len(numbers))


def _reference(cell: Cell, outcome: Outcome | None) -> RunReference:
    run = outcome or Outcome(cell_id=cell.id, state="missing")
    return RunReference(
        cell_id=cell.id,
        run_id=run.run_id,
        seed=cell.seed,
        state=run.state,
        commit=run.commit,
        device=run.device,
        top1=run.top1 if _is_percent(run.top1) else None,
        top5=run.top5 if _is_percent(run.top5) else None,
        stale=run.stale,
        threads=run.threads,
    )


def _row_state(seeds: Sequence[str]) -> str:
    """``complete``, or the other states of its seeds, with counts if there are several seeds."""
    incomplete = [state for state in seeds if state != "complete"]
    if not incomplete:
        return "complete"
    if len(seeds) == 1:
        return incomplete[0]
    return ", ".join(f"{incomplete.count(state)} of {len(seeds)} {state}" for state in dict.fromkeys(incomplete))


def describe(outcome: Outcome | None) -> str:
    """A cell's state as a table shows it, e.g. ``failed: oom`` or ``running 41%``."""
    if outcome is None or outcome.state == "missing":
        return "missing"
    if outcome.state == "complete":
        return "complete" if is_complete(outcome) else "diverged"
    if outcome.state == "failed":
        return "diverged" if outcome.kind == "diverged" else f"failed: {outcome.kind or 'error'}"
    share = f" {100 * outcome.epochs_done // outcome.epochs}%" if outcome.epochs else ""
    return outcome.state + share


def _cost_note(cost: Cost) -> str:
    notes = []
    if not cost.agrees:
        notes.append(
            f"the counters disagree on convolutions and matrix products: fvcore {cost.conv_linear_macs / 1e6:.1f} M, "
            f"torch {cost.torch_macs / 1e6:.1f} M"
        )
    if cost.uncounted:
        notes.append(f"not counted: {', '.join(cost.uncounted)}")
    return "; ".join(notes)
