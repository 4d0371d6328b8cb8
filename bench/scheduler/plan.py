"""Plan: what is to be done with a suite, from what is known of its cells. Starts nothing and asks no store."""

import heapq
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from bench.catalog import DATASETS
from bench.fingerprint import changes, fingerprint
from bench.values import Cell, Cost, DataKey, Outcome, Plan, Suite, Task

Selection = Literal["missing", "all", "failed", "stale"]


def merge_outcomes(stored: Mapping[str, Outcome], local: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """What is known of each cell, from the tracking store and from its folder on this machine.

    A complete result counts wherever it is. Otherwise the folder knows better, because its journal is the truth until
    the store has it.
    """
    merged = dict(stored)
    for cell_id, outcome in local.items():
        if outcome.state == "missing" or (cell_id in stored and stored[cell_id].state == "complete"):
            continue
        merged[cell_id] = outcome
    return merged


def make_plan(
    suite: Suite,
    outcomes: Mapping[str, Outcome],
    costs: Mapping[str, Cost],
    *,
    history: Iterable[tuple[Cell, Outcome]] = (),
    select: Selection = "missing",
    max_cells: int | None = None,
) -> Plan:
    """Decide for every cell of a suite whether it runs.

    Args:
        suite: What to run.
        outcomes: What is known, by cell id; a cell that is not in it is missing.
        costs: Params and FLOPs by cell id, where they are known.
        history: Cells of other suites that ran on this machine, for estimates.
        select: Which cells run: those without a result (``missing``, the default), all of them (``all``), those that
            failed (``failed``), or those without a result and those whose result is stale (``stale``).
        max_cells: Run no more than this many, the first ones of the suite.
    """
    ran = [(cell, outcomes[cell.id]) for cell in suite.cells if cell.id in outcomes]
    speeds = Speeds.of([*history, *ran])
    tasks = []
    left = len(suite.cells) if max_cells is None else max_cells
    for cell in suite.cells:
        outcome = outcomes.get(cell.id) or Outcome(cell_id=cell.id, state="missing")
        cost = costs.get(cell.id) or outcome.cost
        runs = left > 0 and _is_selected(outcome, select)
        left -= runs
        done = 0 if outcome.state == "complete" else outcome.epochs_done
        tasks.append(
            Task(cell=cell, outcome=outcome, runs=runs, cost=cost, estimate_s=speeds.estimate(cell, cost, done))
        )
    return Plan(suite=suite, tasks=tuple(tasks))


def with_estimates(plan: Plan, seconds: Mapping[str, float]) -> Plan:
    """The plan with estimates, by cell id, where it had none."""
    tasks = [
        replace(task, estimate_s=seconds.get(task.cell.id)) if task.estimate_s is None else task for task in plan.tasks
    ]
    return replace(plan, tasks=tuple(tasks))


def predicted(plan: Plan, slots: int) -> float | None:
    """Seconds until the plan's cells are done on so many slots; None where one has no estimate."""
    estimates = [task.estimate_s for task in plan.to_run]
    known = [seconds for seconds in estimates if seconds is not None]
    return makespan(known, slots) if len(known) == len(estimates) else None


def makespan(seconds: Iterable[float], slots: int) -> float:
    """When the last of some cells ends, in seconds, if each takes so long.

    As the loop of ``bench run`` places them: the longest first, the next one on the slot that is free first.
    """
    free_at = [0.0] * slots
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


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
    """The outcomes, with what has changed since each result was made.

    Args:
        cells: The cells they are of.
        outcomes: By cell id.
        digests: Digest of the data that is here now, by :attr:`bench.values.Cell.data_key`; what is not here has not
            changed.
    """
    marked = dict(outcomes)
    current: dict[tuple[str, str], Mapping[str, str]] = {}
    for cell in cells:
        outcome = outcomes.get(cell.id)
        if outcome is None or outcome.state != "complete":
            continue
        data = digests.get(cell.data_key, "")
        if (cell.model, data) not in current:  # ten thousand cells ask the same few questions
            # the kind of device is not asked for: a result from a GPU does not rot by being looked at on a laptop
            current[cell.model, data] = fingerprint(cell, data=data, device="")
        if stale := changes(outcome.fingerprint, current[cell.model, data]):
            marked[cell.id] = replace(outcome, stale=stale)
    return marked


@dataclass(frozen=True)
class Speeds:
    """How fast cells ran before: what estimates are made of."""

    epoch_s: Mapping[tuple[object, ...], float]
    """Seconds an epoch, by everything that decides it."""
    rates: Mapping[tuple[str, int], Sequence[float]]
    """Forward multiply-adds a second of training of every cell that ran, by model and FLOPs of an image."""
    nearest: dict[tuple[str, int], float] = field(default_factory=dict)
    """Rates that were asked for."""

    @classmethod
    def of(cls, ran: Iterable[tuple[Cell, Outcome]]) -> "Speeds":
        """Collect the speeds of the cells that have been timed."""
        epochs: dict[tuple[object, ...], float] = {}
        rates: dict[tuple[str, int], list[float]] = {}
        for cell, outcome in ran:
            if outcome.epoch_s:
                epochs[_workload(cell)] = outcome.epoch_s
            if outcome.images_per_s and outcome.cost:
                flops = outcome.cost.flops
                rates.setdefault((cell.model, flops), []).append(outcome.images_per_s * flops)
        return cls(epochs, rates)

    def estimate(self, cell: Cell, cost: Cost | None, epochs_done: int) -> float | None:
        """Seconds for the epochs that are left; None where nothing comparable ran before.

        The same workload is scaled by its epochs. Else the net that ran and is most like it, the same one or that of
        the nearest FLOPs, is scaled by FLOPs, which is rough: small layers reach a smaller share of a machine's speed.
        """
        left = max(0, cell.recipe.epochs - epochs_done)
        if (known := self.epoch_s.get(_workload(cell))) is not None:
            return round(left * known, 1)
        images = _train_images(cell)
        if not self.rates or cost is None or images is None:
            return None
        return round(left * images * cost.flops / self._rate(cell.model, cost.flops), 1)

    def _rate(self, model: str, flops: int) -> float:
        """Multiply-adds a second of the net that is most like this one, the median of its runs."""

        def distance(ran: tuple[str, int]) -> tuple[bool, float]:
            return ran[0] != model, abs(math.log(ran[1] / flops))

        if (model, flops) not in self.nearest:
            least = min(distance(ran) for ran in self.rates)
            found = [rate for ran, rates in self.rates.items() if distance(ran) == least for rate in rates]
            self.nearest[model, flops] = statistics.median(found)
        return self.nearest[model, flops]


def _train_images(cell: Cell) -> int | None:
    """Training images of an epoch, as published; None for a folder, which nobody has counted."""
    if cell.dataset not in DATASETS:
        return None
    spec, limit = DATASETS[cell.dataset], cell.recipe.max_images_per_class
    return spec.train_images if limit is None else min(spec.train_images, limit * spec.num_classes)


def _workload(cell: Cell) -> tuple[object, ...]:
    recipe = cell.recipe
    return (cell.model, *cell.data_key, recipe.stem, recipe.batch_size, recipe.precision)
