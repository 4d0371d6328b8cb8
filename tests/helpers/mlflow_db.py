"""Make stores with many runs quickly: rows written into tables that MLflow itself made, with the tags bench writes."""

import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.tracking.encoding import first_tags, outcome_tags, params_of
from bench.values import Cell, Outcome, Suite


@dataclass(frozen=True, kw_only=True)
class FilledRun:
    """A run as it stands in the database."""

    tags: Mapping[str, str]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    name: str = ""
    start_ms: int = 1_700_000_000_000
    status: str = "FINISHED"
    deleted: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def run_of(cell: Cell, outcome: Outcome, suite_name: str, **changed: object) -> FilledRun:
    """The run that the forwarder leaves of a cell's outcome; keywords change it."""
    status = {"complete": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}.get(outcome.state, "RUNNING")
    tags = {
        **first_tags(cell, suite_name, "series"),
        **outcome_tags(outcome),
        "bench.state": outcome.state,
        "mlflow.source.git.commit": outcome.commit,
    }
    run = FilledRun(tags=tags, name=cell.title, status=status, params=params_of(cell))
    return replace(run, **changed)  # type: ignore[arg-type]


def fill(database: Path, suite_name: str, runs: Iterable[FilledRun], *, deleted: bool = False) -> None:
    """Write an experiment with runs into tables that are there already."""
    location = (database.parent / "mlruns" / suite_name).as_uri()
    with closing(sqlite3.connect(database)) as connection, connection:
        stage = "deleted" if deleted else "active"
        row = connection.execute(
            "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time) "
            "VALUES (?, ?, ?, 0, 0)",
            (suite_name, location, stage),
        )
        experiment = row.lastrowid
        connection.execute("INSERT INTO experiment_tags VALUES ('bench.suite', ?, ?)", (suite_name, experiment))
        for run in runs:
            connection.execute(
                "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, lifecycle_stage, "
                "artifact_uri, experiment_id) VALUES (?, ?, 'UNKNOWN', 'me', ?, ?, ?, ?, ?)",
                (
                    run.run_id,
                    run.name,
                    run.status,
                    run.start_ms,
                    "deleted" if run.deleted else "active",
                    f"{location}/{run.run_id}/artifacts",
                    experiment,
                ),
            )
            for table, pairs in (("tags", run.tags), ("params", run.params)):
                connection.executemany(
                    f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",
                    [(key, value, run.run_id) for key, value in pairs.items()],
                )
            connection.executemany(
                "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 0, 0, 0, ?)",
                [(key, value, run.run_id) for key, value in run.metrics.items()],
            )


def fill_suite_run(database: Path, suite: Suite) -> FilledRun:
    """A suite's own run, with its file among the artifacts on disk; to be written with :func:`fill`."""
    run = FilledRun(
        tags={"bench.suite_run": "true", "bench.suite": suite.name, "bench.suite_file": suite.path},
        name=f"suite {suite.name}",
    )
    folder = database.parent / "mlruns" / suite.name / run.run_id / "artifacts"
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text(suite.source, encoding="utf-8")
    return run


def empty_store(database: Path) -> None:
    """Have MLflow make its tables."""
    from bench.tracking import Store

    _ = Store(f"sqlite:///{database}").client


OLD_STORES = sorted((Path(__file__).parent / "stores").glob("mlflow-*.sql"))
"""Stores that older versions of MLflow made, written by ``dump_mlflow_store.py``."""


def load_old_store(dump: Path, database: Path) -> Path:
    """Make a database from a dump. Returns the database."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    return database
