"""Fast reading of sqlite, on the tables of the oldest versions of MLflow, without MLflow."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers.mlflow_db import OLD_STORES, load_old_store

from bench.tracking.reader import COLUMNS, Reader, is_empty, local_folder


@pytest.fixture(params=OLD_STORES, ids=lambda path: path.stem)
def database(project: Path, request: pytest.FixtureRequest) -> Path:
    return load_old_store(request.param, project / "mlflow.db")


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def test_runs_have_the_asked_tags_in_the_order_of_mlflows_search(database: Path) -> None:
    runs = Reader(database).runs("old", ["bench.cell", "bench.state"]) or []
    assert [tags for _, tags in runs] == [
        {},
        {"bench.cell": "c0ffee000002", "bench.state": "failed"},
        {"bench.cell": "c0ffee000001", "bench.state": "complete"},
        {"bench.cell": "c0ffee000001", "bench.state": "complete"},
    ]
    assert Reader(database).runs("another", ["bench.cell"]) == []


def test_runs_that_are_deleted_are_left_out(database: Path) -> None:
    change(database, "UPDATE runs SET lifecycle_stage = 'deleted' WHERE status = 'FAILED'")
    assert len(Reader(database).runs("old", ["bench.cell"]) or []) == 3


def test_only_running_leaves_out_runs_that_ended(database: Path) -> None:
    ((_, tags),) = Reader(database).runs("old", ["bench.suite_run"], only_running=True) or []
    assert tags == {"bench.suite_run": "true"}


def test_suite_runs_name_suite_artifacts_and_file(database: Path) -> None:
    ((name, run_id, artifacts, file),) = Reader(database).suite_runs() or []
    assert (name, artifacts, file) == ("old", f"/store/mlruns/old/{run_id}/artifacts", "suites/old.yaml")


def test_steps_are_those_of_every_metric_of_a_run(database: Path) -> None:
    ((run_id, _), *_) = [run for run in Reader(database).runs("old", ["bench.cell"]) or [] if run[1]]
    assert Reader(database).steps(run_id) == {"test/top1": {1, 2}}


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table in COLUMNS for column in sorted(COLUMNS[table])]
)
def test_a_database_without_a_column_that_is_read_is_left_to_mlflow(database: Path, table: str, column: str) -> None:
    reader = Reader(database)
    assert reader.can_read()
    change(database, f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
    assert not reader.can_read()
    assert (reader.runs("old", ["bench.cell"]), reader.suite_runs(), reader.steps("r")) == (None, None, None)


@pytest.mark.parametrize("statement", ["UPDATE alembic_version SET version_num = 'new'", "DROP TABLE alembic_version"])
def test_a_database_of_an_unknown_revision_is_read(database: Path, statement: str) -> None:
    change(database, statement)
    assert Reader(database).can_read()


def test_columns_that_are_added_do_not_matter(database: Path) -> None:
    before = Reader(database).runs("old", ["bench.cell"])
    change(database, "ALTER TABLE runs ADD COLUMN another TEXT")
    assert Reader(database).runs("old", ["bench.cell"]) == before


def test_a_database_with_a_second_workspace_is_left_to_mlflow(database: Path) -> None:
    change(database, "ALTER TABLE experiments ADD COLUMN workspace TEXT DEFAULT 'default'")
    assert Reader(database).can_read()
    change(database, "INSERT INTO experiments (experiment_id, name, workspace) VALUES (99, 'same', 'another')")
    assert not Reader(database).can_read()


def test_a_damaged_database_is_left_to_mlflow_and_not_called_empty(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    database.write_bytes(content)
    assert Reader(database).runs("old", ["bench.cell"]) is None
    assert not is_empty(database)


def test_a_missing_database_and_one_without_tables_are_empty_and_stay_as_they_are(project: Path) -> None:
    reader = Reader(project / "mlflow.db")
    for _ in range(2):
        assert is_empty(project / "mlflow.db")
        assert (reader.runs("any", ["bench.cell"]), reader.suite_runs(), reader.steps("any")) == ([], [], {})
        (project / "mlflow.db").touch()
    assert (project / "mlflow.db").stat().st_size == 0


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("file:///a/b%20c/d", "/a/b c/d"),
        ("/a/b", "/a/b"),
        ("./mlruns/0", None),
        ("s3://bucket/a", None),
        ("file://host/a", None),
        ("mlflow-artifacts:/0/x", None),
    ],
)
def test_local_folder_is_a_folder_of_this_machine_only(uri: str, folder: str | None) -> None:
    assert local_folder(uri) == (None if folder is None else Path(folder))
