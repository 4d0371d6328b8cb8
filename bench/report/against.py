"""A report against an older one of the same suites: what changed in each row, by how much, and whether it matters.

Rows are the same where they share a cell, whose id says model, data set, schedule, recipe and seed; else where they
agree in all of these but the seed. One that agrees in all but its recipe is compared, and said to have another recipe.
What formats show of it is made in :mod:`bench.report.against_grid`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from bench.report.columns import accuracy
from bench.report.model import Report, Row, Statistic, Table
from bench.text import percent

LEVEL = 0.95
"""Confidence of the intervals."""

Place = tuple[Table, Row]
Kind = Literal["same recipe", "changed recipe", "new", "gone"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of two mean accuracies over seeds, in percentage points."""

    change: float
    """Now minus before."""
    low: float | None
    """Ends of Welch's interval of the change at :data:`LEVEL`; None where there is none."""
    high: float | None
    verdict: str
    """``significant``, ``not significant``, ``the same runs``, or why it cannot be said."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of a row."""

    dataset: str
    """The title of its table."""
    before: Row | None
    """None for a new row."""
    now: Row | None
    """None for one that is gone."""
    recipe: tuple[str, ...] = ()
    """What differs in the recipe, e.g. ``epochs 8 to 12``."""

    @property
    def kind(self) -> Kind:
        """How the row was found again."""
        if self.before is None or self.now is None:
            return "new" if self.before is None else "gone"
        return "changed recipe" if self.recipe else "same recipe"

    @property
    def row(self) -> Row:
        """The row as it is now, or as it was."""
        row = self.now or self.before
        assert row is not None
        return row

    @cached_property
    def top1(self) -> Difference | None:
        """The change of top-1; None where a side has no figure."""
        if self.before is None or self.now is None:
            return None
        if self.before.top1 is None or self.now.top1 is None:
            return None
        if self.before.top1 == self.now.top1 and _run_ids(self.before) == _run_ids(self.now) != set():
            return Difference(change=0.0, low=None, high=None, verdict=SAME_RUNS)
        return difference(self.before.top1, self.now.top1)

    @property
    def is_one(self) -> bool:
        """Whether anything differs at all."""
        if self.kind != "same recipe" or self.before is None or self.now is None:
            return True
        return any(getattr(self.before, name) != getattr(self.now, name) for name in COMPARED)


SAME_RUNS = "the same runs"
COMPARED = ("top1", "params", "flops", "state", "seconds")


def changes(report: Report) -> tuple[Change, ...]:
    """Every row of a report, and then those that are gone, against the report that it names; empty if it names none."""
    against = report.against
    if against is None:
        return ()
    now = [(table, row) for table in report.tables for row in table.rows]
    names = {row.suite for _, row in now} | {suite.name for suite in report.suites}
    before = [(table, row) for table in against.report.tables for row in table.rows if row.suite in names]
    pairs, free = _pairs(before, now)
    found = [
        Change(dataset=table.title, before=None, now=row)
        if i not in pairs
        else Change(
            dataset=table.title,
            before=before[pairs[i]][1],
            now=row,
            recipe=_recipe_changes(before[pairs[i]][1], row),
        )
        for i, (table, row) in enumerate(now)
    ]
    gone = [] if against.partial else [Change(dataset=before[j][0].title, before=before[j][1], now=None) for j in free]
    return (*found, *gone)


def _pairs(before: Sequence[Place], now: Sequence[Place]) -> tuple[dict[int, int], list[int]]:
    """Positions of rows now with those of the same rows before, and the positions of rows that are gone."""
    owners = {run.cell_id: j for j, (_, row) in enumerate(before) for run in row.runs}
    pairs: dict[int, int] = {}
    for i, (_, row) in enumerate(now):
        j = next((owners.pop(run.cell_id) for run in row.runs if run.cell_id in owners), None)
        if j is not None:
            pairs[i] = j
    # a cell of several suites stands in the tables of each in JSON, and once in a table for people
    cells = {run.cell_id for _, row in now for run in row.runs}
    free: dict[object, list[int]] = {}
    for j, place in enumerate(before):
        if cells.isdisjoint(run.cell_id for run in place[1].runs):
            free.setdefault(_name(place), []).append(j)
    rest: dict[object, list[int]] = {}
    for i, place in enumerate(now):
        if i not in pairs:
            rest.setdefault(_name(place), []).append(i)
    for name, positions in rest.items():
        others = free.get(name, [])
        for i in [*positions]:
            j = next((j for j in others if not _recipe_changes(before[j][1], now[i][1])), None)
            if j is None and len(positions) == len(others) == 1:
                j = others[0]
            if j is not None:
                pairs[i] = j
                others.remove(j)
                positions.remove(i)
    return pairs, sorted(j for others in free.values() for j in others)


def _name(place: Place) -> tuple[str, str, str, str]:
    table, row = place
    return table.dataset, row.model, row.stem, row.schedule


def _recipe_changes(before: Row, now: Row) -> tuple[str, ...]:
    """What differs, of the keys that both have: another version of bench may know more."""
    keys = [key for key in now.recipe if key in before.recipe and now.recipe[key] != before.recipe[key]]
    words = [f"{key} {before.recipe[key]} to {now.recipe[key]}" for key in keys]
    return (*words, *([f"{before.decay} to {now.decay}"] if before.decay != now.decay else []))


def _run_ids(row: Row) -> set[str]:
    return {run.run_id for run in row.runs if run.run_id}


def difference(before: Statistic, now: Statistic) -> Difference:
    """The change of a mean over seeds, with Welch's interval (unequal variances, B. L. Welch 1947) at :data:`LEVEL`."""
    from scipy.special import stdtrit

    change = now.mean - before.mean
    if before.std is None or now.std is None:
        sides = [word for word, side in (("before", before), ("now", now)) if side.std is None]
        verdict = f"one seed {sides[0] if len(sides) == 1 else 'each'}: cannot say"
        return Difference(change=change, low=None, high=None, verdict=verdict)
    first, second = before.std**2 / before.n, now.std**2 / now.n
    if first + second == 0:
        return Difference(change=change, low=None, high=None, verdict="seeds do not differ: cannot say")
    freedom = (first + second) ** 2 / (first**2 / (before.n - 1) + second**2 / (now.n - 1))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(first + second)
    verdict = "significant" if abs(change) > half else "not significant"
    return Difference(change=change, low=change - half, high=change + half, verdict=verdict)


def fallen(found: Iterable[Change], points: float) -> list[str]:
    """The rows whose mean top-1 fell by more than ``points`` percentage points, or that have none now, in words."""
    lines = []
    for change in found:
        if change.before is None or change.before.top1 is None:
            continue
        name = f"{change.row.label}, {change.row.schedule}, {change.dataset}"
        if change.now is None or change.now.top1 is None:
            state = change.now.state if change.now else "the row is gone"
            lines.append(f"{name}: {accuracy(change.before.top1)} before, no result now ({state})")
        elif (top1 := change.top1) and top1.change < -points:
            told = f"{accuracy(change.before.top1)} before, {accuracy(change.now.top1)} now ({_told(top1)})"
            lines.append(f"{name}: {told}{_recipe_words(change)}")
    return lines


def _told(top1: Difference) -> str:
    return f"{signed(top1.change)}, {top1.verdict}"


def _recipe_words(change: Change) -> str:
    return f"; another recipe: {', '.join(change.recipe)}" if change.recipe else ""


def signed(value: float) -> str:
    """Two decimals with a sign; none for zero."""
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{percent(abs(value))}"
