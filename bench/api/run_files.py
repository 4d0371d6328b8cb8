"""A finished run by a name that people have of it, and the files that it left: predictions and weights.

A file is looked for in the cell's folder on this machine, where that folder is of the same run, then among the run's
artifacts in the store.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.codec import read_object
from bench.errors import BenchError, UsageError

if TYPE_CHECKING:
    from bench.tracking import Store
    from bench.values import Cell, Outcome
    from bench.workspace.paths import CellFolder
    from bench.workspace.requests import Trained

KINDS = {"predictions.npz": "predictions", "weights.safetensors": "weights"}
"""File -> what it holds, in words."""


class MissingFileError(BenchError):
    """A run has no longer, or never had, a file that is asked for."""


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run that is complete, and where its files may be."""

    cell: "Cell"
    outcome: "Outcome"
    folder: "CellFolder"
    """The cell's folder on this machine, which may be missing or of another run."""
    store: "Store | None"

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.cell.title} (cell {self.cell.id})"

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """One of :data:`KINDS`, for the length of a block.

        Raises:
            MissingFileError: It is neither on this machine nor in the store.
            TrackingError: The store cannot be read.
        """
        if self._is_here() and (path := self.folder.root / name).is_file():
            yield path
            return
        if self.store is None or not self.outcome.run_id:
            raise self._missing(name)
        from bench.tracking.artifacts import artifact

        with artifact(self.store, self.outcome.run_id, name) as found:
            if found is None:
                raise self._missing(name)
            yield found

    def trained(self, weights: Path) -> "Trained":
        """What the worker is told about the net in a file of weights."""
        from bench.workspace.requests import Trained

        digest = self.outcome.weights_sha256
        if not digest and self._is_here():
            with suppress(OSError, ValueError):
                digest = str(read_object(self.folder.result.read_text()).get("weights_sha256", ""))
        return Trained(
            cell=self.cell,
            title=self.title,
            weights=str(weights),
            sha256=digest,
            top1=self.outcome.top1,
            data=self.outcome.fingerprint.get("data", ""),
        )

    def _is_here(self) -> bool:
        """Whether the folder on this machine is of this run: a rerun has another, and so has a run from elsewhere."""
        if not self.folder.result.exists():
            return False
        if not self.outcome.run_id:
            return True
        try:
            sent = json.loads(self.folder.tracking.read_text())
            return any(each["run_id"] == self.outcome.run_id for each in sent.values())
        except (OSError, ValueError, AttributeError, TypeError, KeyError):
            return False

    def _missing(self, name: str) -> MissingFileError:
        kind, run_id = KINDS[name], self.outcome.run_id
        where = f"on this machine ({self.folder.root / name})" + (f" and in the store (run {run_id})" if run_id else "")
        why = " (--keep-weights none keeps none)" if kind == "weights" else ""
        return MissingFileError(
            f"{self.title} has no {kind}: they are missing {where}{why}; bench run SUITE --rerun --filter "
            f"id={self.cell.id} trains it again"
        )


def find_run(name: str, store: "Store | None") -> FinishedRun:
    """The finished run whose MLflow id, or whose cell's id, begins with ``name``.

    Raises:
        UsageError: There is none, there are several, which are named, or it is not finished.
        TrackingError: The store cannot be read.
    """
    from bench.api.cells import all_suites, find_cell, outcome_of

    stored = [(suite, store.outcomes(suite.name)) for suite in all_suites(store)] if store and name else []
    runs = {
        outcome.run_id: cell.id
        for suite, outcomes in stored
        for cell in suite.cells
        if (outcome := outcomes.get(cell.id)) and outcome.run_id.startswith(name)
    }
    if len(set(runs.values())) > 1:
        raise UsageError(f"{len(runs)} runs' ids begin with {name!r}; type one more character: {', '.join(runs)}")
    try:
        found = find_cell(next(iter(runs.values()), name), store)
    except UsageError as error:
        if str(error).startswith("no cell"):
            raise UsageError(
                f"no run's and no cell's id begins with {name!r}; bench report --runs lists both"
            ) from None
        raise
    outcome = outcome_of(found, store)
    run = FinishedRun(cell=found.cell, outcome=outcome, folder=found.folder, store=store)
    if outcome.state != "complete":
        raise UsageError(f"{run.title} is {outcome.state}: only a finished run has results")
    return run
