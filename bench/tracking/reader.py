"""The fast way to read a sqlite store: the standard library on MLflow's own tables, without importing mlflow.

Called by :class:`bench.tracking.client.Store` only, which asks MLflow's public API wherever an answer here is None: for
a database of another schema than the one that is written down here, and for one that cannot be read like this (one
whose last writer died, say, which only a writer can repair). Nothing is ever written; a database that is not there, or
has no tables yet, is empty.
"""

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

KNOWN = frozenset({"dc11669786a5"})
"""Revisions of MLflow's schema that were read and compared with the public API; 3.17's. Before another is added, look
at what its migrations did to the tables below."""
COLUMNS = {
    "experiments": {"experiment_id", "name", "lifecycle_stage", "workspace"},
    "experiment_tags": {"experiment_id", "key", "value"},
    "runs": {"run_uuid", "status", "start_time", "lifecycle_stage", "artifact_uri", "experiment_id"},
    "tags": {"run_uuid", "key", "value"},
    "metrics": {"run_uuid", "key", "step"},
}
"""Tables and columns that are read."""
BUSY_S = 20.0
"""How long a database that somebody writes to is waited for; as long as MLflow does."""

Tags = dict[str, str]
Found = TypeVar("Found")

RUNS = """
SELECT runs.run_uuid FROM runs JOIN experiments USING (experiment_id)
WHERE experiments.name = ? AND runs.lifecycle_stage = 'active' {status} ORDER BY runs.start_time DESC, runs.run_uuid
"""
"""The runs of a suite in the order of MLflow's search."""
TAGS = """
SELECT tags.run_uuid, tags.key, tags.value FROM tags JOIN runs USING (run_uuid) JOIN experiments USING (experiment_id)
WHERE experiments.name = ? AND runs.lifecycle_stage = 'active' {status} AND tags.key IN ({keys})
"""
SUITE_RUNS = """
SELECT experiments.name, runs.run_uuid, runs.artifact_uri, file.value FROM experiments
JOIN experiment_tags AS suite ON suite.experiment_id = experiments.experiment_id AND suite.key = 'bench.suite'
JOIN runs ON runs.experiment_id = experiments.experiment_id AND runs.lifecycle_stage = 'active'
JOIN tags AS own ON own.run_uuid = runs.run_uuid AND own.key = 'bench.suite_run' AND own.value = 'true'
JOIN tags AS file ON file.run_uuid = runs.run_uuid AND file.key = 'bench.suite_file'
WHERE experiments.lifecycle_stage = 'active'
"""


class Reader:
    """Reads one sqlite database, in a connection and a snapshot of its own each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def knows(self) -> bool:
        """Whether the database can be read here and is what the installed MLflow writes."""
        return self._ask(lambda _: True, nothing=True) is True

    def runs(
        self, suite_name: str, keys: Sequence[str], *, only_running: bool = False
    ) -> list[tuple[str, Tags]] | None:
        """Ids and the named tags of a suite's runs that are not deleted, in the order of MLflow's search."""
        status = "AND runs.status = 'RUNNING'" if only_running else ""

        def ask(connection: sqlite3.Connection) -> list[tuple[str, Tags]]:
            found: dict[str, Tags] = {
                run_id: {} for (run_id,) in connection.execute(RUNS.format(status=status), (suite_name,))
            }
            query = TAGS.format(status=status, keys=", ".join("?" * len(keys)))
            for run_id, key, value in connection.execute(query, (suite_name, *keys)):
                found[run_id][key] = value
            return list(found.items())

        return self._ask(ask, nothing=list[tuple[str, Tags]]())

    def suite_runs(self) -> list[tuple[str, str, str, str]] | None:
        """Of every suite's own run: the suite's name, the run's id, where its artifacts are, and the suite's file."""
        return self._ask(lambda connection: connection.execute(SUITE_RUNS).fetchall(), nothing=[])

    def steps(self, run_id: str) -> dict[str, set[int]] | None:
        """The steps of which a run has a point, by metric."""

        def ask(connection: sqlite3.Connection) -> dict[str, set[int]]:
            found: dict[str, set[int]] = {}
            for key, step in connection.execute("SELECT key, step FROM metrics WHERE run_uuid = ?", (run_id,)):
                found.setdefault(key, set()).add(step)
            return found

        return self._ask(ask, nothing=dict[str, set[int]]())

    def _ask(self, question: Callable[[sqlite3.Connection], Found], *, nothing: Found) -> Found | None:
        """The answer to a question, ``nothing`` where there are no tables yet, None where MLflow must be asked."""
        try:
            if is_empty(self._path):
                return nothing
            with _connect(self._path) as connection:
                connection.execute("BEGIN")
                return question(connection) if _is_known(connection) else None
        except sqlite3.Error:
            return None


def is_empty(path: Path) -> bool:
    """Whether a database is not there or has no tables yet; one that cannot be read is not called empty."""
    if not path.exists():
        return True
    try:
        with _connect(path) as connection:
            return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return False


def _connect(path: Path) -> "closing[sqlite3.Connection]":
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None))


def _is_known(connection: sqlite3.Connection) -> bool:
    """Whether the tables are those that are written down above, and in the state that the installed MLflow makes."""
    for table, columns in COLUMNS.items():
        if not columns <= {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
            return False
    revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(revisions) != 1 or revisions[0][0] not in KNOWN or revisions[0][0] != newest_revision():
        return False
    # with workspaces two experiments may have one name
    return not connection.execute("SELECT 1 FROM experiments WHERE workspace <> 'default' LIMIT 1").fetchone()


@cache
def newest_revision() -> str:
    """The revision to which the installed MLflow brings a database; empty if that cannot be told."""
    spec = find_spec("mlflow")
    places = (spec.submodule_search_locations if spec else None) or ()
    files = [file for place in places for file in Path(place, "store", "db_migrations", "versions").glob("*.py")]
    texts = [file.read_text(encoding="utf-8") for file in files]
    made = {name for text in texts for name in re.findall(r"^revision\b.*?=\s*[\"'](\w+)", text, re.MULTILINE)}
    passed = {name for text in texts for name in re.findall(r"^down_revision\b.*?=\s*[\"'](\w+)", text, re.MULTILINE)}
    left = made - passed
    return left.pop() if len(left) == 1 else ""


def local_folder(artifact_uri: str) -> Path | None:
    """The folder of artifacts that lie on this machine's disk; None for any other place."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file" and not parts.netloc and not parts.query and not parts.fragment:
        path = Path(unquote(parts.path))
    elif not parts.scheme:
        path = Path(artifact_uri)
    else:
        return None
    return path if path.is_absolute() else None
