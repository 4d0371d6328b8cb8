"""Fast reading of a sqlite store: the standard library on MLflow's tables, without the seconds of importing MLflow.

Called by :class:`bench.tracking.runs.Store`. Where an answer is None, the store asks MLflow's public API instead: for a
database without one of the columns that are read here, whichever version of MLflow created it, and for one that cannot
be opened read-only (its last writer died, say, and only a writer can repair it). Nothing is ever written. A database
that is missing or has no tables yet is empty.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

COLUMNS = {
    "experiments": {"experiment_id", "name", "lifecycle_stage"},
    "experiment_tags": {"experiment_id", "key", "value"},
    "runs": {"run_uuid", "status", "start_time", "lifecycle_stage", "artifact_uri", "experiment_id"},
    "tags": {"run_uuid", "key", "value"},
    "metrics": {"run_uuid", "key", "step"},
}
"""Tables and columns that the queries below need. They are the same in all versions of MLflow since 1.0."""

BUSY_S = 20.0
"""How long to wait for a database that is being written; as long as MLflow does."""

Tags = dict[str, str]
Answer = TypeVar("Answer")

EXPERIMENTS = """
SELECT experiments.experiment_id, experiments.name, experiments.lifecycle_stage, suite.value FROM experiments
LEFT JOIN experiment_tags AS suite ON suite.experiment_id = experiments.experiment_id AND suite.key = 'bench.suite'
WHERE suite.value = ? OR experiments.name = ?
"""
"""The experiments that a suite's may be, see :func:`choose_experiment`."""

RUNS = """
SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active' {status}
ORDER BY start_time DESC, run_uuid
"""
"""The runs of a suite in the order of MLflow's search."""

TAGS = """
SELECT tags.run_uuid, tags.key, tags.value FROM tags JOIN runs USING (run_uuid)
WHERE runs.experiment_id = ? AND runs.lifecycle_stage = 'active' {status} AND tags.key IN ({keys})
"""

DELETED = """
SELECT series.value FROM runs JOIN tags AS series USING (run_uuid)
WHERE runs.lifecycle_stage = 'deleted' AND series.key = 'bench.journal'
"""
"""The series of attempts whose runs were deleted, of whichever suite."""

ELSEWHERE = """
SELECT tags.run_uuid, tags.key, tags.value FROM tags AS cell
JOIN runs USING (run_uuid) JOIN experiments USING (experiment_id) JOIN tags USING (run_uuid)
WHERE cell.key = 'bench.cell' AND cell.value IN ({cells}) AND runs.lifecycle_stage = 'active'
AND experiments.lifecycle_stage = 'active' AND tags.key IN ({keys}) ORDER BY runs.start_time, tags.run_uuid
"""
"""The runs of cells in whichever suite, oldest first."""

MAX_VALUES = 500
"""Values in one query; sqlite takes 999."""

SUITE_RUNS = """
SELECT experiments.name, runs.run_uuid, runs.artifact_uri, file.value FROM experiments
JOIN experiment_tags AS suite ON suite.experiment_id = experiments.experiment_id AND suite.key = 'bench.suite'
JOIN runs ON runs.experiment_id = experiments.experiment_id AND runs.lifecycle_stage = 'active'
JOIN tags AS own ON own.run_uuid = runs.run_uuid AND own.key = 'bench.suite_run' AND own.value = 'true'
JOIN tags AS file ON file.run_uuid = runs.run_uuid AND file.key = 'bench.suite_file'
WHERE experiments.lifecycle_stage = 'active'
"""


class Reader:
    """Reads one sqlite database. Each question has a connection and a snapshot of its own."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def can_read(self) -> bool:
        """Whether questions are answered here."""
        return self._ask(lambda _: True, empty=True) is True

    def runs(
        self, suite_name: str, keys: Sequence[str], *, only_running: bool = False
    ) -> list[tuple[str, Tags]] | None:
        """Ids and the named tags of a suite's runs that are not deleted, in the order of MLflow's search."""
        status = "AND runs.status = 'RUNNING'" if only_running else ""

        def query(connection: sqlite3.Connection) -> list[tuple[str, Tags]]:
            found = choose_experiment(connection.execute(EXPERIMENTS, (suite_name, suite_name)), suite_name)
            if found is None:
                return []
            runs = connection.execute(RUNS.format(status=status), (found.id,))
            tags_by_run: dict[str, Tags] = {run_id: {} for (run_id,) in runs}
            statement = TAGS.format(status=status, keys=", ".join("?" * len(keys)))
            for run_id, key, value in connection.execute(statement, (found.id, *keys)):
                tags_by_run[run_id][key] = value
            return list(tags_by_run.items())

        return self._ask(query, empty=list[tuple[str, Tags]]())

    def experiments(self, suite_name: str) -> list[tuple[str | int, str, str, str | None]] | None:
        """Every experiment that a suite's may be, deleted ones too: id, name, stage of life, and tag."""
        return self._ask(lambda connection: connection.execute(EXPERIMENTS, (suite_name,) * 2).fetchall(), empty=[])

    def deleted_series(self) -> set[str] | None:
        """The series of attempts whose runs were deleted."""
        return self._ask(lambda connection: {name for (name,) in connection.execute(DELETED)}, empty=set[str]())

    def runs_of(self, cell_ids: Sequence[str], keys: Sequence[str]) -> list[tuple[str, Tags]] | None:
        """Ids and the named tags of the runs of cells in whichever suite, oldest first."""

        def query(connection: sqlite3.Connection) -> list[tuple[str, Tags]]:
            tags_by_run: dict[str, Tags] = {}
            for begin in range(0, len(cell_ids), MAX_VALUES):
                some = cell_ids[begin : begin + MAX_VALUES]
                marks = {"cells": ", ".join("?" * len(some)), "keys": ", ".join("?" * len(keys))}
                for run_id, key, value in connection.execute(ELSEWHERE.format(**marks), (*some, *keys)):
                    tags_by_run.setdefault(run_id, {})[key] = value
            return list(tags_by_run.items())

        return self._ask(query, empty=list[tuple[str, Tags]]())

    def suite_runs(self) -> list[tuple[str, str, str, str]] | None:
        """Per complete suite run: the suite's name, the run's id, the URI of its artifacts, and the suite's file."""
        return self._ask(lambda connection: connection.execute(SUITE_RUNS).fetchall(), empty=[])

    def artifact_uri(self, run_id: str) -> str | None:
        """The URI of a run's artifacts; empty if there is no such run."""

        def query(connection: sqlite3.Connection) -> str:
            found = connection.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
            return found[0] if found else ""

        return self._ask(query, empty="")

    def steps(self, run_id: str) -> dict[str, set[int]] | None:
        """The steps at which a run has a point, by metric."""

        def query(connection: sqlite3.Connection) -> dict[str, set[int]]:
            steps: dict[str, set[int]] = {}
            for key, step in connection.execute("SELECT key, step FROM metrics WHERE run_uuid = ?", (run_id,)):
                steps.setdefault(key, set()).add(step)
            return steps

        return self._ask(query, empty=dict[str, set[int]]())

    def _ask(self, query: Callable[[sqlite3.Connection], Answer], *, empty: Answer) -> Answer | None:
        """The answer to a query, ``empty`` where there are no tables yet, None where MLflow must be asked."""
        try:
            if is_empty(self._database):
                return empty
            with connect(self._database) as connection:
                connection.execute("BEGIN")
                return query(connection) if _has_columns(connection) else None
        except sqlite3.Error:
            return None


class Experiment(NamedTuple):
    """An experiment that a suite's runs may be in."""

    id: str | int
    name: str
    lifecycle_stage: str
    suite: str | None
    """Its tag ``bench.suite``."""


def choose_experiment(
    found: Iterable[tuple[str | int, str, str, str | None]], suite_name: str, stage: str = "active"
) -> Experiment | None:
    """The experiment of a suite: the one with its tag, whatever it is called now, else the one with its name."""
    experiments = [each for each in map(Experiment._make, found) if each.lifecycle_stage == stage]
    own = [each for each in experiments if suite_name == (each.suite or each.name)]
    return min(own, key=lambda each: (each.suite is None, each.name != suite_name, str(each.id)), default=None)


def is_empty(database: Path) -> bool:
    """Whether a database is missing or has no tables yet; one that cannot be read is not called empty."""
    if not database.exists():
        return True
    try:
        with connect(database) as connection:
            return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return False


def connect(database: Path) -> "closing[sqlite3.Connection]":
    """A read-only connection.

    Raises:
        sqlite3.Error: The database is missing or cannot be opened.
    """
    uri = f"{database.absolute().as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None))


def _has_columns(connection: sqlite3.Connection) -> bool:
    """Whether the queries above mean in this database what they mean in MLflow's."""
    for table, columns in COLUMNS.items():
        if not columns <= _columns(connection, table):
            return False
    if "workspace" not in _columns(connection, "experiments"):
        return True  # older than MLflow's workspaces
    # with workspaces two experiments may have one name
    return not connection.execute("SELECT 1 FROM experiments WHERE workspace <> 'default' LIMIT 1").fetchone()


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def local_folder(artifact_uri: str) -> Path | None:
    """The folder of a URI of artifacts on this machine's disk; None for every other URI."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file" and not parts.netloc and not parts.query and not parts.fragment:
        path = Path(unquote(parts.path))
    elif not parts.scheme:
        path = Path(artifact_uri)
    else:
        return None
    return path if path.is_absolute() else None
