"""The experiments of suites in a store: found by their tag, whatever they are called now, and created where missing.

:class:`bench.tracking.runs.Store` builds on it. An experiment that somebody deleted is never restored by bench.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DeletedExperimentError, TrackingError
from bench.tracking.client import Connection
from bench.tracking.reader import Experiment, choose_experiment
from bench.tracking.uri import redact, sqlite_path

if TYPE_CHECKING:
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Run

ACTIVE_ONLY, DELETED_ONLY, ALL = 1, 2, 3
"""Values of MLflow's ViewType, which would take seconds to import."""

MAX_ASKED = 50
"""Cells that are asked for one by one; for more, all results are read."""

PAGE = 1000
"""Runs per request."""


class ExperimentStore(Connection):
    """A usable MLflow store and its experiments; see :class:`Connection` for the arguments."""

    def __init__(self, uri: str, *, direct: bool = True, reading: bool = False) -> None:
        super().__init__(uri, direct=direct, reading=reading)
        self._experiments: dict[str, str] = {}

    def experiment(self, name: str) -> str:
        """The id of a suite's experiment, which is created where it is missing.

        Raises:
            TrackingError: The store cannot be written, or the experiment was deleted in it.
        """
        if name not in self._experiments:
            client = self.client  # opened before the lock is taken, because opening takes it too
            with self.translated("cannot create the suite's experiment"), self.exclusive():
                found = self._found(name)
                if found is None:
                    self.refuse_deleted(name)
                self._experiments[name] = str(found.id) if found else self._create_experiment(client, name)
        return self._experiments[name]

    def _create_experiment(self, client: "MlflowClient", name: str) -> str:
        if Path(name).name != name or name == "..":
            raise TrackingError(
                f"the suite's name {name!r} cannot be a folder's: its files would lie outside the store"
            )
        database = sqlite_path(self.uri)
        location = (database.parent / "mlruns" / name).as_uri() if database else None
        # the kind makes the UI open with runs and charts instead of traces
        tags = {"bench.suite": name, "mlflow.experimentKind": "custom_model_development"}
        return client.create_experiment(name, artifact_location=location, tags=tags)

    def refuse_deleted(self, name: str) -> None:
        """Refuse a suite whose experiment was deleted: restoring it is for those who deleted it.

        Raises:
            DeletedExperimentError: It was.
            TrackingError: The store cannot be read.
        """
        with self.translated("cannot be read"):
            deleted = None if self._found(name) else self._found(name, stage="deleted")
        if deleted is not None:
            raise DeletedExperimentError(
                f"the experiment {name!r} was deleted in the MLflow store {redact(self.uri)}. To have its runs back: "
                f"mlflow experiments restore --experiment-id {deleted.id}. To start anew: remove it for good with "
                f"mlflow gc --experiment-ids {deleted.id}, or give the suite another name"
            )

    def _found(self, name: str, stage: str = "active") -> Experiment | None:
        rows = self.reader.experiments(name) if self.reader else None
        return choose_experiment(self._experiments_of(name) if rows is None else rows, name, stage)

    def _experiments_of(self, name: str) -> list[Experiment]:
        tagged = self.client.search_experiments(ALL, filter_string=f"tags.`bench.suite` = '{name}'")
        named = self.client.get_experiment_by_name(name)
        return [
            Experiment(each.experiment_id, each.name, each.lifecycle_stage, each.tags.get("bench.suite"))
            for each in [*tagged, *([named] if named else [])]
        ]

    def runs(self, suite_name: str, filter_string: str = "", *, view: int = ACTIVE_ONLY) -> "Iterator[Run]":
        """The runs of a suite's experiment, page by page; ``view``: deleted ones too, or only those."""
        known = self._experiments.get(suite_name)
        if known is None:
            found = self._found(suite_name)
            known = str(found.id) if found else None
        return self.search([known] if known else [], filter_string, view=view)

    def search(
        self, experiments: Sequence[str], filter_string: str = "", *, view: int = ACTIVE_ONLY
    ) -> "Iterator[Run]":
        """The runs of experiments, page by page, newest first."""
        token = None
        while experiments:
            page = self.client.search_runs(
                list(experiments),
                filter_string=filter_string,
                run_view_type=view,
                max_results=PAGE,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def suite_experiments(self) -> "Iterator[mlflow.entities.Experiment]":
        """The experiments of suites that are not deleted, page by page."""
        token = None
        while True:
            page = self.client.search_experiments(filter_string="tags.`bench.suite` LIKE '%'", page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def runs_of(self, cell_ids: Collection[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Ids and tags of the runs of cells in all experiments of bench, oldest first; maybe those of others too."""
        experiments = [each.experiment_id for each in self.suite_experiments()]
        filters = [f"tags.`bench.cell` = '{cell_id}'" for cell_id in cell_ids]
        if len(filters) > MAX_ASKED:
            filters = ["tags.`bench.state` = 'complete'"]
        for filter_string in filters:
            for run in reversed(list(self.search(experiments, filter_string))):
                yield run.info.run_id, run.data.tags
