"""``bench ui`` without a server: ports, and servers that do not start."""

import socket
import subprocess
import sys

import pytest

from bench.errors import TrackingError, UsageError
from bench.tracking.ui import check_port, end_server, server_command, wait_for


def test_check_port_names_a_free_one_when_the_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} cannot be used .*; try bench ui --port \d+"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_server_command_has_no_password_where_others_can_read_it() -> None:
    uri = "postgresql://me:secret@host/db"
    command, environment = server_command(uri, "127.0.0.1", 5000)
    assert "secret" not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == uri


def test_wait_for_reports_the_last_words_of_a_server_that_ends() -> None:
    script = "import sys; sys.exit('no such store')"
    with (
        subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, start_new_session=True) as server,
        pytest.raises(TrackingError, match="did not start: no such store"),
    ):
        wait_for(server, "http://127.0.0.1:9")


def test_end_server_ends_its_workers_too() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as server:
        end_server(server)
        assert server.wait(timeout=10) < 0
