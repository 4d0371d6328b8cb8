"""Stores that go away while cells train, and come back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers.cells import suite_text
from helpers.cli import bench, cell_folders, journal_has, run, runs, start, wait_for, write_suite
from helpers.faults import assert_whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_store_that_vanishes_is_noticed_and_the_runs_go_to_another_one(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=3)
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: journal_has(project, '"step"') and (project / "mlflow.db").stat().st_size)
    (project / "mlflow.db").unlink()
    _, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 3, errors
    assert "was removed or replaced" in errors
    assert bench("sync").returncode == 0
    assert_whole(project, suite)


def test_a_store_that_vanishes_stops_no_later_suite_of_the_same_command(project: Path, tiny_models: Path) -> None:
    first, second = write_suite(project, ["nets.py:Slow"], epochs=8), "second.yaml"
    (project / second).write_text(suite_text(["nets.py:net"], name="second"))
    scheduler = start("run", first, second, "--device", "cpu")
    wait_for(lambda: journal_has(project, '"step"') and (project / "mlflow.db").exists() and runs(project))
    (project / "mlflow.db").unlink()
    output, errors = scheduler.communicate(timeout=300)
    assert scheduler.returncode == 3, errors
    assert "mlflow.db was removed or replaced" in errors
    assert "Traceback" not in errors
    assert "| nets.py:Slow" in output
    assert "| nets.py:net" in output, "the second suite ran"
    assert len(list(project.glob(".bench/cells/*/result.json"))) == 2
    assert bench("sync").returncode == 0
    assert [each["tags"]["bench.state"] for each in runs(project, suite="second")] == ["complete"]


@pytest.fixture
def server(project: Path) -> Iterator["Server"]:
    found = Server(project)
    yield found
    found.kill()


class Server:
    """A real MLflow server on a database of the test's own, whose process tree can be killed and come back."""

    def __init__(self, project: Path) -> None:
        self.project, self.port = project, free_port()
        self.uri = f"http://someone:topsecret@127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--workers=1", f"--port={self.port}",
             f"--backend-store-uri=sqlite:///{self.project}/server.db",
             f"--artifacts-destination={self.project}/artifacts"],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        import requests

        def answers() -> bool:
            try:
                return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=2).ok
            except requests.RequestException:
                return False

        wait_for(answers)

    def kill(self) -> None:
        if self.process is None:
            return
        with_children = [*psutil.Process(self.process.pid).children(recursive=True)]
        os.killpg(self.process.pid, signal.SIGKILL)
        for child in with_children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()
        self.process = None


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_a_server_that_is_away_for_a_minute_slows_no_step_and_loses_no_point(
    project: Path, tiny_models: Path, server: Server
) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=20)  # 4.4 s of naps an epoch
    server.start()
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", server.uri)
    wait_for(lambda: journal_has(project, '"epoch": 3, "epoch_s"'))
    server.kill()
    time.sleep(60)
    server.start()
    output, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 0, errors
    (folder,) = cell_folders(project / ".bench")
    lines = (folder / "attempt-1" / "journal.jsonl").read_text().splitlines()
    seconds = [event["epoch_s"] for event in map(json.loads, lines) if event["event"] == "epoch"]
    # the quickest of each: a machine that is busy slows some epochs, waiting for a store would slow all of them
    normal, away = min(seconds[:3]), min(seconds[4:15])
    assert away < 1.05 * normal, f"{away:.3f} s an epoch without a server, {normal:.3f} s with it"
    assert_whole(project, suite, f"http://127.0.0.1:{server.port}")
    told = output + errors + "".join(path.read_text(errors="replace") for path in project.rglob("*.json*"))
    assert "topsecret" not in told, "credentials are neither printed nor kept"


def test_a_server_that_stays_away_is_exit_3_and_sync_sends_everything_later(
    project: Path, tiny_models: Path, server: Server
) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=2)
    server.start()
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", server.uri)
    wait_for(lambda: journal_has(project, '"step"'))
    server.kill()
    output, errors = scheduler.communicate(timeout=250)
    assert scheduler.returncode == 3, errors
    assert "bench sync" in errors
    assert "| nets.py:Slow" in output
    assert run(suite, "--tracking-uri", server.uri).returncode == 3
    server.start()
    synced = bench("sync", "--tracking-uri", server.uri)
    assert synced.returncode == 0, synced.stderr
    assert_whole(project, suite, f"http://127.0.0.1:{server.port}")
