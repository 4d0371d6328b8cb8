"""Stores that go away while cells train, and come back. The tests open the gate of an epoch when it may be trained."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.cells import suite_text
from helpers.cli import bench, cell_folders, journal_has, run, runs, start, wait_for, write_suite
from helpers.faults import assert_whole
from helpers.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GATED, ALL = "nets.py:Gated", 99
SOON = {"BENCH_STORE_WAIT": "3"}
"""Waits for a store a few seconds, where a run of a user waits a minute."""


@pytest.fixture(autouse=True)
def first_epoch(tiny_models: Path, project: Path) -> None:
    open_gate(project, 1)


def open_gate(project: Path, epoch: int) -> None:
    """Let the net ``Gated`` train up to this epoch."""
    (project / "new-gate").write_text(str(epoch))
    (project / "new-gate").replace(project / "gate")


def has_epoch(project: Path, epoch: int) -> bool:
    """Whether an epoch was journaled."""
    return journal_has(project, f'"epoch": {epoch}, "epoch_s"')


def test_a_store_that_vanishes_is_noticed_and_the_runs_go_to_another_one(project: Path) -> None:
    suite = write_suite(project, [GATED], epochs=3)
    scheduler = start("run", suite, "--device", "cpu", env=SOON)
    wait_for(lambda: has_epoch(project, 1) and (project / "mlflow.db").exists() and runs(project))
    (project / "mlflow.db").unlink()
    open_gate(project, ALL)
    _, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 3, errors
    assert "was removed or replaced" in errors
    assert bench("sync").returncode == 0
    assert_whole(project, suite)


def test_a_store_that_vanishes_stops_no_later_suite_of_the_same_command(project: Path) -> None:
    first, second = write_suite(project, [GATED], epochs=2), "second.yaml"
    (project / second).write_text(suite_text(["nets.py:net"], name="second"))
    scheduler = start("run", first, second, "--device", "cpu", env=SOON)
    wait_for(lambda: has_epoch(project, 1) and (project / "mlflow.db").exists() and runs(project))
    (project / "mlflow.db").unlink()
    open_gate(project, ALL)
    output, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 3, errors
    assert "mlflow.db was removed or replaced" in errors
    assert "Traceback" not in errors
    assert "| nets.py:Gated" in output
    assert "| nets.py:net" in output, "the second suite ran"
    assert len(list(project.glob(".bench/cells/*/result.json"))) == 2
    assert bench("sync").returncode == 0
    assert [each["tags"]["bench.state"] for each in runs(project, suite="second")] == ["complete"]


@pytest.fixture
def server(project: Path) -> Iterator[Server]:
    server = Server(project)
    server.start()
    yield server
    server.kill()


def test_a_server_that_is_away_holds_up_no_epoch_and_loses_no_point(project: Path, server: Server) -> None:
    suite, secret = write_suite(project, [GATED], epochs=8), "top#secret/?"
    uri = server.uri.replace("://", f"://someone:{secret}@")
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", uri)
    wait_for(lambda: has_epoch(project, 1))
    server.kill()
    open_gate(project, 7)
    wait_for(lambda: has_epoch(project, 7))  # without the server
    server.start()
    open_gate(project, ALL)
    output, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 0, errors
    assert_whole(project, suite, server.uri)
    told = output + errors + "".join(path.read_text(errors="replace") for path in project.rglob("*.json*"))
    assert "secret" not in told, "credentials are neither printed nor kept"
    assert len(cell_folders(project / ".bench")) == 1


@pytest.mark.parametrize("fault", ["killed", "hanging"])
def test_a_server_that_stays_away_is_exit_3_with_the_table_and_sync_sends_everything_later(
    project: Path, server: Server, fault: str
) -> None:
    suite = write_suite(project, [GATED], epochs=2)
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", server.uri, env=SOON)
    wait_for(lambda: has_epoch(project, 1))
    if fault == "killed":
        server.kill()
    else:
        server.hang()
    open_gate(project, ALL)
    output, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 3, errors
    assert "bench sync" in errors
    assert "| nets.py:Gated" in output
    assert run(suite, "--tracking-uri", server.uri).returncode == 3
    if fault == "killed":
        server.start()
    else:
        server.go_on()
    synced = bench("sync", "--tracking-uri", server.uri)
    assert synced.returncode == 0, synced.stderr
    assert_whole(project, suite, server.uri)
