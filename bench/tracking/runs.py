"""The runs of a store: an experiment per suite, in it a run per series of attempts at a cell and one for the suite.

:class:`Store` is what the rest of bench uses. What bench trusts is the tag ``bench.state``, which is written last. The
file is longer than others, so that all that is asked of MLflow about runs stands together.
"""

import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tracking.encoding import (
    ACCEPTED_TAG,
    FOLDED_TAGS,
    INTERNAL_TAG,
    ORPHAN_TAGS,
    OUTCOME_TAGS,
    SUPERSEDED,
    TAG_LIMIT,
    describe_cell,
    describe_suite,
    first_tags,
    fold_tags,
    is_orphan,
    lost_tags,
    params_of,
    shorten,
    to_outcome,
)
from bench.tracking.experiments import ALL, DELETED_ONLY, ExperimentStore
from bench.tracking.reader import local_folder
from bench.values import Cell, Outcome, Suite

if TYPE_CHECKING:
    from mlflow.entities import Run


class Store(ExperimentStore):
    """A usable MLflow store and its runs; see :class:`bench.tracking.client.Connection` for the arguments."""

    def __init__(self, uri: str, *, direct: bool = True, reading: bool = False) -> None:
        super().__init__(uri, direct=direct, reading=reading)
        self._internal: dict[str, str] = {}
        """The tag ``bench.internal`` of the runs that this process writes, by id."""

    def outcomes(self, suite_name: str) -> dict[str, Outcome]:
        """The outcomes of a suite's cells in the store, by cell id. Superseded runs are left out.

        Raises:
            TrackingError: The store cannot be read.
        """
        outcomes: dict[str, Outcome] = {}
        with self.translated("cannot be read"):
            for run_id, tags in self._tags(suite_name, OUTCOME_TAGS):
                if "bench.cell" in tags and "bench.superseded" not in tags:
                    outcomes[tags["bench.cell"]] = to_outcome(run_id, tags)
        return outcomes

    def outcomes_elsewhere(self, cell_ids: Collection[str]) -> dict[str, Outcome]:
        """The results that cells have in other suites' experiments, by cell id; the newest of each.

        Raises:
            TrackingError: The store cannot be read.
        """
        with self.translated("cannot be read"):
            rows = self.reader.runs_of(list(cell_ids), OUTCOME_TAGS) if self.reader else None
            found = self.runs_of(cell_ids) if rows is None else rows
            return {
                tags["bench.cell"]: to_outcome(run_id, tags)
                for run_id, tags in found
                if tags.get("bench.state") == "complete"
                and "bench.superseded" not in tags
                and tags.get("bench.cell") in cell_ids
            }

    def deleted_series(self, suite_name: str) -> Set[str]:
        """The series of attempts whose runs were deleted in the store, at least those of a suite.

        Raises:
            TrackingError: The store cannot be read.
        """
        with self.translated("cannot be read"):
            series = self.reader.deleted_series() if self.reader else None
            if series is not None:
                return series
            experiment = self._found(suite_name) or self._found(suite_name, stage="deleted")
            runs = self.search([str(experiment.id)] if experiment else [], view=DELETED_ONLY)
            return {run.data.tags.get("bench.journal", "") for run in runs}

    def _tags(self, suite_name: str, keys: Sequence[str]) -> Iterable[tuple[str, Mapping[str, str]]]:
        """Ids and tags, at least the named ones, of the runs of a suite, newest first."""
        rows = self.reader.runs(suite_name, keys) if self.reader else None
        return ((run.info.run_id, run.data.tags) for run in self.runs(suite_name)) if rows is None else rows

    def suites(self) -> list[tuple[str, str, str]]:
        """Name, source and file name of every suite that was run into this store, by name.

        Raises:
            TrackingError: The store cannot be read.
        """
        with self.translated("cannot be read"):
            rows = self.reader.suite_runs() if self.reader else None
            suite_runs = self._suite_runs() if rows is None else rows
            # one a suite: two that were created at the same moment are one again when the suite is published next
            each = {name: (run_id, uri, file) for name, run_id, uri, file in suite_runs}
            return sorted((name, self._source(run_id, uri), file) for name, (run_id, uri, file) in each.items())

    def _suite_runs(self) -> Iterator[tuple[str, str, str, str]]:
        """Per complete suite run: the suite's name, the run's id, the URI of its artifacts, and the suite's file."""
        for experiment in self.suite_experiments():
            for run in self.search([experiment.experiment_id], "tags.`bench.suite_run` = 'true'"):
                if file := run.data.tags.get("bench.suite_file"):
                    yield experiment.name, run.info.run_id, run.info.artifact_uri, file

    def _source(self, run_id: str, artifact_uri: str) -> str:
        """The text of the suite file among a suite run's artifacts; without MLflow where they are on this disk."""
        folder = local_folder(artifact_uri) if self.reader else None
        if folder is not None:
            with suppress(OSError):  # MLflow's message says what is wrong with it
                return (folder / "suite.yaml").read_text(encoding="utf-8")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        with tempfile.TemporaryDirectory() as download:
            return Path(self.client.download_artifacts(run_id, "suite.yaml", download)).read_text(encoding="utf-8")

    def steps(self, run_id: str, expected: Mapping[str, set[int]]) -> dict[str, set[int]]:
        """The steps at which a run has a point, by metric; at least of the metrics of which some are expected."""
        steps = self.reader.steps(run_id) if self.reader else None
        if steps is not None:
            return steps
        there = self.client.get_run(run_id).data.metrics  # one request for all metrics of a single point
        steps = {key: numbers for key, numbers in expected.items() if len(numbers) == 1 and key in there}
        for key in expected.keys() & there.keys() - steps.keys():
            steps[key] = {point.step for point in self.client.get_metric_history(run_id, key)}
        return steps

    def ended_runs(self, suite_name: str) -> dict[str, str]:
        """The states that the runs of a suite have in the store, by run id.

        Raises:
            TrackingError: The store cannot be read.
        """
        with self.translated("cannot be read"):
            return {run_id: tags.get("bench.state", "") for run_id, tags in self._tags(suite_name, ("bench.state",))}

    def begin(
        self, cell: Cell, suite_name: str, series: str, created_ms: int, *, newest: bool = False, title: str = ""
    ) -> str:
        """Find or create the run of a series of attempts at a cell. Returns its id; empty if the run was deleted.

        The newest series of a cell is its result. Every other run of the same cell (of the attempts before a rerun, or
        of a BENCH_HOME that was deleted) is labelled ``bench.superseded`` and not touched again, so that two series
        never mix.

        Args:
            cell: The cell.
            suite_name: Whose experiment the run is in.
            series: What distinguishes series, see :class:`bench.values.Attempt`.
            created_ms: Unix time in milliseconds at which the series began.
            newest: A run that is created now is the newest, whatever the clock said when the others began.
            title: What a new run is called; by default the cell's own title.

        Raises:
            TrackingError: The store cannot be written, or the suite's experiment was deleted in it.
        """
        with self.translated("cannot create the cell's run"):
            self.experiment(suite_name)
            every = list(self.runs(suite_name, f"tags.`bench.cell` = '{cell.id}'", view=ALL))
            own = next((run for run in every if run.data.tags.get("bench.journal") == series), None)
            if own is not None and own.info.lifecycle_stage == "deleted":
                return ""
            others = [run for run in every if run is not own and run.info.lifecycle_stage == "active"]
            if own is not None:
                created_ms = own.info.start_time
            elif newest:
                created_ms = max([created_ms, *(run.info.start_time + 1 for run in others)])
            name = title or cell.title
            run_id: str = own.info.run_id if own else self._create_run(cell, suite_name, series, created_ms, name)
            if own is None or not own.data.params:  # who created it was killed before it described it
                self._describe(run_id, cell)
            order = (created_ms, series)
            for run in others:
                if _order(run) < order:
                    self._supersede(run)
            if any(_order(run) > order for run in others):
                self.set_tags(run_id, SUPERSEDED)
            return run_id

    def _create_run(self, cell: Cell, suite_name: str, series: str, created_ms: int, title: str) -> str:
        experiment, tags = self.experiment(suite_name), fold_tags(first_tags(cell, suite_name, series), {})
        run = self.client.create_run(experiment, start_time=created_ms, tags=tags, run_name=title)
        run_id: str = run.info.run_id
        return run_id

    def _describe(self, run_id: str, cell: Cell) -> None:
        """Write what a run is a run of; the params last, because they tell whether this was done."""
        from mlflow.entities import Param

        self.client.log_dict(run_id, asdict(cell), "cell.json")
        self.set_tags(run_id, {"mlflow.note.content": describe_cell(cell)})
        self.client.log_batch(run_id, params=[Param(key, value) for key, value in params_of(cell).items()])

    def _supersede(self, run: "Run") -> None:
        """Label a run as replaced by a newer series, and end it."""
        if not SUPERSEDED.items() <= run.data.tags.items():
            self.set_tags(run.info.run_id, SUPERSEDED)
        if run.info.status == "RUNNING":
            self.client.set_terminated(run.info.run_id, "KILLED")

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Write several tags of a run in one request; what only bench reads becomes one tag."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in self.folded(run_id, tags).items()])

    def folded(self, run_id: str, tags: Mapping[str, str]) -> Mapping[str, str]:
        """Tags as they are written to a run: what only bench reads is one tag, which keeps what it has."""
        if tags.keys().isdisjoint(FOLDED_TAGS):
            return tags
        if run_id not in self._internal:
            self._internal[run_id] = self.client.get_run(run_id).data.tags.get(INTERNAL_TAG, "{}")
        written = fold_tags(tags, {INTERNAL_TAG: self._internal[run_id]})
        self._internal[run_id] = written[INTERNAL_TAG]
        return written

    def accept(self, run_id: str, fingerprint: Mapping[str, str]) -> None:
        """Note in a run that its result is kept knowingly, although this fingerprint is not its own.

        Raises:
            TrackingError: The store cannot be written.
        """
        with self.translated("cannot note that a stale result is kept"):
            self.client.set_tag(run_id, ACCEPTED_TAG, json.dumps(fingerprint, sort_keys=True))

    def mark_orphans_lost(self, suite_name: str) -> list[str]:
        """End the runs of a suite whose process has died, in a store that can be written. Returns their cells' ids.

        Raises:
            TrackingError: The store cannot be read or written.
        """
        return [] if self.read_only else self.retry_clashes(lambda: self._mark_orphans_lost(suite_name))

    def _mark_orphans_lost(self, suite_name: str) -> list[str]:
        lost: list[str] = []
        with self.translated("cannot end the runs whose process has died"):
            if not self._has_orphans(suite_name):
                return lost
            for run in list(self.runs(suite_name, "attributes.status = 'RUNNING'")):
                run_id, tags = run.info.run_id, run.data.tags
                if is_orphan(tags):
                    self.set_tags(run_id, lost_tags(to_outcome(run_id, tags)))
                    self.client.set_terminated(run_id, "KILLED")
                    self.client.set_tag(run_id, "bench.state", "interrupted")
                    lost.append(tags["bench.cell"])
        return lost

    def _has_orphans(self, suite_name: str) -> bool:
        """Whether there may be runs whose process has died, so that MLflow must be asked."""
        rows = self.reader.runs(suite_name, ORPHAN_TAGS, only_running=True) if self.reader else None
        return rows is None or any(is_orphan(tags) for _, tags in rows)

    def announce(self, suite: Suite) -> None:
        """Create a suite's experiment and its own run: a store that refuses them says so before anything trains.

        Raises:
            TrackingError: The store takes no experiments, runs, tags or files.
        """
        if self._database is not None:
            return  # whether sqlite can write was found out when it was opened
        with self.translated("cannot be written"):
            experiment = self.experiment(suite.name)
            self.client.set_experiment_tag(experiment, "bench.suite", suite.name)
            run_id = self._suite_run(suite, experiment)
            self.client.log_text(run_id, suite.source, "suite.yaml")
            self.client.set_terminated(run_id, "FINISHED")

    def publish(self, suite: Suite, *, markdown: str, files: Mapping[str, str], folder: "Path | None" = None) -> None:
        """Write the suite file and the tables into the suite's own run, and the table into the experiment's note.

        Args:
            suite: The suite.
            markdown: The table, shortened where it exceeds MLflow's limit.
            files: Text by artifact name.
            folder: Whose files become artifacts, too.

        Raises:
            TrackingError: The store cannot be written.
        """
        self.retry_clashes(lambda: self._publish(suite, markdown, files, folder))

    def _publish(self, suite: Suite, markdown: str, files: Mapping[str, str], folder: "Path | None") -> None:
        with self.translated("cannot store the tables"):
            experiment = self.experiment(suite.name)
            with self.exclusive():
                run_id = self._suite_run(suite, experiment)
                for name, text in files.items():
                    self.client.log_text(run_id, text, name)
                if folder is not None and any(folder.iterdir()):
                    self.client.log_artifacts(run_id, str(folder))
                hint = f"(the complete table: artifact tables.md of run {run_id})"
                described = f"{describe_suite(suite)}\n\n{markdown}"
                note = shorten(described, hint, TAG_LIMIT)
                self.set_tags(run_id, {"bench.suite_file": suite.path, "mlflow.note.content": note})
                self.client.set_experiment_tag(experiment, "mlflow.note.content", shorten(described, hint))
                self.client.set_terminated(run_id, "FINISHED")

    def _suite_run(self, suite: Suite, experiment: str) -> str:
        """The id of the suite's own run, which is created where it is missing.

        Two processes that create it at the same moment on a server both see both afterwards, keep the first in MLflow's
        order and delete the other.
        """
        own = "tags.`bench.suite_run` = 'true'"
        runs = list(self.runs(suite.name, own))
        if not runs:
            tags = {"bench.suite_run": "true", "bench.suite": suite.name}
            run = self.client.create_run(experiment, tags=tags, run_name=f"suite {suite.name}")
            runs = list(self.runs(suite.name, own)) or [run]
        for other in runs[1:]:
            self.client.delete_run(other.info.run_id)
        run_id: str = runs[0].info.run_id
        return run_id


def _order(run: "Run") -> tuple[int, str]:
    """What the series of a cell are ordered by; two that began in one millisecond have an order too."""
    return run.info.start_time, run.data.tags.get("bench.journal", "")
