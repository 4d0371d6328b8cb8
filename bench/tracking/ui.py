"""``bench ui``: MLflow's own server on the store in use, with one worker and without job runners."""

import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser

from bench.errors import TrackingError, UsageError
from bench.tracking.runs import Store
from bench.tracking.uri import is_server, redact
from bench.tracking.view import address_of, experiment_to_show, report_address

START_S = 120.0
"""How long the server may take to start."""


def serve_ui(
    uri: str, *, suite: str | None = None, port: int = 5000, host: str = "127.0.0.1", browse: bool = False
) -> int:
    """Serve the UI until Ctrl-C or SIGTERM; its address is printed on standard error once it answers.

    Args:
        uri: The store.
        suite: The suite whose runs the address leads to; None: the one that was written last.
        port: Where to listen.
        host: Address to listen at.
        browse: Open the page in a browser too.

    Raises:
        UsageError: The port cannot be used, or the suite has no runs in the store.
        TrackingError: The store cannot be read, or the server does not start.
    """
    if not is_server(uri):
        check_port(host, port)
    store = Store(uri)
    experiment = experiment_to_show(store, suite)
    server_address = redact(uri) if is_server(uri) else f"http://{host}:{port}"
    tables = report_address(server_address, store, experiment) if experiment else None
    if is_server(uri):
        address = address_of(redact(uri), experiment) if experiment else redact(uri)
        print(f"the store is a server and has its own UI: {address}", file=sys.stderr)
        _say_where(tables)
        return 0
    command, environment = server_command(uri, host, port)
    server = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return wait_for(server, server_address, experiment, tables=tables, browse=browse)
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        end_server(server)


def server_command(uri: str, host: str, port: int) -> tuple[list[str], dict[str, str]]:
    """The command line of MLflow's server, which everyone on the machine can read, and what its environment adds."""
    command = [sys.executable, "-m", "mlflow", "server", "--workers=1", f"--host={host}", f"--port={port}"]
    return command, {
        "MLFLOW_BACKEND_STORE_URI": uri,  # it may hold a password
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be used, and name a free one.

    Raises:
        UsageError: Another process listens there, or the host is not an address of this machine.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            with socket.socket() as free:
                free.bind((host if host in ("127.0.0.1", "0.0.0.0") else "127.0.0.1", 0))
                other = free.getsockname()[1]
            raise UsageError(f"{host}:{port} cannot be used ({error.strerror}); try bench ui --port {other}") from error


def _say_where(tables: str | None) -> None:
    if tables:
        print(f"its tables, report and pictures: {tables}", file=sys.stderr, flush=True)


def wait_for(
    server: "subprocess.Popen[bytes]",
    address: str,
    experiment: str | None = None,
    *,
    tables: str | None = None,
    browse: bool = False,
) -> int:
    """Wait until the server answers, print where it shows an experiment (and open that), and wait for its end.

    ``tables`` is where it shows the suite's own run.

    Raises:
        TrackingError: It ended before it answered, or did not answer in time.
    """
    import requests

    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(f"{address}/health", timeout=2).ok:
                page = address_of(address, experiment) if experiment else address
                print(f"MLflow UI: {page} (Ctrl-C stops it)", file=sys.stderr, flush=True)
                _say_where(tables)
                if browse:
                    webbrowser.open(page)
                print("through a tunnel or from another host: mlflow server --allowed-hosts HOST", file=sys.stderr)
                server.communicate()
                return 0
        except requests.RequestException:
            time.sleep(0.2)
    end_server(server)
    lines = (server.stderr.read() if server.stderr else b"").decode(errors="replace").strip().splitlines()
    raise TrackingError(f"the MLflow server did not start: {lines[-1] if lines else 'no message'}")


def end_server(server: "subprocess.Popen[bytes]") -> None:
    """End the server and its workers."""
    try:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=10)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
