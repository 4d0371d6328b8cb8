"""Journals become runs: the forwarder on real sqlite stores."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers.journals import COST, write_complete, write_end, write_epoch, write_start

from bench.errors import TrackingError
from bench.tracking import Forwarder, Store
from bench.values import Cell, FailureKind, State, Suite
from bench.workspace.events import Ended
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

if TYPE_CHECKING:
    from mlflow.entities import Run

TOP1 = [(1, 90.125), (2, 91.0625)]
"""Epochs and accuracies of a journal that is complete."""


@pytest.fixture
def suite(make_suite: Callable[..., Suite], make_cell: Callable[..., Cell]) -> Suite:
    return make_suite(make_cell())


@pytest.fixture
def cell(suite: Suite) -> Cell:
    return suite.cells[0]


@pytest.fixture
def folder(project: Path, cell: Cell) -> CellFolder:
    folder = CellFolder.of(project / ".bench", cell.id)
    folder.root.mkdir(parents=True)
    return folder


@pytest.fixture
def forwarder(store: Store, suite: Suite, cell: Cell, folder: CellFolder) -> Iterator[Forwarder]:
    """A forwarder that watches the cell."""
    forwarder = Forwarder(store, suite.name, live=True)
    forwarder.watch(cell, folder)
    yield forwarder
    forwarder.close()


def replay(store: Store, suite: Suite, folder: CellFolder) -> None:
    """Send a cell's journals with a forwarder of their own."""
    forwarder = Forwarder(store, suite.name, live=False)
    forwarder.watch(suite.cells[0], folder)
    assert forwarder.drain(30) == []
    forwarder.close()


def cell_runs(store: Store, suite: Suite) -> "list[Run]":
    return [run for run in store.runs(suite.name) if "bench.cell" in run.data.tags]


def only_run(store: Store, suite: Suite) -> "Run":
    (run,) = cell_runs(store, suite)
    return run


def history(store: Store, run: "Run", key: str = "test/top1") -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in store.client.get_metric_history(run.info.run_id, key)]


def change_times(journal: Path, change: Callable[[int, int], int]) -> None:
    """Give the events of a journal other times; ``change`` gets an event's number and time in ms."""
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    for number, event in enumerate(events):
        event["time_ms"] = change(number, event["time_ms"])
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))


def test_a_run_is_called_what_the_scheduler_called_its_cell(
    store: Store, suite: Suite, folder: CellFolder, forwarder: Forwarder
) -> None:
    request = {"series": "s", "created_ms": 1_000, "title": "net · digits · lr 0.05 · s0"}
    folder.attempt(1).root.mkdir(parents=True)
    folder.attempt(1).request.write_text(json.dumps(request))
    write_complete(folder)
    assert forwarder.drain(30) == []
    assert only_run(store, suite).info.run_name == "net · digits · lr 0.05 · s0"


def test_a_journal_becomes_one_finished_run_with_every_point(
    store: Store, suite: Suite, cell: Cell, folder: CellFolder, forwarder: Forwarder
) -> None:
    journal = write_complete(folder)
    assert forwarder.drain(30) == []
    run, times = only_run(store, suite), [json.loads(line)["time_ms"] for line in journal.read_text().splitlines()]
    assert (run.info.status, run.info.run_name) == ("FINISHED", cell.title)
    assert (run.info.start_time, run.info.end_time) == (times[0], times[-1])
    assert history(store, run) == TOP1
    points = store.client.get_metric_history(run.info.run_id, "test/top1")
    assert [point.timestamp for point in points] == times[3:5], "points keep the time at which they were written"
    assert run.data.metrics["cost/params_m"] == pytest.approx(1.234567)
    assert (run.data.params["model"], run.data.params["lr"]) == (cell.model, "0.05")
    assert run.inputs is not None
    (dataset_input,) = run.inputs.dataset_inputs
    assert dataset_input.dataset.digest == "d" * 36
    assert json.loads(dataset_input.dataset.source)["sha256"] == "d" * 64


def test_an_outcome_comes_back_exactly_as_it_was_journaled(
    store: Store, suite: Suite, cell: Cell, folder: CellFolder, forwarder: Forwarder
) -> None:
    write_complete(folder)
    forwarder.drain(30)
    outcome = store.outcomes(suite.name)[cell.id]
    assert (outcome.state, outcome.top1, outcome.top5, outcome.epochs_done) == ("complete", 91.0625, 99.5, 2)
    assert (outcome.cost, outcome.device, outcome.commit) == (COST, "a CPU", "abc123")
    assert outcome.fingerprint == {"data": "d"}


@pytest.mark.parametrize("forget", [False, True])
def test_replaying_a_journal_doubles_nothing(store: Store, suite: Suite, folder: CellFolder, forget: bool) -> None:
    write_complete(folder)
    for _ in range(3):
        replay(store, suite, folder)
        if forget:
            folder.tracking.unlink()
    assert history(store, only_run(store, suite)) == TOP1


def test_an_epoch_that_a_second_attempt_repeats_is_logged_once(
    store: Store, suite: Suite, folder: CellFolder, forwarder: Forwarder
) -> None:
    with Journal(folder.attempt(1).journal) as journal:
        write_start(journal)
        write_epoch(journal, 1)
    with Journal(folder.attempt(2).journal) as journal:
        write_start(journal, attempt=2)
        write_epoch(journal, 1)
        write_epoch(journal, 2)
        write_end(journal)
    forwarder.drain(30)
    run = only_run(store, suite)
    assert history(store, run) == [(1, 90.125), (2, 90.125)]
    assert run.data.tags["bench.attempt"] == "2"


def test_a_growing_journal_is_followed(
    store: Store, suite: Suite, cell: Cell, folder: CellFolder, forwarder: Forwarder
) -> None:
    with Journal(folder.attempt(1).journal) as journal:
        write_start(journal)
        write_epoch(journal, 1)
        forwarder.drain(30)
        running = store.outcomes(suite.name)[cell.id]
        write_epoch(journal, 2)
        write_end(journal)
    forwarder.drain(30)
    assert (running.state, running.epochs_done, running.epochs) == ("running", 1, 2)
    assert store.outcomes(suite.name)[cell.id].state == "complete"


def test_a_journal_that_grows_after_its_run_was_ended_opens_it_again(
    store: Store, suite: Suite, cell: Cell, folder: CellFolder, forwarder: Forwarder
) -> None:
    journal_path = write_complete(folder)
    assert forwarder.drain(30) == []
    with Journal(journal_path) as journal:
        journal.write(Ended(state="failed", kind="lost", reason="its result was not written"))
    assert forwarder.drain(30) == []
    run, outcome = only_run(store, suite), store.outcomes(suite.name)[cell.id]
    assert (run.info.status, outcome.state, outcome.reason) == ("FAILED", "failed", "its result was not written")
    assert history(store, run) == TOP1


def test_the_store_is_not_asked_again_about_a_cell_that_it_has(
    store: Store, folder: CellFolder, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_complete(folder)
    assert forwarder.drain(30) == []
    monkeypatch.setattr(store, "_client", None)
    monkeypatch.setattr(store, "_open", lambda: pytest.fail("the store was asked again"))
    assert forwarder.drain(30) == []


def test_points_that_the_store_has_lost_are_sent_again(
    store: Store, suite: Suite, folder: CellFolder, database: Path, forwarder: Forwarder
) -> None:
    with Journal(folder.attempt(1).journal) as journal:
        write_start(journal)
        write_epoch(journal, 1)
        assert forwarder.drain(30) == []
        connection = sqlite3.connect(database)
        connection.execute("DELETE FROM metrics WHERE key = 'test/top1'")
        connection.commit()
        connection.close()
        write_epoch(journal, 2, top1=91.0625)
        write_end(journal)
    assert forwarder.drain(30) == []
    assert history(store, only_run(store, suite)) == TOP1


@pytest.mark.parametrize(
    ("state", "kind", "status"),
    [("failed", "oom", "FAILED"), ("interrupted", "", "KILLED"), ("failed", "diverged", "FAILED")],
)
def test_a_run_ends_as_its_attempt_did(
    store: Store, suite: Suite, folder: CellFolder, forwarder: Forwarder, state: State, kind: FailureKind, status: str
) -> None:
    with Journal(folder.attempt(1).journal) as journal:
        write_start(journal)
        write_end(journal, state, kind, "it broke")
    forwarder.drain(30)
    (outcome,) = store.outcomes(suite.name).values()
    assert (only_run(store, suite).info.status, outcome.state, outcome.kind) == (status, state, kind)
    assert outcome.reason == "it broke"


def test_points_of_a_clock_that_jumped_back_come_in_the_order_of_their_epochs(
    store: Store, suite: Suite, folder: CellFolder, forwarder: Forwarder
) -> None:
    change_times(write_complete(folder), lambda number, time_ms: time_ms - 1_000_000 * number)
    assert forwarder.drain(30) == []
    run = only_run(store, suite)
    assert sorted(history(store, run)) == TOP1
    assert run.data.metrics["test/top1"] == 91.0625
    assert [outcome.state for outcome in store.outcomes(suite.name).values()] == ["complete"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "RUNNING"),
        ({"bench.pid_started": "1"}, "KILLED"),
        ({"bench.host": "elsewhere", "bench.lease_until": "9999999999"}, "RUNNING"),
        ({"bench.host": "elsewhere", "bench.lease_until": "1"}, "KILLED"),
    ],
)
def test_mark_orphans_lost_ends_runs_of_dead_processes_here_and_of_expired_leases_elsewhere(
    store: Store, suite: Suite, folder: CellFolder, forwarder: Forwarder, changes: dict[str, str], status: str
) -> None:
    with Journal(folder.attempt(1).journal) as journal:
        write_start(journal)
        write_epoch(journal, 1)
    assert forwarder.drain(30) == []
    forwarder.close()
    run_id = only_run(store, suite).info.run_id
    store.set_tags(run_id, changes)
    lost = status == "KILLED"
    assert store.mark_orphans_lost(suite.name) == ([suite.cells[0].id] if lost else [])
    (outcome,) = store.outcomes(suite.name).values()
    assert (only_run(store, suite).info.status, outcome.state) == (status, "interrupted" if lost else "running")
    assert outcome.epochs_done == 1


def test_an_older_series_that_is_sent_later_does_not_replace_the_newer_one(
    store: Store, suite: Suite, cell: Cell
) -> None:
    old = store.begin(cell, suite.name, "old", 1_000)
    new = store.begin(cell, suite.name, "new", 2_000)
    assert store.begin(cell, suite.name, "old", 1_000) == old
    superseded = {run.info.run_id: "bench.superseded" in run.data.tags for run in store.runs(suite.name)}
    assert superseded == {old: True, new: False}


def test_another_journal_of_a_cell_gets_a_run_of_its_own_and_the_old_run_is_kept(
    project: Path, store: Store, suite: Suite, cell: Cell
) -> None:
    for delay_ms, home in ((0, "first"), (1000, "second")):
        folder = CellFolder.of(project / home, cell.id)
        change_times(write_complete(folder), lambda _, time_ms, delay_ms=delay_ms: time_ms + delay_ms)  # type: ignore[misc]
        replay(store, suite, folder)
    assert sorted("bench.superseded" in run.data.tags for run in cell_runs(store, suite)) == [False, True]
    assert len(store.outcomes(suite.name)) == 1


def test_a_replay_into_a_store_that_cannot_be_opened_fails_at_once(
    store: Store, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise TrackingError("it cannot be opened")

    monkeypatch.setattr(store, "_open", fail)
    with pytest.raises(TrackingError, match="it cannot be opened"):
        Forwarder(store, suite.name, live=False)


def test_a_defect_of_bench_is_raised_as_it_is_and_not_reported_as_the_stores(
    store: Store, folder: CellFolder, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise TypeError("a defect")

    monkeypatch.setattr(store, "set_tags", fail)
    write_complete(folder)
    with pytest.raises(TypeError, match="a defect"):
        forwarder.drain(30)


@pytest.mark.slow
def test_a_database_that_is_locked_for_25_seconds_loses_no_point(
    project: Path, store: Store, suite: Suite, folder: CellFolder, forwarder: Forwarder
) -> None:
    store.experiment(suite.name)
    connection = sqlite3.connect(project / "mlflow.db", check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    unlock = threading.Timer(25, connection.rollback)
    unlock.start()
    write_complete(folder)
    assert forwarder.drain(1) != [], "the lock was not in the way"
    assert forwarder.drain(60) == []
    unlock.join()
    connection.close()
    assert history(store, only_run(store, suite)) == TOP1
