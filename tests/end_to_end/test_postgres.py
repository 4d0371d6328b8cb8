"""A server with accounts on PostgreSQL, as teams have it: killed in the middle, and used without a permission."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from helpers.cli import epochs_of, journal_has, run, start, wait_for, write_suite
from helpers.servers import INITDB, Postgres, Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(INITDB is None, reason="needs PostgreSQL (apt-get install postgresql)"),
]

SECRET = "long/p@ss#word?"
"""The password of every account here; all that must be quoted in an address is in it."""


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    postgres = Postgres(SECRET)
    yield postgres
    postgres.remove()


@pytest.fixture
def server(project: Path, postgres: Postgres) -> Iterator[Server]:
    """A server on the database whose accounts may read everything, and ``owner`` and ``reader`` on it."""
    config = project / "auth.ini"
    config.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{project}/accounts.db\n"
        "admin_username = admin\n"
        f"admin_password = {SECRET}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    uri = f"postgresql+psycopg2://bench:{quote(SECRET, safe='')}@127.0.0.1:{postgres.port}/mlflow"
    env = {
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test",
    }
    server = Server(project, ["--app-name=basic-auth"], env)
    server.start()
    for name in ("owner", "reader"):
        requests.post(
            f"{server.uri}/api/2.0/mlflow/users/create",
            json={"username": name, "password": SECRET},
            auth=("admin", SECRET),
            timeout=30,
        ).raise_for_status()
    yield server
    server.kill()


def test_a_server_with_accounts_on_postgresql_is_restarted_with_its_database_and_loses_no_point(
    project: Path, tiny_models: Path, server: Server, postgres: Postgres
) -> None:
    suite = write_suite(project, ["nets.py:Gated"], epochs=6)
    (project / "gate").write_text("2")
    owner = {"MLFLOW_TRACKING_USERNAME": "owner", "MLFLOW_TRACKING_PASSWORD": SECRET}
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", server.uri, env=owner)
    wait_for(lambda: journal_has(project, '"epoch": 2, "epoch_s"'))
    postgres.kill()
    (project / "gate").write_text("4")
    wait_for(lambda: journal_has(project, '"epoch": 4, "epoch_s"'))
    server.kill()
    postgres.start()
    server.start()
    (project / "gate").write_text("99")
    output, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 0, errors
    [epochs] = epochs_of(project / ".bench").values()
    states = postgres.query("SELECT value FROM tags WHERE key = 'bench.state'")
    assert states == [("complete",)]
    points = postgres.query("SELECT key, step, value FROM metrics WHERE step > 0 ORDER BY key, step")
    expected = [(key, epoch, float(values[key])) for epoch, values in epochs.items() for key in values]
    assert points == sorted(expected), "each point once, with all its digits"
    assert SECRET not in output + errors + json.dumps(postgres.query("SELECT key, value FROM tags"))

    reader = {**owner, "MLFLOW_TRACKING_USERNAME": "reader"}
    refused = run(suite, "--rerun", "--tracking-uri", server.uri, env=reader)
    assert refused.returncode == 3, refused.stderr
    assert "the server does not allow it" in refused.stderr
    assert not list(project.glob(".bench/cells/*/before-*")), "it is told before anything trains"
