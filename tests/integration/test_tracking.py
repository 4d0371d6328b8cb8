"""The store and the forwarder, on real sqlite stores in a folder of the test's own."""

import json
import math
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from bench.errors import TrackingError
from bench.tracking import Forwarder, Store, redact, resolve_uri, store_exists
from bench.tracking.encoding import shorten, to_outcome
from bench.tracking.forward import pause_after
from bench.values import Cell, Cost, FailureKind, State, Suite
from bench.workspace.events import CostMeasured, DataLoaded, Diverged, Ended, EpochDone, Started, Summarised
from bench.workspace.host import process_tags
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
COST = Cost(params=1_234_567, flops=7_654_321, conv_linear_macs=7_000_001, torch_macs=7_000_001)


@pytest.fixture
def store(project: Path) -> Store:
    return Store(f"sqlite:///{project}/mlflow.db")


@pytest.fixture
def suite(make_suite: Callable[..., Suite], make_cell: Callable[..., Cell]) -> Suite:
    return make_suite(make_cell())


@pytest.fixture
def forwarder(store: Store, suite: Suite) -> Iterator[Forwarder]:
    made = Forwarder(store, suite.name, live=True)
    yield made
    made.close()


def folder_of(project: Path, cell: Cell) -> CellFolder:
    folder = CellFolder.of(project / ".bench", cell.id)
    folder.root.mkdir(parents=True, exist_ok=True)
    return folder


def begin(journal: Journal, attempt: int = 1) -> None:
    context = {**process_tags(), "mlflow.source.git.commit": "abc123"}
    journal.write(Started(attempt=attempt, epochs=2, device="cpu", device_name="a CPU", context=context))
    journal.write(DataLoaded(dataset="digits", digest="d" * 64, classes=10, train_images=5, test_images=4))
    journal.write(CostMeasured(cost=COST))


def epoch(journal: Journal, number: int, top1: float = 90.125) -> None:
    metrics = {"train/loss": 0.5, "train/lr": 0.1, "test/loss": 0.25, "test/top1": top1, "test/top5": 99.5}
    journal.write(EpochDone(epoch=number, metrics=metrics, epoch_s=1.5, images_per_s=100.0))


def end(journal: Journal, state: State = "complete", kind: FailureKind = "", reason: str = "") -> None:
    journal.write(Summarised(metrics={"time/total_s": 3.0, "memory/peak_mb": 10.0}))
    journal.write(Ended(state=state, kind=kind, reason=reason, fingerprint={"data": "d"}))


def complete(folder: CellFolder) -> None:
    with Journal(folder.attempt(1).journal) as journal:
        begin(journal)
        epoch(journal, 1)
        epoch(journal, 2, top1=91.0625)
        end(journal)


def only_run(store: Store, suite: Suite) -> Any:
    (run,) = [run for run in store.runs(suite.name) if "bench.cell" in run.data.tags]
    return run


def history(store: Store, run: Any, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in store.client.get_metric_history(run.info.run_id, key)]


def test_a_journal_becomes_one_finished_run_with_every_point(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder
) -> None:
    cell = suite.cells[0]
    complete(folder_of(project, cell))
    forwarder.watch(cell, folder_of(project, cell))
    assert forwarder.drain(30) == []
    run = only_run(store, suite)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == cell.title
    assert history(store, run, "test/top1") == [(1, 90.125), (2, 91.0625)]
    assert run.data.metrics["cost/params_m"] == pytest.approx(1.234567)
    assert (run.data.params["model"], run.data.params["lr"]) == (cell.model, "0.05")
    assert run.inputs.dataset_inputs[0].dataset.digest == "d" * 36
    assert json.loads(run.inputs.dataset_inputs[0].dataset.source)["sha256"] == "d" * 64


def test_points_keep_the_time_at_which_they_were_made(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    complete(folder)
    times = [json.loads(line)["time_ms"] for line in folder.attempt(1).journal.read_text().splitlines()]
    forwarder.watch(cell, folder)
    forwarder.drain(30)
    run = only_run(store, suite)
    points = store.client.get_metric_history(run.info.run_id, "test/top1")
    assert [point.timestamp for point in points] == times[3:5]
    assert (run.info.start_time, run.info.end_time) == (times[0], times[-1])


def test_an_outcome_comes_back_exactly_as_it_was_journaled(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder
) -> None:
    cell = suite.cells[0]
    complete(folder_of(project, cell))
    forwarder.watch(cell, folder_of(project, cell))
    forwarder.drain(30)
    outcome = store.outcomes(suite.name)[cell.id]
    assert (outcome.state, outcome.top1, outcome.top5, outcome.epochs_done) == ("complete", 91.0625, 99.5, 2)
    assert outcome.cost is not None
    assert (outcome.cost.params, outcome.cost.flops) == (1_234_567, 7_654_321)
    assert (outcome.device, outcome.commit, outcome.fingerprint) == ("a CPU", "abc123", {"data": "d"})


@pytest.mark.parametrize("forget", [False, True])
def test_replaying_a_journal_again_doubles_nothing(project: Path, store: Store, suite: Suite, forget: bool) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    complete(folder)
    for _ in range(3):
        forwarder = Forwarder(store, suite.name, live=True)
        forwarder.watch(cell, folder)
        assert forwarder.drain(30) == []
        forwarder.close()
        if forget:
            folder.tracking.unlink()
    assert history(store, only_run(store, suite), "test/top1") == [(1, 90.125), (2, 91.0625)]


def test_an_epoch_that_a_second_attempt_repeats_is_logged_once(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    with Journal(folder.attempt(1).journal) as journal:
        begin(journal)
        epoch(journal, 1)
    with Journal(folder.attempt(2).journal) as journal:
        begin(journal, attempt=2)
        epoch(journal, 1)
        epoch(journal, 2)
        end(journal)
    forwarder.watch(cell, folder)
    forwarder.drain(30)
    run = only_run(store, suite)
    assert history(store, run, "test/top1") == [(1, 90.125), (2, 90.125)]
    assert run.data.tags["bench.attempt"] == "2"


def test_a_growing_journal_is_followed(project: Path, store: Store, suite: Suite, forwarder: Forwarder) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    forwarder.watch(cell, folder)
    with Journal(folder.attempt(1).journal) as journal:
        begin(journal)
        epoch(journal, 1)
        forwarder.drain(30)
        running = store.outcomes(suite.name)[cell.id]
        epoch(journal, 2)
        end(journal)
    forwarder.drain(30)
    assert (running.state, running.epochs_done, running.epochs) == ("running", 1, 2)
    assert store.outcomes(suite.name)[cell.id].state == "complete"


def test_a_journal_that_grows_after_its_run_was_ended_opens_it_again(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    complete(folder)
    forwarder.watch(cell, folder)
    assert forwarder.drain(30) == []
    with Journal(folder.attempt(1).journal) as journal:
        journal.write(Ended(state="failed", kind="lost", reason="its result was not written"))
    assert forwarder.drain(30) == []
    run, outcome = only_run(store, suite), store.outcomes(suite.name)[cell.id]
    assert (run.info.status, outcome.state, outcome.reason) == ("FAILED", "failed", "its result was not written")
    assert history(store, run, "test/top1") == [(1, 90.125), (2, 91.0625)]


def test_a_cell_that_the_store_has_whole_is_forgotten(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    complete(folder)
    forwarder.watch(cell, folder)
    assert forwarder.drain(30) == []
    monkeypatch.setattr(store, "_client", None)
    monkeypatch.setattr(store, "_open", lambda: pytest.fail("the store was asked again"))
    assert forwarder.drain(30) == []


@pytest.mark.parametrize(
    ("before_s", "busy_s", "failed", "pause_s"),
    [(0.5, 0.001, False, 0.5), (0.5, 0.02, False, 2.0), (2.0, 3.0, False, 10.0), (8.0, 0.0, True, 16.0)],
)
def test_following_takes_a_hundredth_of_a_core_and_waits_longer_for_a_store_that_is_away(
    before_s: float, busy_s: float, failed: bool, pause_s: float
) -> None:
    assert pause_after(before_s, busy_s, failed=failed) == pytest.approx(pause_s)


def test_a_store_that_cannot_be_client_soon_says_so_to_who_asks_next(
    project: Path, monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.parametrize(
    ("state", "kind", "status"),
    [("failed", "oom", "FAILED"), ("interrupted", "", "KILLED"), ("failed", "diverged", "FAILED")],
)
def test_the_end_of_an_attempt_is_the_runs(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder, state: State, kind: FailureKind, status: str
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    with Journal(folder.attempt(1).journal) as journal:
        begin(journal)
        end(journal, state, kind, "it broke")
    forwarder.watch(cell, folder)
    forwarder.drain(30)
    outcome = store.outcomes(suite.name)[cell.id]
    assert (only_run(store, suite).info.status, outcome.state, outcome.kind) == (status, state, kind)
    assert outcome.reason == "it broke"


def test_infinity_is_stored_as_nan_and_not_as_a_large_number(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    with Journal(folder.attempt(1).journal) as journal:
        begin(journal)
        journal.write(Diverged(epoch=1, metrics={"train/loss": math.inf}))
        journal.write(Ended(state="failed", kind="diverged", reason="it diverged"))
    forwarder.watch(cell, folder)
    assert forwarder.drain(30) == []
    ((step, value),) = history(store, only_run(store, suite), "train/loss")
    assert step == 1
    assert math.isnan(value)


def test_points_of_a_clock_that_jumped_back_come_in_the_order_of_their_epochs(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    complete(folder)
    journal = folder.attempt(1).journal
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["time_ms"] -= 1_000_000 * number
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    forwarder.watch(cell, folder)
    assert forwarder.drain(30) == []
    run = only_run(store, suite)
    assert sorted(history(store, run, "test/top1")) == [(1, 90.125), (2, 91.0625)]
    assert run.data.metrics["test/top1"] == 91.0625
    assert store.outcomes(suite.name)[cell.id].state == "complete"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, "RUNNING"),
        ({"bench.pid_started": "1"}, "KILLED"),
        ({"bench.host": "elsewhere", "bench.lease_until": "9999999999"}, "RUNNING"),
        ({"bench.host": "elsewhere", "bench.lease_until": "1"}, "KILLED"),
    ],
)
def test_a_run_is_settled_when_its_process_is_gone_here_or_its_lease_has_run_out_elsewhere(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder, changed: dict[str, str], status: str
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    with Journal(folder.attempt(1).journal) as journal:
        begin(journal)
        epoch(journal, 1)
    forwarder.watch(cell, folder)
    assert forwarder.drain(30) == []
    forwarder.close()
    run_id = only_run(store, suite).info.run_id
    for key, value in changed.items():
        store.client.set_tag(run_id, key, value)
    gone = status == "KILLED"
    assert store.mark_orphans_lost(suite.name) == ([cell.id] if gone else [])
    outcome = store.outcomes(suite.name)[cell.id]
    assert (only_run(store, suite).info.status, outcome.state) == (status, "interrupted" if gone else "running")
    assert outcome.epochs_done == 1


def test_an_older_series_that_is_sent_later_does_not_replace_the_newer_one(
    project: Path, store: Store, suite: Suite
) -> None:
    cell = suite.cells[0]
    old = store.begin(cell, suite.name, "old", 1_000)
    new = store.begin(cell, suite.name, "new", 2_000)
    assert store.begin(cell, suite.name, "old", 1_000) == old
    runs = {run.info.run_id: "bench.superseded" in run.data.tags for run in store.runs(suite.name)}
    assert runs == {old: True, new: False}


def test_another_journal_of_the_same_cell_gets_a_run_of_its_own_and_the_old_one_is_kept(
    project: Path, store: Store, suite: Suite
) -> None:
    cell = suite.cells[0]
    for home in ("first", "second"):
        folder = CellFolder.of(project / home, cell.id)
        complete(folder)
        journal = folder.attempt(1).journal
        shift = 0 if home == "first" else 1000
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        journal.write_text("".join(json.dumps({**line, "time_ms": line["time_ms"] + shift}) + "\n" for line in lines))
        forwarder = Forwarder(store, suite.name, live=True)
        forwarder.watch(cell, folder)
        assert forwarder.drain(30) == []
        forwarder.close()
    found = [run for run in store.runs(suite.name) if "bench.cell" in run.data.tags]
    assert sorted("bench.superseded" in run.data.tags for run in found) == [False, True]
    assert len(store.outcomes(suite.name)) == 1


@pytest.mark.slow
def test_a_database_that_is_locked_for_25_seconds_loses_no_point(
    project: Path, store: Store, suite: Suite, forwarder: Forwarder
) -> None:
    cell = suite.cells[0]
    folder = folder_of(project, cell)
    store.experiment(suite.name)
    connection = sqlite3.connect(project / "mlflow.db", check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    unlock = threading.Timer(25, connection.rollback)
    unlock.start()
    forwarder.watch(cell, folder)
    complete(folder)
    assert forwarder.drain(1) != [], "the lock was not in the way"
    assert forwarder.drain(60) == []
    unlock.join()
    connection.close()
    assert history(store, only_run(store, suite), "test/top1") == [(1, 90.125), (2, 91.0625)]


def test_a_death_while_the_tables_are_made_leaves_a_store_that_can_be_used(project: Path) -> None:
    script = (
        "import os, alembic.command\nfrom bench.tracking import Store\n"
        "whole = alembic.command.upgrade\n"
        "alembic.command.upgrade = lambda config, _: (whole(config, '451aebb31d03'), os._exit(9))\n"
        f"_ = Store('sqlite:///{project}/mlflow.db').client\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    store = Store(f"sqlite:///{project}/mlflow.db")
    assert store.outcomes("any") == {}
    assert store.experiment("any")
    assert not list(project.glob(".mlflow.db.new*"))


def test_tables_are_made_once_and_copied_for_the_next_store_without_a_trace_of_the_first(project: Path) -> None:
    (project / "one").mkdir()
    (project / "two").mkdir()
    first = f"sqlite:///{project}/one/mlflow.db"
    assert Store(first).experiment("a suite")
    [kept] = (project / "cache" / "bench").glob("mlflow-*.db")
    assert str(project).encode() not in kept.read_bytes()
    before = kept.stat().st_mtime_ns
    second = Store(f"sqlite:///{project}/two/mlflow.db")
    assert [each.name for each in second.client.search_experiments()] == ["Default"]
    assert kept.stat().st_mtime_ns == before
    assert second.experiment("another suite")


def test_a_kept_database_that_is_damaged_is_made_anew(project: Path) -> None:
    assert Store(f"sqlite:///{project}/one.db").client
    [kept] = (project / "cache" / "bench").glob("mlflow-*.db")
    content = bytearray(kept.read_bytes())
    content[4096:40960] = bytes(36864)
    kept.write_bytes(content)
    assert Store(f"sqlite:///{project}/two.db").experiment("a suite")
    assert bytes(content) != kept.read_bytes()


def test_the_table_is_the_experiments_note_and_the_suite_can_be_read_back(store: Store, suite: Suite) -> None:
    for _ in range(2):
        store.publish(suite, markdown="| a table |", files={"suite.yaml": suite.source, "tables.md": "| a table |"})
    experiment = store.client.get_experiment(store.experiment(suite.name))
    assert experiment.tags["mlflow.note.content"] == "| a table |"
    assert store.suites() == [(suite.name, suite.source, suite.path)]


def test_a_deleted_experiment_comes_back(store: Store, suite: Suite) -> None:
    store.publish(suite, markdown="x", files={})
    experiment = store.experiment(suite.name)
    store.client.delete_experiment(experiment)
    Store(store.uri).publish(suite, markdown="y", files={})
    assert store.client.get_experiment(experiment).lifecycle_stage == "active"


def test_the_default_store_is_made_absolute_in_the_current_folder(project: Path) -> None:
    assert resolve_uri(None, project) == f"sqlite:///{project}/mlflow.db"
    assert resolve_uri("sqlite:///sub/x.db", project) == f"sqlite:///{project}/sub/x.db"
    assert not store_exists(resolve_uri(None, project))


def test_the_environment_names_the_store(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert resolve_uri(None, project) == "http://127.0.0.1:1"
    assert resolve_uri("sqlite:///a.db", project).startswith("sqlite:///")


def test_the_folder_of_an_old_mlflow_is_refused_with_the_command_that_migrates_it(project: Path) -> None:
    (project / "mlruns" / "0").mkdir(parents=True)
    (project / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    with pytest.raises(TrackingError, match="mlflow migrate-filestore --source"):
        resolve_uri(None, project)


@pytest.mark.parametrize("uri", ["mlruns", "file:///somewhere/mlruns"])
def test_a_file_store_is_refused(project: Path, uri: str) -> None:
    with pytest.raises(TrackingError, match="is a folder"):
        resolve_uri(uri, project)


def test_a_server_that_does_not_answer_is_one_sentence() -> None:
    with pytest.raises(TrackingError, match="does not answer") as caught:
        Store("http://someone:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(project: Path) -> None:
    (project / "mlflow.db").write_text("this is not a database")
    with pytest.raises(TrackingError, match="is not a sqlite database"):
        Store(f"sqlite:///{project}/mlflow.db")


def test_a_folder_that_does_not_exist_is_refused(project: Path) -> None:
    with pytest.raises(TrackingError, match="does not exist"):
        Store(f"sqlite:///{project}/nowhere/mlflow.db")


def test_a_database_of_another_mlflow_names_the_command_that_upgrades_it(project: Path, store: Store) -> None:
    assert store.client.search_experiments(), "MLflow has made its tables"
    connection = sqlite3.connect(project / "mlflow.db")
    connection.execute("UPDATE alembic_version SET version_num = '728d730b5ebd'")
    connection.commit()
    connection.close()
    script = f"from bench.tracking import Store; Store('sqlite:///{project}/mlflow.db').open_soon()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"mlflow db upgrade sqlite:///{project}/mlflow.db" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:pw@host:5000/x", "http://***@host:5000/x"),
        ("postgresql://me:p%40w@host/db", "postgresql://***@host/db"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_credentials_are_never_shown(uri: str, shown: str) -> None:
    assert redact(uri) == shown


def test_a_note_that_is_too_long_is_cut_at_a_line_and_says_where_the_rest_is() -> None:
    text = "\n".join(f"| row {number} |" for number in range(5000))
    short = shorten(text, "(the rest is there)")
    assert len(short) < 16_000
    assert short.rstrip().endswith("(the rest is there)")
    assert all(line.startswith("| row") and line.endswith("|") for line in short.split("\n\n")[0].splitlines())


def test_infinity_and_nan_come_back_as_no_accuracy(make_cell: Callable[..., Cell]) -> None:
    tags = {
        "bench.cell": "c",
        "bench.state": "failed",
        "bench.outcome": json.dumps({"top1": math.nan, "kind": "diverged"}),
    }
    assert to_outcome("r", tags).kind == "diverged"


@pytest.mark.slow
def test_more_runs_than_a_page_are_all_read(store: Store, suite: Suite) -> None:
    experiment = store.experiment(suite.name)
    for number in range(1001):
        store.client.create_run(experiment, tags={"bench.cell": f"{number:012x}", "bench.state": "complete"})
    assert len(store.outcomes(suite.name)) == 1001


class Clashing:
    """MLflow's client in a race that it loses the first few times: what it raises is what sqlite made it raise."""

    def __init__(self, client: Any, losing: str, times: int) -> None:
        self._client, self._losing, self._left = client, losing, times

    def __getattr__(self, name: str) -> Any:
        if name == self._losing and self._left:
            self._left -= 1
            raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: experiment_tags.key")
        return getattr(self._client, name)


@pytest.mark.parametrize("call", ["log_batch", "set_experiment_tag"])
def test_a_table_is_published_though_another_run_inserts_the_same_rows(
    store: Store, suite: Suite, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_client", Clashing(store.client, call, times=2))
    store.publish(suite, markdown="| a |", files={"tables.md": "| a |"})
    (own,) = store.runs(suite.name)
    assert own.data.tags["mlflow.note.content"] == "| a |"
    assert own.info.status == "FINISHED"


def test_a_store_that_goes_on_failing_is_told(store: Store, suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_client", Clashing(store.client, "log_batch", times=1_000))
    with pytest.raises(TrackingError, match="cannot store the tables"):
        store.publish(suite, markdown="| a |", files={})


def test_a_suite_whose_runs_end_together_has_one_run_of_its_own(
    store: Store, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.client.create_run

    def make_late(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.5)
        return made(*arguments, **options)

    monkeypatch.setattr(store.client, "create_run", make_late)
    other = Store(store.uri)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(each.publish, suite, markdown="| a |", files={}) for each in (store, other)]:
            done.result()
    assert len(list(store.runs(suite.name))) == 1
