"""Stores: opened, filled with MLflow's tables, shared by processes, made by other versions of MLflow."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from helpers.mlflow_db import OLD_STORES, load_old_store
from mlflow.exceptions import MlflowException, RestException

from bench.errors import TrackingError
from bench.tracking import Store
from bench.tracking.client import MAX_TRIES
from bench.values import Cell, Suite


@pytest.fixture
def suite(make_suite: Callable[..., Suite], make_cell: Callable[..., Cell]) -> Suite:
    return make_suite(make_cell())


def python(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def test_a_death_while_the_tables_are_created_leaves_a_store_that_can_be_used(project: Path) -> None:
    done = python(
        "import os, alembic.command\nfrom bench.tracking import Store\n"
        "upgrade = alembic.command.upgrade\n"
        "alembic.command.upgrade = lambda config, _: (upgrade(config, '451aebb31d03'), os._exit(9))\n"
        f"_ = Store('sqlite:///{project}/mlflow.db').client\n"
    )
    assert done.returncode == 9, done.stderr
    store = Store(f"sqlite:///{project}/mlflow.db")
    assert store.outcomes("any") == {}
    assert store.experiment("any")
    assert not list(project.glob(".mlflow.db.new*"))


def test_create_tables_copies_a_template_without_a_trace_of_the_first_store_and_replaces_a_damaged_one(
    project: Path,
) -> None:
    for name in ("one", "two", "three"):
        (project / name).mkdir()
    assert Store(f"sqlite:///{project}/one/mlflow.db").experiment("a suite")
    (template,) = (project / "cache" / "bench").glob("mlflow-*.db")
    content = template.read_bytes()
    assert str(project).encode() not in content
    before = template.stat().st_mtime_ns
    second = Store(f"sqlite:///{project}/two/mlflow.db")
    assert [experiment.name for experiment in second.client.search_experiments()] == ["Default"]
    assert template.stat().st_mtime_ns == before, "the template was written again"
    damaged = bytearray(content)
    damaged[4096:40960] = bytes(36864)
    template.write_bytes(damaged)
    assert Store(f"sqlite:///{project}/three/mlflow.db").experiment("another suite")
    assert template.read_bytes() != bytes(damaged)


class TestOpenSoon:
    def test_a_store_that_cannot_be_opened_says_so_when_its_client_is_asked_for(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = threading.Event()
        store = Store(f"sqlite:///{project}/mlflow.db")

        def fail() -> None:
            opened.set()
            raise TrackingError("it cannot be opened")

        monkeypatch.setattr(store, "_open", fail)
        store.open_soon()
        assert opened.wait(10)
        with pytest.raises(TrackingError, match="it cannot be opened"):
            _ = store.client

    def test_a_database_of_another_mlflow_is_refused_with_the_command_that_upgrades_it(self, database: Path) -> None:
        change(database, "UPDATE alembic_version SET version_num = '728d730b5ebd'")
        store = Store(f"sqlite:///{database}")
        assert store.outcomes("any") == {}, "it can still be read"
        with pytest.raises(TrackingError, match=f"mlflow db upgrade sqlite:///{database}"):
            store.open_soon()

    def test_a_database_that_is_known_to_be_accepted_is_opened_in_the_background(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert store.client, "MLflow accepts it"
        callers: list[str] = []
        other = Store(store.uri)
        monkeypatch.setattr(other, "_open", lambda: callers.append(threading.current_thread().name))
        other.open_soon()
        for _ in range(100):
            if callers:
                break
            time.sleep(0.1)
        assert callers == ["store"]


@pytest.mark.parametrize("dump", OLD_STORES, ids=lambda path: path.stem)
def test_a_store_of_an_old_mlflow_is_read_as_the_newest_mlflow_reads_it_after_an_upgrade(
    project: Path, dump: Path
) -> None:
    database = load_old_store(dump, project / "mlflow.db")
    uri = f"sqlite:///{database}"
    before = Store(uri).outcomes("old")
    assert [(outcome.state, outcome.top1) for outcome in before.values()] == [("failed", None), ("complete", 91.0625)]
    upgrade = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    subprocess.run(upgrade, check=True, capture_output=True)
    assert Store(uri).outcomes("old") == Store(uri, direct=False).outcomes("old") == before


def test_the_table_is_the_experiments_note_and_the_suite_can_be_read_back(store: Store, suite: Suite) -> None:
    for _ in range(2):
        store.publish(suite, markdown="| a table |", files={"suite.yaml": suite.source, "tables.md": "| a table |"})
    experiment = store.client.get_experiment(store.experiment(suite.name))
    assert experiment.tags["mlflow.note.content"].endswith("\n\n| a table |")
    assert store.suites() == [(suite.name, suite.source, suite.path)]


def test_a_suite_file_that_is_not_utf_8_is_one_sentence(store: Store, suite: Suite, project: Path) -> None:
    store.publish(suite, markdown="x", files={"suite.yaml": "text"})
    (file,) = (project / "mlruns").glob("**/suite.yaml")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(TrackingError, match="cannot be read: a file in it is not UTF-8"):
        store.suites()


@pytest.mark.parametrize("direct", [True, False])
def test_a_deleted_experiment_is_not_restored_and_the_sentence_says_how(
    store: Store, suite: Suite, direct: bool
) -> None:
    experiment = store.experiment(suite.name)
    store.client.delete_experiment(experiment)
    other = Store(store.uri, direct=direct)
    for use in (other.refuse_deleted, other.experiment):
        with pytest.raises(TrackingError, match=f"mlflow experiments restore --experiment-id {experiment}"):
            use(suite.name)
    assert store.client.get_experiment(experiment).lifecycle_stage == "deleted"
    store.client.restore_experiment(experiment)
    other.refuse_deleted(suite.name)
    assert other.experiment(suite.name) == experiment


@pytest.mark.parametrize("direct", [True, False])
def test_an_experiment_that_was_renamed_is_found_by_its_tag(store: Store, suite: Suite, direct: bool) -> None:
    cell = suite.cells[0]
    run_id = store.begin(cell, suite.name, "series", 1_000)
    store.client.rename_experiment(store.experiment(suite.name), "my favourite")
    store.client.create_experiment(suite.name, tags={"bench.suite": "another suite"})
    other = Store(store.uri, direct=direct)
    assert other.experiment(suite.name) == store.experiment(suite.name)
    assert other.outcomes(suite.name)[cell.id].run_id == run_id
    assert other.begin(cell, suite.name, "series", 1_000) == run_id


@pytest.mark.parametrize("direct", [True, False])
def test_a_run_that_was_deleted_is_not_created_again(store: Store, suite: Suite, direct: bool) -> None:
    cell = suite.cells[0]
    store.client.delete_run(store.begin(cell, suite.name, "series", 1_000))
    other = Store(store.uri, direct=direct)
    assert other.deleted_series(suite.name) == {"series"}
    assert other.begin(cell, suite.name, "series", 1_000, newest=True) == ""
    assert other.outcomes(suite.name) == {}


@pytest.mark.parametrize("began", [[2_000, 1_000], [1_000, 1_000], [1_000, 2_000]])
def test_the_series_that_begins_last_is_the_newest_whatever_the_clock_said(
    store: Store, suite: Suite, began: list[int]
) -> None:
    cell = suite.cells[0]
    first, second = (
        store.begin(cell, suite.name, f"series {9 - number}", time_ms, newest=True)
        for number, time_ms in enumerate(began)
    )
    for _ in range(2):
        assert store.begin(cell, suite.name, "series 9", began[0], newest=True) == first
        assert store.begin(cell, suite.name, "series 8", began[1], newest=True) == second
    assert store.outcomes(suite.name)[cell.id].run_id == second


def test_of_two_series_of_one_millisecond_one_is_the_result(store: Store, suite: Suite) -> None:
    cell = suite.cells[0]
    for _ in range(2):
        runs = [store.begin(cell, suite.name, series, 1_000) for series in ("b", "a")]
    assert store.outcomes(suite.name)[cell.id].run_id == runs[0]


@pytest.mark.parametrize("direct", [True, False])
def test_outcomes_elsewhere_are_the_results_of_other_suites(
    store: Store, make_cell: Callable[..., Cell], direct: bool
) -> None:
    cells = [make_cell(seed=seed) for seed in range(60)]
    done, failed, deleted = cells[:3]
    for cell, state in ((done, "complete"), (failed, "failed"), (deleted, "complete")):
        run_id = store.begin(cell, "one", "series", 1_000)
        store.client.set_tag(run_id, "bench.state", state)
        if cell is deleted:
            store.client.delete_run(run_id)
    other = Store(store.uri, direct=direct)
    for asked in (cells, cells[:3]):
        found = other.outcomes_elsewhere({cell.id for cell in asked})
        assert {cell_id: outcome.state for cell_id, outcome in found.items()} == {done.id: "complete"}


def test_check_present_notices_a_database_that_was_replaced(store: Store, database: Path) -> None:
    assert store.client
    store.check_present()
    database.with_name("copy.db").write_bytes(database.read_bytes())
    database.with_name("copy.db").replace(database)
    with pytest.raises(TrackingError, match="was removed or replaced while it was in use"):
        store.check_present()


def test_check_server_says_that_a_server_does_not_answer_without_its_credentials() -> None:
    with pytest.raises(TrackingError, match="does not answer") as caught:
        Store("http://someone:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)


class Clashing:
    """MLflow's client in a race that it loses the first few times, with the error that sqlite makes it raise."""

    def __init__(self, client: object, losing: str, times: int) -> None:
        self._client, self._losing, self._left = client, losing, times

    def __getattr__(self, name: str) -> Any:
        if name == self._losing and self._left:
            self._left -= 1
            raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: experiment_tags.key")
        return getattr(self._client, name)


class TestRetryClashes:
    @pytest.mark.parametrize("call", ["log_batch", "set_experiment_tag"])
    def test_a_table_is_published_though_another_process_inserts_the_same_rows(
        self, store: Store, suite: Suite, call: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bench.tracking.client.SERVER_TIMEOUT_S", 600.0)  # however slow this machine is
        monkeypatch.setattr(store, "_client", Clashing(store.client, call, times=MAX_TRIES - 1))
        store.publish(suite, markdown="| a |", files={"tables.md": "| a |"})
        (own,) = store.runs(suite.name)
        assert own.data.tags["mlflow.note.content"].endswith("\n\n| a |")
        assert own.info.status == "FINISHED"

    def test_a_store_that_continues_to_fail_is_reported(
        self, store: Store, suite: Suite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "_client", Clashing(store.client, "log_batch", times=MAX_TRIES))
        with pytest.raises(TrackingError, match=r"cannot store the tables: .*UNIQUE constraint failed"):
            store.publish(suite, markdown="| a |", files={})


def test_a_suite_whose_runs_end_at_the_same_time_has_one_run_of_its_own(
    store: Store, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_run = store.client.create_run

    def create_late(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.5)
        return create_run(*arguments, **options)

    monkeypatch.setattr(store.client, "create_run", create_late)
    other = Store(store.uri)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(one.publish, suite, markdown="| a |", files={}) for one in (store, other)]:
            done.result()
    assert len(list(store.runs(suite.name))) == 1


def test_suite_runs_that_two_processes_create_at_the_same_moment_on_a_server_become_one(
    store: Store, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server has no lock that keeps a second process out."""
    assert store.experiment(suite.name)
    one, other = Store(store.uri), Store(store.uri)
    both = threading.Barrier(2)
    for each in (one, other):
        monkeypatch.setattr(each, "exclusive", nullcontext)
        monkeypatch.setattr(each.client, "create_run", Together(each.client.create_run, both))
    with ThreadPoolExecutor() as pool:
        for done in [
            pool.submit(each.publish, suite, markdown="| a |", files={"suite.yaml": "x"}) for each in (one, other)
        ]:
            done.result()
    assert [name for name, _, _ in Store(store.uri).suites()] == [suite.name]
    store.publish(suite, markdown="| a |", files={"suite.yaml": "x"})
    (own,) = store.runs(suite.name)
    assert (own.info.status, own.data.tags["bench.suite_file"]) == ("FINISHED", suite.path)


class Together:
    """A call that two threads make at the same moment, the first time."""

    def __init__(self, call: Callable[..., Any], both: threading.Barrier) -> None:
        self._call, self._both = call, both

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        with suppress(threading.BrokenBarrierError):  # of a later time, when the other has ended
            self._both.wait(5)
        return self._call(*arguments, **options)


class TestAnnounce:
    """A server that can be read and not written, as an account without the permission finds it."""

    @pytest.fixture
    def served(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
        monkeypatch.setattr(store, "_database", None)
        monkeypatch.setattr(store, "check_present", lambda: None)
        return store

    def test_the_suite_file_is_there_before_anything_trains(self, served: Store, suite: Suite) -> None:
        served.announce(suite)
        served.announce(suite)
        (own,) = served.runs(suite.name)
        assert own.info.status == "FINISHED"
        assert [file.path for file in served.client.list_artifacts(own.info.run_id)] == ["suite.yaml"]
        assert served.suites() == [], "its tables are missing"

    @pytest.mark.parametrize("call", ["create_experiment", "set_experiment_tag", "create_run", "log_text"])
    def test_whatever_is_refused_is_said_with_what_to_do(
        self, served: Store, suite: Suite, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise RestException({"error_code": "PERMISSION_DENIED", "message": "Permission denied"})  # type: ignore[no-untyped-call]

        monkeypatch.setattr(served.client, call, refuse)
        with pytest.raises(TrackingError, match="MLFLOW_TRACKING_USERNAME"):
            served.announce(suite)


@pytest.mark.parametrize("name", ["../../x", "/x", "a/b", ".."])
def test_an_experiment_never_lies_outside_the_store(store: Store, project: Path, name: str) -> None:
    with pytest.raises(TrackingError, match="cannot be a folder's"):
        store.experiment(name)


def test_a_store_without_a_column_that_is_read_is_left_to_mlflow_which_refuses_it(database: Path) -> None:
    change(database, "ALTER TABLE tags RENAME COLUMN value TO content")
    change(database, "UPDATE alembic_version SET version_num = '728d730b5ebd'")
    with pytest.raises(TrackingError, match="cannot be opened: its tables were made by another version of MLflow"):
        Store(f"sqlite:///{database}")


@pytest.mark.slow
def test_more_runs_than_a_page_are_all_read_through_mlflow(store: Store, suite: Suite) -> None:
    experiment = store.experiment(suite.name)
    for number in range(1001):
        store.client.create_run(experiment, tags={"bench.cell": f"{number:012x}", "bench.state": "complete"})
    assert len(Store(store.uri, direct=False).outcomes(suite.name)) == 1001
