"""Plan: what is to be done with a suite, from what is known of its cells. Pure: reads no file and starts nothing."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.catalog import DATASETS
from bench.values import Cell, Cost, Outcome, Plan, Suite, Task


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
    rerun: bool = False,
    max_cells: int | None = None,
) -> Plan:
    """Decide for every cell of a suite whether it runs.

    Args:
        suite: What to run.
        outcomes: What is known, by cell id; a cell that is not in it is missing.
        costs: Params and FLOPs by cell id, where they are known.
        history: Cells of other suites that ran on this machine, for estimates.
        rerun: Run complete cells too.
        max_cells: Run no more than this many, the first ones of the suite.
    """
    ran = [(cell, outcomes[cell.id]) for cell in suite.cells if cell.id in outcomes]
    speeds = Speeds.of([*history, *ran])
    tasks = []
    left = len(suite.cells) if max_cells is None else max_cells
    for cell in suite.cells:
        outcome = outcomes.get(cell.id) or Outcome(cell_id=cell.id, state="missing")
        cost = costs.get(cell.id) or outcome.cost
        runs = left > 0 and (rerun or outcome.state != "complete")
        left -= runs
        done = 0 if rerun else outcome.epochs_done
        tasks.append(
            Task(cell=cell, outcome=outcome, runs=runs, cost=cost, estimate_s=speeds.estimate(cell, cost, done))
        )
    return Plan(suite=suite, tasks=tuple(tasks))


@dataclass(frozen=True)
class Speeds:
    """How fast cells ran before: what estimates are made of."""

    epoch_s: Mapping[tuple[object, ...], float]
    """Seconds an epoch, by everything that decides it."""
    macs_per_s: float | None
    """Forward multiply-adds a second of training, median over all cells that ran."""

    @classmethod
    def of(cls, ran: Iterable[tuple[Cell, Outcome]]) -> "Speeds":
        """Collect the speeds of the cells that have been timed."""
        epochs: dict[tuple[object, ...], float] = {}
        rates = []
        for cell, outcome in ran:
            if outcome.epoch_s:
                epochs[_workload(cell)] = outcome.epoch_s
            if outcome.images_per_s and outcome.cost:
                rates.append(outcome.images_per_s * outcome.cost.flops)
        return cls(epochs, statistics.median(rates) if rates else None)

    def estimate(self, cell: Cell, cost: Cost | None, epochs_done: int) -> float | None:
        """Seconds for the epochs that are left; None where nothing comparable ran before.

        The same workload is scaled by its epochs. Another net is scaled by its FLOPs, which is rough: nets with small
        layers reach a smaller share of a machine's speed.
        """
        left = max(0, cell.recipe.epochs - epochs_done)
        if (known := self.epoch_s.get(_workload(cell))) is not None:
            return round(left * known, 1)
        images = DATASETS[cell.dataset].train_images if cell.dataset in DATASETS else None
        if self.macs_per_s is None or cost is None or images is None:
            return None
        return round(left * images * cost.flops / self.macs_per_s, 1)


def _workload(cell: Cell) -> tuple[object, ...]:
    recipe = cell.recipe
    return (cell.model, cell.dataset, recipe.stem, recipe.input_size, recipe.batch_size, recipe.precision)
