"""Real MLflow servers and a real PostgreSQL of a test's own, which are killed, stopped and started again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

import psutil
import requests
from helpers.cli import wait_for

QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Server:
    """An MLflow server, by default on a sqlite database below the project folder.

    Args:
        project: Where its files are.
        options: More options of ``mlflow server``.
        env: More variables of its environment.
    """

    def __init__(self, project: Path, options: Iterable[str] = (), env: Mapping[str, str] | None = None) -> None:
        self.project, self.port = project, free_port()
        self.options, self.env = list(options), env or {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{project}/server.db"}
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.project / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--workers=1", f"--port={self.port}",
                 f"--artifacts-destination={self.project}/artifacts", *self.options],
                env={**os.environ, **QUIET, **self.env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        process = self.process
        wait_for(lambda: self.answers() or process.poll() is not None)
        assert process.poll() is None, (self.project / "server.log").read_text()[-2000:]

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=2).ok
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """Kill it with all its processes."""
        if self.process is None:
            return
        self.send(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def hang(self) -> None:
        """Stop all its processes: connections are taken and never answered."""
        self.send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Continue after :meth:`hang`."""
        self.send(signal.SIGCONT)

    def send(self, number: int) -> None:
        """Send a signal to all its processes."""
        assert self.process is not None
        server = psutil.Process(self.process.pid)
        for process in [*server.children(recursive=True), server]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
"""Debian's folders of PostgreSQL's programs, which are not on the PATH; the newest last."""
INITDB = str(BINARIES[-1] / "initdb") if BINARIES else shutil.which("initdb")


class Postgres:
    """A PostgreSQL of its own on a free port of this machine, with an empty database ``mlflow``.

    Its data lies in the system's folder for temporary files, because it runs as another user where the tests run as
    root, which it refuses.

    Args:
        password: Of its user ``bench``.
    """

    def __init__(self, password: str) -> None:
        assert INITDB is not None
        self.programs = Path(INITDB).parent
        self.port, self.password = free_port(), password
        self.folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
        self.user = "nobody" if os.getuid() == 0 else None
        password_file = self.folder / "password"
        password_file.write_text(password)
        if self.user:
            for path in (self.folder, password_file):
                shutil.chown(path, self.user)
        self.call(
            "initdb",
            "--username=bench",
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
            "--no-sync",
            "--encoding=UTF8",
        )
        self.start()
        self.call("createdb", "--host=127.0.0.1", f"--port={self.port}", "--username=bench", "mlflow")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self.call("pg_ctl", "start", "--wait", f"--log={self.folder}/log", f"--options={settings}")

    def kill(self) -> None:
        """End it as a power cut does: it recovers when it is started again."""
        self.call("pg_ctl", "stop", "--mode=immediate")

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a question to the database ``mlflow``."""
        import psycopg2

        address = {"host": "127.0.0.1", "port": self.port, "user": "bench", "password": self.password}
        with closing(psycopg2.connect(dbname="mlflow", **address)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            rows: list[tuple[object, ...]] = cursor.fetchall()
            return rows

    def remove(self) -> None:
        """End it, and remove its data."""
        with suppress(subprocess.CalledProcessError):
            self.kill()
        shutil.rmtree(self.folder)

    def call(self, program: str, *arguments: str) -> None:
        """Run one of its programs."""
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            cwd=self.folder,
            user=self.user,
            env={
                "PATH": os.environ["PATH"],
                "PGDATA": f"{self.folder}/data",
                "PGPASSWORD": self.password,
                "LC_ALL": "C",
            },
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
