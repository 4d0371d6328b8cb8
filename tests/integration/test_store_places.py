"""Where a store lies: folders of any name, and folders that cannot be written."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from bench.errors import TrackingError
from bench.tracking import Store
from bench.tracking.uri import resolve_uri
from bench.values import Cell, Suite


@pytest.fixture
def suite(make_suite: Callable[..., Suite], make_cell: Callable[..., Cell]) -> Suite:
    return make_suite(make_cell())


@pytest.mark.parametrize("name", ["my%20project", "a%2Fb", "a?b", "a#b", 'it\'s "quoted" & a=b; é'])
def test_bench_and_mlflow_use_one_database_in_a_folder_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (folder := tmp_path / name).mkdir()
    uri = resolve_uri(None, folder)
    store = Store(uri)
    number = store.experiment("tiny")
    run = store.client.create_run(number)
    store.client.log_text(run.info.run_id, "text", "note.txt")
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        assert ("tiny",) in connection.execute("SELECT name FROM experiments").fetchall()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert MlflowClient(tracking_uri=uri).get_experiment(number).name == "tiny"
    assert list(folder.rglob("note.txt"))
    assert MlflowClient(tracking_uri=uri).list_artifacts(run.info.run_id)


def test_a_store_that_cannot_be_written_is_read_and_refused_only_to_a_writer(
    project: Path, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = resolve_uri(None, project)
    Store(uri).experiment(suite.name)
    before = (project / "mlflow.db").read_bytes()

    def refuse(database: Path) -> None:  # root passes every check of permissions
        raise TrackingError(f"{database} cannot be written")

    monkeypatch.setattr("bench.tracking.client.check_writable", refuse)
    reading = Store(uri, reading=True)
    assert (reading.read_only, reading.outcomes(suite.name), reading.suites()) == (True, {}, [])
    assert reading.mark_orphans_lost(suite.name) == []
    with pytest.raises(TrackingError, match="cannot be written"):
        Store(uri)
    (project / "mlflow.db").write_text("no database")
    with pytest.raises(TrackingError, match="is not a sqlite database"):
        Store(uri, reading=True)
    (project / "mlflow.db").write_bytes(before)
