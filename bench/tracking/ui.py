"""``bench ui``: MLflow's own server on the store in use, light: one worker, no job runners."""

import os
import signal
import socket
import subprocess
import sys
import time

from bench.errors import TrackingError, UsageError
from bench.tracking.uri import redact

START_S = 120.0


def serve_ui(uri: str, *, port: int = 5000, host: str = "127.0.0.1") -> int:
    """Serve the UI until Ctrl-C; its address is printed on standard error once it answers.

    Raises:
        UsageError: The port is taken.
        TrackingError: The server does not start.
    """
    if uri.startswith(("http://", "https://")):
        print(f"the store is a server with a UI of its own: {redact(uri)}", file=sys.stderr)
        return 0
    check_port(host, port)
    where = [f"--host={host}", f"--port={port}", f"--backend-store-uri={uri}"]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--workers=1", *where],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return follow(server, f"http://{host}:{port}")
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        end(server)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken, naming a free one.

    Raises:
        UsageError: Somebody listens there.
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


def follow(server: "subprocess.Popen[bytes]", address: str) -> int:
    """Wait until the server answers, say so, and wait for its end.

    Raises:
        TrackingError: It ended or did not answer in time.
    """
    import requests

    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(f"{address}/health", timeout=2).ok:
                print(f"MLflow UI: {address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
                print("through a tunnel or from another host: mlflow server --allowed-hosts HOST", file=sys.stderr)
                server.communicate()
                return 0
        except requests.RequestException:
            time.sleep(0.2)
    end(server)
    lines = (server.stderr.read() if server.stderr else b"").decode(errors="replace").strip().splitlines()
    raise TrackingError(f"the MLflow server did not start: {lines[-1] if lines else 'no message'}")


def end(server: "subprocess.Popen[bytes]") -> None:
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
