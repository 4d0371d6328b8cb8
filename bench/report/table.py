"""Outcomes -> tables: one row a (model, schedule, recipe), its seeds averaged. Reads nothing and renders nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.catalog.datasets import dataset_title
from bench.catalog.models import SMALL_INPUT, model_forms
from bench.report.model import Row, RunReference, Statistic, Table
from bench.values import Cell, Outcome, Suite

LARGEST_PERCENT = 100.0
"""A store turns infinity into 1.8e308, so anything above this is no accuracy."""


def build_tables(suite: Suite, outcomes: Mapping[str, Outcome], *, best: bool = False) -> tuple[Table, ...]:
    """The tables of a suite, a data set each, in the suite's order.

    Args:
        suite: Which cells there are, and in which order.
        outcomes: What is known, by cell id; a cell that is not in it is missing.
        best: Take each run's best epoch on the test set instead of its last one; optimistic by construction.
    """
    import pandas as pd

    frame = pd.DataFrame([_record(cell, outcomes, best) for cell in suite.cells])
    tables = []
    for (dataset, most), part in frame.groupby(["dataset", "most"], sort=False):
        groups = _groups(part)
        labels = _labels([group.cell for group in groups])
        rows = tuple(_row(group, label, outcomes) for group, label in zip(groups, labels, strict=True))
        tables.append(Table(dataset=str(dataset), title=dataset_title(str(dataset), most), rows=rows))
    return tuple(tables)


@dataclass(frozen=True)
class _Group:
    """The seeds of one row, with the accuracies of those that have one."""

    cells: list[Cell] = field(default_factory=list)
    top1: list[float] = field(default_factory=list)
    top5: list[float] = field(default_factory=list)

    @property
    def cell(self) -> Cell:
        """A cell that stands for the row; all but their seeds are equal."""
        return self.cells[0]


def _groups(part: Any) -> list[_Group]:
    """The rows of a data set's part of the frame, which may be ten thousand: too many for a frame each."""
    numbers = part.groupby("key", sort=False).ngroup()
    groups = [_Group() for _ in range(numbers.max() + 1)]
    for number, cell, top1, top5 in zip(numbers, part["cell"], part["top1"], part["top5"], strict=True):
        groups[number].cells.append(cell)
        for values, value in ((groups[number].top1, top1), (groups[number].top5, top5)):
            if value is not None and not math.isnan(value):
                values.append(value)
    return groups


def _record(cell: Cell, outcomes: Mapping[str, Outcome], best: bool) -> dict[str, Any]:
    outcome = outcomes.get(cell.id)
    complete = outcome is not None and _is_complete(outcome)
    return {
        "cell": cell,
        "dataset": cell.dataset,
        "most": cell.recipe.max_images_per_class or 0,
        "key": (cell.model, cell.schedule, cell.recipe),
        "top1": (outcome.best_top1 if best else outcome.top1) if outcome and complete else math.nan,
        "top5": outcome.top5 if outcome and complete and not best else math.nan,
    }


def _is_complete(outcome: Outcome) -> bool:
    return outcome.state == "complete" and _is_percent(outcome.top1)


def _is_percent(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and 0 <= value <= LARGEST_PERCENT


def _statistic(values: Sequence[float]) -> Statistic | None:
    import numpy as np

    if len(values) < 2:
        return Statistic(mean=float(values[0]), std=None, n=1) if values else None
    return Statistic(mean=float(np.mean(values)), std=float(np.std(values, ddof=1)), n=len(values))


def _row(group: _Group, label: str, outcomes: Mapping[str, Outcome]) -> Row:
    cell = group.cell
    known = [outcomes[each.id] for each in group.cells if each.id in outcomes]
    cost = next((outcome.cost for outcome in known if outcome.cost), None)
    return Row(
        model=cell.model,
        label=label,
        stem=cell.recipe.stem,
        schedule=cell.schedule_name,
        state=_state(group.cells, outcomes),
        params=cost.params if cost else None,
        flops=cost.flops if cost else None,
        input_size=cell.recipe.input_size,
        top1=_statistic(group.top1),
        top5=_statistic(group.top5),
        note=_note(known),
        stale="; ".join(dict.fromkeys(outcome.stale for outcome in known if outcome.stale)),
        runs=tuple(_reference(each, outcomes.get(each.id)) for each in group.cells),
    )


def _reference(cell: Cell, outcome: Outcome | None) -> RunReference:
    found = outcome or Outcome(cell_id=cell.id, state="missing")
    return RunReference(
        cell_id=cell.id,
        run_id=found.run_id,
        seed=cell.seed,
        state=found.state,
        commit=found.commit,
        device=found.device,
        top1=found.top1 if _is_percent(found.top1) else None,
        top5=found.top5 if _is_percent(found.top5) else None,
        stale=found.stale,
    )


def _state(cells: Sequence[Cell], outcomes: Mapping[str, Outcome]) -> str:
    """``complete``, or what is wrong, with a count where only some seeds are concerned."""
    texts = [describe(outcomes.get(cell.id)) for cell in cells]
    wrong = [text for text in texts if text != "complete"]
    if not wrong:
        return "complete"
    if len(texts) == 1:
        return wrong[0]
    return ", ".join(f"{wrong.count(text)} of {len(texts)} {text}" for text in dict.fromkeys(wrong))


def describe(outcome: Outcome | None) -> str:
    """A cell's state as a table shows it, e.g. ``failed: oom`` or ``running 41%``."""
    if outcome is None or outcome.state == "missing":
        return "missing"
    if outcome.state == "complete":
        return "complete" if _is_complete(outcome) else "diverged"
    if outcome.state == "failed":
        return "diverged" if outcome.kind == "diverged" else f"failed: {outcome.kind or 'error'}"
    share = f" {100 * outcome.epochs_done // outcome.epochs}%" if outcome.epochs else ""
    return outcome.state + share


def _note(outcomes: Sequence[Outcome]) -> str:
    cost = next((outcome.cost for outcome in outcomes if outcome.cost), None)
    if cost is None:
        return ""
    notes = []
    if not cost.agrees:
        notes.append(
            f"the counters disagree on convolutions and matrix products: fvcore {cost.conv_linear_macs / 1e6:.1f} M, "
            f"torch {cost.torch_macs / 1e6:.1f} M"
        )
    if cost.uncounted:
        notes.append(f"not counted: {', '.join(cost.uncounted)}")
    return "; ".join(notes)


def _labels(cells: Sequence[Cell]) -> list[str]:
    """Model names, with the stem where it surprises and the recipe where nothing else tells two rows apart."""
    labels = [_label(cell) for cell in cells]
    twins: dict[tuple[str, str], list[Cell]] = {}
    for label, cell in zip(labels, cells, strict=True):
        twins.setdefault((label, cell.schedule_name), []).append(cell)
    differing = {key: _differing(alike) for key, alike in twins.items() if len(alike) > 1}
    told_apart = []
    for cell, label in zip(cells, labels, strict=True):
        keys = differing.get((label, cell.schedule_name))
        told_apart.append(label if keys is None else f"{label} ({_difference(cell, keys)})")
    return told_apart


def _label(cell: Cell) -> str:
    surprising = (
        cell.recipe.stem == "standard" and cell.recipe.input_size <= SMALL_INPUT and "small" in model_forms(cell.model)
    )
    return f"{cell.model} (standard stem)" if surprising else cell.model


def _differing(twins: Sequence[Cell]) -> list[str]:
    """The keys of the recipe, and the schedule, in which cells differ."""
    recipes = [{**vars(twin.recipe), "schedule": twin.schedule} for twin in twins]
    return [key for key in recipes[0] if any(recipe[key] != recipes[0][key] for recipe in recipes)]


def _difference(cell: Cell, keys: Sequence[str]) -> str:
    own = {**vars(cell.recipe), "schedule": cell.schedule}
    return ", ".join(f"{key}={_short(own[key])}" for key in keys)


def _short(value: Any) -> str:
    return "+".join(str(each) for each in value) or "none" if isinstance(value, tuple) else str(value)
