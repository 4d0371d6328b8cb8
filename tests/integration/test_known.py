"""What is known of cells with a real store: results of other suites, and runs that somebody deleted."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.journals import write_complete
from helpers.mlflow_db import fill, run_of

from bench.api.known import DELETED, accept_stale, known_outcomes
from bench.scheduler.plan import cells_to_run
from bench.tracking import Forwarder, Store
from bench.values import Cell, Outcome, Suite, to_json
from bench.workspace.cells import unforwarded
from bench.workspace.fingerprint import fingerprint
from bench.workspace.paths import CellFolder

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def send(store: Store, suite: Suite, folder: CellFolder) -> None:
    forwarder = Forwarder(store, suite.name, live=False)
    try:
        forwarder.watch(suite.cells[0], folder)
        assert forwarder.drain(60) == []
    finally:
        forwarder.close()


def a_result(home: Path, cell: Cell, series: str = "series") -> CellFolder:
    folder = CellFolder.of(home, cell.id)
    write_complete(folder)
    folder.cell.write_text(to_json(cell))
    folder.attempt(1).request.write_text(f'{{"suite": "test", "series": "{series}", "created_ms": 1000}}')
    folder.result.write_text("{}")
    return folder


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("local", [True, False])
def test_a_cell_that_ran_for_another_suite_shows_its_run_and_is_not_run_twice(
    database: Path, project: Path, make_cell: MakeCell, make_suite: MakeSuite, direct: bool, local: bool
) -> None:
    cell, home = make_cell(), project / ".bench"
    run = run_of(cell, Outcome(cell_id=cell.id, state="complete", top1=91.0), "one")
    fill(database, "one", [run])
    if local:
        a_result(home, cell)
    two = make_suite(cell, make_cell(seed=1), name="two")
    known = known_outcomes(Store(f"sqlite:///{database}", direct=direct), two)
    assert (known.outcomes[cell.id].run_id, known.outcomes[cell.id].top1) == (run.run_id, 91.0)
    assert cells_to_run(two, known.outcomes) == two.cells[1:]
    assert unforwarded(two, known.stored, home) == []


def test_a_run_that_was_deleted_is_missing_and_is_not_sent_again(
    store: Store, project: Path, make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    cell, home = make_cell(), project / ".bench"
    suite = make_suite(cell)
    folder = a_result(home, cell)
    send(store, suite, folder)
    (outcome,) = known_outcomes(store, suite).outcomes.values()
    assert outcome.state == "complete"
    store.client.delete_run(outcome.run_id)
    known = known_outcomes(store, suite)
    assert (known.outcomes[cell.id].state, known.outcomes[cell.id].reason) == ("missing", DELETED)
    folder.tracking.unlink()
    send(store, suite, folder)
    assert store.outcomes(suite.name) == {}, "not sent again, though the journals are here"
    store.client.restore_run(outcome.run_id)
    assert known_outcomes(store, suite).outcomes[cell.id].state == "complete"


def test_accept_stale_is_noted_in_the_run_where_the_store_has_the_only_copy(
    database: Path, project: Path, make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    cell = make_cell()
    recorded = {**fingerprint(cell, data="", device=""), "torch": "1.0"}
    fill(database, "test", [run_of(cell, Outcome(cell_id=cell.id, state="complete", fingerprint=recorded), "test")])
    store, suite = Store(f"sqlite:///{database}"), make_suite(cell)
    before = known_outcomes(store, suite)
    assert before.outcomes[cell.id].stale.startswith("torch changed from 1.0")
    accept_stale(store, suite, before)
    after = known_outcomes(store, suite).outcomes[cell.id]
    assert (after.stale, after.fingerprint["torch"]) == ("", "1.0")
