"""The MLflow store: one experiment a suite, one run a cell, and everything mlflow raises turned into one error.

Only :class:`mlflow.MlflowClient` is used, never the fluent calls, which guess: a bare ``start_run`` calls a run that
was killed FINISHED. What bench trusts is the tag ``bench.state``, written last.
"""

import logging
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from bench.errors import TrackingError
from bench.tracking.database import SERVER_TIMEOUT_S, _check_server, _check_sqlite, _identity, _make_tables
from bench.tracking.encoding import TAG_LIMIT, first_tags, is_orphan, outcome_tag, params_of, shorten, to_outcome
from bench.tracking.reader import Reader, is_empty, local_folder
from bench.tracking.uri import redact, redact_text, sqlite_path
from bench.values import Cell, Outcome, Suite
from bench.workspace.host import PROCESS_TAGS

PAGE = 1000


CLASHES = 5
"""How often the same rows may be written by others at the same moment before a write is given up."""


GONE = "its process is gone; bench run goes on where it stopped"


OUTCOME_TAGS = ("bench.cell", "bench.superseded", "bench.state", "bench.outcome", "mlflow.source.git.commit")
"""What :func:`to_outcome` and its caller read."""


ORPHAN_TAGS = ("bench.cell", "bench.state", *PROCESS_TAGS)
"""What :func:`is_orphan` reads."""


Written = TypeVar("Written")


class Store:
    """A usable MLflow store.

    Args:
        uri: The store, absolute.
        direct: Read a sqlite database without mlflow where :mod:`bench.tracking.reader` can; the answers are the same.

    Raises:
        TrackingError: It cannot be opened; the sentence says what to do.
    """

    def __init__(self, uri: str, *, direct: bool = True) -> None:
        self.uri = uri
        self._check_reachable()
        database = sqlite_path(uri)
        # an empty file is nobody's loss, and may be replaced by the run that makes its tables
        self._file = _identity(database) if database and not is_empty(database) else None
        self._reader = Reader(database) if database and direct else None
        self._opening = threading.Lock()
        self._opened: Any = None
        self._experiments: dict[str, str] = {}
        if self._reader is None or not self._reader.knows():
            _ = self.client  # what MLflow has to say against it is said before anything trains

    @property
    def client(self) -> Any:
        """MLflow's client, opened when it is first asked for: importing it takes seconds that reading can do without.

        Raises:
            TrackingError: It cannot be opened.
        """
        with self._opening:
            if self._opened is None:
                self.check_present()
                self._opened = self._open()
                self._file = _identity(sqlite_path(self.uri))
            return self._opened

    def open_soon(self) -> None:
        """Begin to open MLflow's client beside whatever goes on; what goes wrong is told to who asks for it next."""

        def open_it() -> None:
            with suppress(TrackingError):
                _ = self.client

        if self._opened is None:
            # no daemon: a process that ends in the middle of an import may crash
            threading.Thread(target=open_it, name="store").start()

    def _check_reachable(self) -> None:
        path = sqlite_path(self.uri)
        if path is not None:
            _check_sqlite(path)
        elif self.uri.startswith(("http://", "https://")):
            _check_server(self.uri)

    def _open(self) -> Any:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # its lines with the address of every run, password and all, do not belong into the output
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        os.environ.pop("MLFLOW_RUN_ID", None)  # would make MLflow write into somebody's run
        # a call that fails is tried again by the forwarder, which can be stopped; MLflow's own tries last for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        with self.translated("cannot be opened"), self._alone(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mlflow's own imports warn of other libraries
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is raised too, and told once
            database = sqlite_path(self.uri)
            if database is not None and is_empty(database):
                _make_tables(database.resolve())
            client = MlflowClient(tracking_uri=self.uri)
            client.search_experiments(max_results=1)
        return client

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of bench out while a database is made: two that make its tables fail each other."""
        database = sqlite_path(self.uri)
        if database is None:
            yield
            return
        with FileLock(database.with_name(f".{database.name}.lock")):
            yield

    def _unless_clashing(self, write: Callable[[], Written]) -> Written:
        """Do something again that failed: of two who insert one row MLflow fails the later, who finds it the next time.

        Only for what may be done twice.
        """
        began = time.monotonic()
        for _ in range(CLASHES - 1):
            try:
                return write()
            except TrackingError:
                if time.monotonic() - began > SERVER_TIMEOUT_S:
                    raise  # a server that does not answer; a clash is told at once
        return write()

    @contextmanager
    def translated(self, what: str) -> Iterator[None]:
        """Turn whatever mlflow, its database driver or the network raise into a TrackingError."""
        try:
            yield
        except TrackingError:
            raise
        except Exception as error:
            text = redact_text(str(error).strip())
            if "mlflow db upgrade" in text:
                text = f"it was made by another MLflow; bring it up to date with: mlflow db upgrade {redact(self.uri)}"
            first = (text.splitlines() or [type(error).__name__])[0][:400]
            raise TrackingError(f"the MLflow store {redact(self.uri)} {what}: {first}") from error

    def experiment(self, name: str) -> str:
        """The experiment of a suite, made or brought back from the bin where needed."""
        if name not in self._experiments:
            client = self.client  # opened before the lock is taken, which opening takes too
            with self.translated("has no experiment for the suite and takes none"), self._alone():
                found = client.get_experiment_by_name(name)
                if found is None:
                    self._experiments[name] = self._create_experiment(name)
                    return self._experiments[name]
                if found.lifecycle_stage == "deleted":
                    client.restore_experiment(found.experiment_id)
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _create_experiment(self, name: str) -> str:
        database = sqlite_path(self.uri)
        location = (database.parent / "mlruns" / name).as_uri() if database else None
        # the kind makes the UI open with runs and charts instead of traces
        tags = {"bench.suite": name, "mlflow.experimentKind": "custom_model_development"}
        created: str = self.client.create_experiment(name, artifact_location=location, tags=tags)
        return created

    def runs(self, suite_name: str, filter_string: str = "") -> Iterator[Any]:
        """All runs of a suite's experiment, page by page."""
        found = self.client.get_experiment_by_name(suite_name)
        token = None
        while found is not None:
            page = self.client.search_runs(
                [found.experiment_id], filter_string=filter_string, max_results=PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def outcomes(self, suite_name: str) -> dict[str, Outcome]:
        """What the store knows of a suite's cells, by cell id; runs that were superseded are left out.

        Raises:
            TrackingError: The store cannot be read.
        """
        found: dict[str, Outcome] = {}
        with self.translated("cannot be read"):
            for run_id, tags in self._tags(suite_name, OUTCOME_TAGS):
                if "bench.cell" in tags and "bench.superseded" not in tags:
                    found[tags["bench.cell"]] = to_outcome(run_id, tags)
        return found

    def _tags(self, suite_name: str, keys: Sequence[str]) -> Iterable[tuple[str, Mapping[str, str]]]:
        """Ids and tags, at least the named ones, of the runs of a suite, newest first."""
        read = self._reader.runs(suite_name, keys) if self._reader else None
        return ((run.info.run_id, run.data.tags) for run in self.runs(suite_name)) if read is None else read

    def suites(self) -> list[tuple[str, str, str]]:
        """Name, source and file name of every suite that was run into this store, by name.

        Raises:
            TrackingError: The store cannot be read.
        """
        with self.translated("cannot be read"):
            read = self._reader.suite_runs() if self._reader else None
            found = self._suite_runs() if read is None else read
            return sorted((name, self._source(run_id, uri), file) for name, run_id, uri, file in found)

    def _suite_runs(self) -> Iterator[tuple[str, str, str, str]]:
        """Of every suite's own run that is whole: the suite's name, the run's id, its artifacts' URI, the file."""
        token = None
        while True:
            page = self.client.search_experiments(filter_string="tags.`bench.suite` LIKE '%'", page_token=token)
            for experiment in page:
                for run in self.runs(experiment.name, "tags.`bench.suite_run` = 'true'"):
                    if file := run.data.tags.get("bench.suite_file"):
                        yield experiment.name, run.info.run_id, run.info.artifact_uri, file
            token = page.token
            if not token:
                return

    def _source(self, run_id: str, artifact_uri: str) -> str:
        """The text of the suite file in a suite's own run; from the disk where it lies on this machine's."""
        folder = local_folder(artifact_uri) if self._reader else None
        if folder is not None:
            with suppress(OSError):  # MLflow's own sentence tells what is wrong with it
                return (folder / "suite.yaml").read_text(encoding="utf-8")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        with tempfile.TemporaryDirectory() as download:
            return Path(self.client.download_artifacts(run_id, "suite.yaml", download)).read_text(encoding="utf-8")

    def steps(self, run_id: str, keys: Iterable[str]) -> dict[str, set[int]]:
        """The steps of which a run has a point, by metric, of at least the named metrics that it has."""
        read = self._reader.steps(run_id) if self._reader else None
        if read is not None:
            return read
        return {key: {point.step for point in self.client.get_metric_history(run_id, key)} for key in keys}

    def begin(self, cell: Cell, suite_name: str, series: str, created_ms: int) -> str:
        """The run of a series of attempts at a cell: found again if it is there, else made.

        The newest series of a cell is its result. Every other run of the same cell (before a rerun, or of a BENCH_HOME
        that was deleted) is kept, labelled ``bench.superseded`` and left alone, so that two series never mix.

        Args:
            cell: The cell.
            suite_name: Whose experiment the run is in.
            series: What tells series apart, see :class:`bench.values.Attempt`.
            created_ms: When the series began.
        """
        with self.translated("takes no run"):
            self.experiment(suite_name)
            runs = list(self.runs(suite_name, f"tags.`bench.cell` = '{cell.id}'"))
            own = next((run.info.run_id for run in runs if run.data.tags.get("bench.journal") == series), None)
            own = own or self._create_run(cell, suite_name, series, created_ms)
            others = [run for run in runs if run.info.run_id != own]
            for run in others:
                if run.info.start_time <= created_ms:
                    self._supersede(run)
            if any(run.info.start_time > created_ms for run in others):
                self.client.set_tag(own, "bench.superseded", "true")
            return own

    def _supersede(self, run: Any) -> None:
        """Label a run as replaced by a later one; it stays."""
        if "bench.superseded" not in run.data.tags:
            self.client.set_tag(run.info.run_id, "bench.superseded", "true")
        if run.info.status == "RUNNING":
            self.client.set_terminated(run.info.run_id, "KILLED")

    def _create_run(self, cell: Cell, suite_name: str, series: str, created_ms: int) -> str:
        from mlflow.entities import Param

        experiment, tags = self.experiment(suite_name), first_tags(cell, suite_name, series)
        run = self.client.create_run(experiment, start_time=created_ms, tags=tags, run_name=cell.title)
        run_id: str = run.info.run_id
        self.client.log_batch(run_id, params=[Param(key, value) for key, value in params_of(cell).items()])
        self.client.log_dict(run_id, asdict(cell), "cell.json")
        return run_id

    def mark_orphans_lost(self, suite_name: str) -> list[str]:
        """End the runs of a suite whose process is gone. Returns the ids of their cells.

        Raises:
            TrackingError: The store cannot be read or written.
        """
        return self._unless_clashing(lambda: self._mark_orphans_lost(suite_name))

    def _mark_orphans_lost(self, suite_name: str) -> list[str]:
        settled: list[str] = []
        with self.translated("cannot settle runs whose process is gone"):
            if not self._has_orphans(suite_name):
                return settled
            from mlflow.entities import RunTag

            for run in list(self.runs(suite_name, "attributes.status = 'RUNNING'")):
                tags = run.data.tags
                if not is_orphan(tags):
                    continue
                known = to_outcome(run.info.run_id, tags)
                outcome = replace(known, state="interrupted", kind="lost", reason=GONE)
                ended = {"bench.outcome": outcome_tag(outcome), "bench.failure": "lost", "bench.reason": GONE}
                self.client.log_batch(run.info.run_id, tags=[RunTag(key, value) for key, value in ended.items()])
                self.client.set_terminated(run.info.run_id, "KILLED")
                self.client.set_tag(run.info.run_id, "bench.state", "interrupted")
                settled.append(tags["bench.cell"])
        return settled

    def _has_orphans(self, suite_name: str) -> bool:
        """Whether it is worth asking MLflow for runs whose process is gone."""
        read = self._reader.runs(suite_name, ORPHAN_TAGS, only_running=True) if self._reader else None
        return read is None or any(is_orphan(tags) for _, tags in read)

    def check_present(self) -> None:
        """Notice a database that was removed or replaced: an open connection goes on writing to the one that is gone.

        Raises:
            TrackingError: It is not the file that was opened.
        """
        if self._file is not None and _identity(sqlite_path(self.uri)) != self._file:
            raise TrackingError(f"the MLflow store {self.uri} was removed or replaced while it was in use")

    def publish(self, suite: Suite, *, markdown: str, files: Mapping[str, str]) -> None:
        """Keep the suite file and the tables in the suite's own run, and the table as the experiment's note.

        Raises:
            TrackingError: The store takes no more.
        """
        self._unless_clashing(lambda: self._publish(suite, markdown, files))

    def _publish(self, suite: Suite, markdown: str, files: Mapping[str, str]) -> None:
        with self.translated("takes no table"):
            experiment = self.experiment(suite.name)
            with self._alone():
                own = list(self.runs(suite.name, "tags.`bench.suite_run` = 'true'"))
                if own:
                    run_id = own[0].info.run_id
                else:
                    tags = {"bench.suite_run": "true", "bench.suite": suite.name}
                    run_id = self.client.create_run(experiment, tags=tags, run_name=f"suite {suite.name}").info.run_id
                for name, text in files.items():
                    self.client.log_text(run_id, text, name)
                self.client.set_tag(run_id, "bench.suite_file", suite.path)
                note = shorten(markdown, f"(the whole table: artifact tables.md of run {run_id})")
                self.client.set_tag(run_id, "mlflow.note.content", note[:TAG_LIMIT])
                self.client.set_experiment_tag(experiment, "mlflow.note.content", note)
                self.client.set_terminated(run_id, "FINISHED")
