"""Turn outcomes into tables: one table per data set, one row per (model, schedule, recipe), averaged over seeds.

Called by :mod:`bench.api` for ``bench run``, ``bench report`` and ``bench sync``. It never reads a run and never
renders; of a folder of images it counts the classes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.catalog.labels import model_label, variants
from bench.datasets.resizing import describe_test, test_resize
from bench.datasets.source import dataset_title, open_source
from bench.errors import DataError
from bench.recipe import describe_recipe, recipe_values
from bench.report.model import Row, RunReference, Statistic, Table
from bench.report.notes import cost_note, run_notes
from bench.values import Cell, Outcome, Suite

MAX_PERCENT = 100.0
"""A store turns infinity into 1.8e308, so a value above this is not an accuracy."""

MAX_FINITE = 1e300
"""A larger number was infinity before a store took it."""

FEW_CLASSES = 5
"""Up to so many classes, every answer is among the first five: top-5 is 100% and says nothing."""


def build_tables(suite: Suite, outcomes: Mapping[str, Outcome], *, best: bool = False) -> tuple[Table, ...]:
    """The tables of a suite, one per data set, in the suite's order.

    Args:
        suite: Which cells there are, and in which order.
        outcomes: Outcomes by cell id. A cell without one is missing.
        best: Use each run's best epoch on the test set instead of its last one; optimistic by construction.
    """
    return build_merged_tables([suite], outcomes, best=best)


def build_merged_tables(
    suites: Sequence[Suite], outcomes: Mapping[str, Outcome], *, best: bool = False
) -> tuple[Table, ...]:
    """The tables of several suites, one per data set; a cell of two suites counts once.

    The arguments are those of :func:`build_tables`. What tells rows apart is said of all rows of a table, whatever
    suite they are of, and seeds of one net and recipe are one row.
    """
    owners: dict[str, dict[str, None]] = {}
    by_dataset: dict[tuple[str, int], dict[str, Cell]] = {}
    for suite in suites:
        for cell in suite.cells:
            key = (cell.dataset, cell.recipe.max_images_per_class or 0)
            by_dataset.setdefault(key, {}).setdefault(cell.id, cell)
            owners.setdefault(cell.id, {})[suite.name] = None
    tables = []
    for (dataset, max_images), cells in by_dataset.items():
        found = [outcomes[cell_id] for cell_id in cells if cell_id in outcomes]
        num_classes = _num_classes(dataset, found)
        scores = _Scores(best, many_classes=num_classes is None or num_classes > FEW_CLASSES)
        tables.append(
            Table(
                suite=_names(cells, owners),
                dataset=dataset,
                title=dataset_title(dataset, max_images),
                num_classes=num_classes,
                rows=tuple(
                    replace(row, suite=_names([run.cell_id for run in row.runs], owners))
                    for row in _rows(list(cells.values()), outcomes, scores)
                ),
            )
        )
    return distinct_titles(tables)


def _names(cells: Iterable[str], owners: Mapping[str, Iterable[str]]) -> str:
    """The suites of cells."""
    return ", ".join(dict.fromkeys(name for cell_id in cells for name in owners[cell_id]))


def distinct_titles(tables: Sequence[Table]) -> tuple[Table, ...]:
    """The tables of a report, with the suite or the path of the data set in headings that would be equal."""
    for addition in ("suite", "dataset"):
        values: dict[str, set[str]] = {}
        for table in tables:
            values.setdefault(table.title, set()).add(getattr(table, addition))
        tables = [
            replace(table, title=f"{table.title} ({getattr(table, addition)})")
            if len(values[table.title]) > 1
            else table
            for table in tables
        ]
    return tuple(tables)


def _num_classes(dataset: str, outcomes: Iterable[Outcome]) -> int | None:
    """How many classes a data set has, by the catalog, its folder or the runs on it."""
    try:
        return open_source(dataset).num_classes
    except DataError:
        return next((outcome.classes for outcome in outcomes if outcome.classes), None)


@dataclass(frozen=True)
class _Scores:
    """Which accuracies of an outcome a table is about."""

    best: bool
    """Those of the best epoch, of which no top-5 is known."""
    many_classes: bool

    def top1(self, outcome: Outcome) -> float | None:
        return _valid(outcome.best_top1 if self.best else outcome.top1)

    def top5(self, outcome: Outcome) -> float | None:
        return _valid(outcome.top5) if self.many_classes and not self.best else None


def _rows(cells: Sequence[Cell], outcomes: Mapping[str, Outcome], scores: _Scores) -> tuple[Row, ...]:
    by_row: dict[object, list[Cell]] = {}
    for cell in cells:
        by_row.setdefault((cell.model, cell.schedule, cell.recipe), []).append(cell)
    seeds = list(by_row.values())
    labels = variants([group[0] for group in seeds])
    return tuple(_row(group, variant, outcomes, scores) for group, variant in zip(seeds, labels, strict=True))


def _row(cells: Sequence[Cell], variant: str, outcomes: Mapping[str, Outcome], scores: _Scores) -> Row:
    """One row from the cells of its seeds, which are equal in everything else."""
    cell = cells[0]
    existing = [outcomes[seed.id] for seed in cells if seed.id in outcomes]
    complete = [outcome for outcome in existing if is_complete(outcome)]
    cost = next((outcome.cost for outcome in existing if outcome.cost), None)
    notes = [note for seed in cells if seed.id in outcomes for note in run_notes(seed, outcomes[seed.id])]
    if cost and (about_cost := cost_note(cost)):
        notes.insert(0, about_cost)
    seconds = [value for outcome in complete if (value := _finite(outcome.total_s)) is not None]
    name = model_label(cell)
    return Row(
        model=cell.model,
        name=name,
        variant=variant,
        label=f"{name} ({variant})" if variant else name,
        stem=cell.recipe.stem,
        schedule=cell.schedule_name,
        decay=str(cell.schedule),
        recipe={**recipe_values(cell.recipe), **({"test_resize": test_resize(cell)} if describe_test(cell) else {})},
        recipe_text=", ".join(filter(None, [describe_recipe(cell.recipe), describe_test(cell)])),
        state=_row_state([describe(outcomes.get(seed.id)) for seed in cells]),
        params=cost.params if cost else None,
        flops=cost.flops if cost else None,
        input_size=cell.recipe.input_size,
        seconds=math.fsum(seconds) / len(seconds) if seconds else None,
        top1=_statistic(map(scores.top1, complete)),
        top5=_statistic(map(scores.top5, complete)),
        best=_statistic(_valid(outcome.best_top1) for outcome in complete),
        gap=_statistic(_gap(outcome) for outcome in complete),
        loss=_statistic(_finite(outcome.test_loss) for outcome in complete),
        images_per_s=_statistic(_finite(outcome.images_per_s) for outcome in complete),
        peak_mb=_statistic(_finite(outcome.peak_mb) for outcome in complete),
        note="; ".join(dict.fromkeys(notes)),
        stale="; ".join(dict.fromkeys(outcome.stale for outcome in existing if outcome.stale)),
        runs=tuple(_reference(seed, outcomes.get(seed.id), scores) for seed in cells),
    )


def is_complete(outcome: Outcome) -> bool:
    """Whether a cell ended with a valid accuracy; a cell that diverged may end without one."""
    return outcome.state == "complete" and _is_percent(outcome.top1)


def _is_percent(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and 0 <= value <= MAX_PERCENT


def _valid(value: float | None) -> float | None:
    return value if _is_percent(value) else None


def _finite(value: float | None) -> float | None:
    """A number, or None where it is missing or not one: a store turns infinity into 1.8e308."""
    return value if value is not None and math.isfinite(value) and abs(value) < MAX_FINITE else None


def _gap(outcome: Outcome) -> float | None:
    """Best minus last top-1, in percentage points."""
    best, last = _valid(outcome.best_top1), _valid(outcome.top1)
    return None if best is None or last is None else best - last


def _statistic(values: Iterable[float | None]) -> Statistic | None:
    import numpy as np

    numbers = [value for value in values if value is not None]
    if len(numbers) < 2:
        return Statistic(mean=float(numbers[0]), std=None, n=1) if numbers else None
    # the statistics module rounds the last bit differently, which the digits of JSON and CSV would show
    return Statistic(mean=float(np.mean(numbers)), std=float(np.std(numbers, ddof=1)), n=len(numbers))


def _reference(cell: Cell, outcome: Outcome | None, scores: _Scores) -> RunReference:
    run = outcome or Outcome(cell_id=cell.id, state="missing")
    return RunReference(
        cell_id=cell.id,
        run_id=run.run_id,
        seed=cell.seed,
        state=run.state,
        commit=run.commit,
        device=run.device,
        top1=scores.top1(run),
        top5=scores.top5(run),
        seconds=_finite(run.total_s),
        mode=run.mode,
        stale=run.stale,
        threads=run.threads,
        best_top1=_valid(run.best_top1),
        test_loss=_finite(run.test_loss),
        images_per_s=_finite(run.images_per_s),
        peak_mb=_finite(run.peak_mb),
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
