"""The connection to an MLflow store: when it is opened, who may write, and what is said when it fails.

:class:`bench.tracking.runs.Store` builds on it. Only :class:`mlflow.MlflowClient` is used, never the fluent functions,
which guess: a bare ``start_run`` calls a run that was killed FINISHED. MLflow is imported when the client is first
asked for, which takes seconds; what only reads sqlite never asks.
"""

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TypedDict, TypeVar

from bench.errors import TrackingError
from bench.tracking.database import (
    check_database,
    check_writable,
    create_tables,
    file_identity,
    is_accepted,
    no_second_folder,
    remember_accepted,
)
from bench.tracking.foreign_errors import describe_error
from bench.tracking.reader import Reader, is_empty
from bench.tracking.uri import is_server, redact, redact_text, sqlite_path
from bench.workspace.locks import hold_lock
from bench.workspace.paths import ensure_home

if TYPE_CHECKING:
    from mlflow import MlflowClient

SERVER_TIMEOUT_S = 5.0
"""How long a server may take to say that it is there."""

MAX_TRIES = 5
"""How often an idempotent write is tried when other processes write the same rows at the same moment."""

Result = TypeVar("Result")


class Connection:
    """A store that was checked and can be used.

    Args:
        uri: The store, absolute.
        direct: Read a sqlite database without MLflow where :class:`Reader` can; the answers are the same.
        reading: It will only be read, so a database that cannot be written will do.

    Raises:
        TrackingError: The store cannot be used; the sentence says what to do.
    """

    def __init__(self, uri: str, *, direct: bool = True, reading: bool = False) -> None:
        self.uri = uri
        self._database = sqlite_path(uri)
        self.read_only = False
        """Whether nothing can be written; known of sqlite databases that are opened for reading."""
        if self._database is not None:
            try:
                check_writable(self._database)
            except TrackingError:
                if not reading:
                    raise
                check_database(self._database)
                self.read_only = True
        elif is_server(uri):
            check_server(uri)
        self.reader = Reader(self._database) if self._database is not None and direct else None
        # an empty file is left out: the run that creates its tables replaces it
        self._file = None if self._database is None or is_empty(self._database) else file_identity(self._database)
        self._opening = threading.Lock()
        self._client: MlflowClient | None = None
        if self.reader is None or not self.reader.can_read():
            _ = self.client  # or a store that cannot be read would be noticed only after a training

    @property
    def client(self) -> "MlflowClient":
        """MLflow's client, opened when it is first asked for.

        Raises:
            TrackingError: It cannot be opened.
        """
        with self._opening:
            if self._client is None:
                self.check_present()
                self._client = self._open()
                self._file = None if self._database is None else file_identity(self._database)
            return self._client

    def open_soon(self) -> None:
        """Begin to open MLflow's client in the background; whoever asks for the client next gets the error, if any.

        A sqlite database that the installed MLflow is not known to accept is opened at once, so that a refusal comes
        before the training.

        Raises:
            TrackingError: MLflow does not accept the database.
        """
        if self._client is not None:
            return
        if self._database is not None and not is_empty(self._database) and not is_accepted(self._database):
            _ = self.client
            return

        def open_client() -> None:
            with suppress(TrackingError):
                _ = self.client

        # not a daemon: a process that ends in the middle of an import may crash
        threading.Thread(target=open_client, name="store").start()

    def _open(self) -> "MlflowClient":
        ensure_home()
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # MLflow prints the address of every run that ends, with user name and password
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        os.environ.pop("MLFLOW_RUN_ID", None)  # would make MLflow write into the run that it names
        # the forwarder tries again itself and can be stopped; MLflow's own retries last for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        with self.translated("cannot be opened"), self.exclusive(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # importing MLflow warns about other libraries
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are raised too, and reported once
            if self._database is not None and is_empty(self._database):
                create_tables(self._database.resolve())
            with no_second_folder(self._database) if self._database is not None else nullcontext():
                client = MlflowClient(tracking_uri=self.uri)
                client.search_experiments(max_results=1)
        if self._database is not None:
            remember_accepted(self._database)
        return client

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other processes of bench out of a sqlite database: two that create its tables fail each other."""
        if self._database is None:
            return nullcontext()
        return hold_lock(self._database.with_name(f".{self._database.name}.lock"))

    def retry_clashes(self, write: Callable[[], Result]) -> Result:
        """Retry an idempotent write.

        When two processes insert the same row, MLflow fails the second, which succeeds on retry.
        """
        began = time.monotonic()
        for _ in range(MAX_TRIES - 1):
            try:
                return write()
            except TrackingError:
                if time.monotonic() - began > SERVER_TIMEOUT_S:
                    raise  # a server that does not answer; a clash is reported at once
        return write()

    @contextmanager
    def translated(self, what: str) -> Iterator[None]:
        """Turn the errors of MLflow, its database driver, the network and the disk into a TrackingError.

        Args:
            what: What the store cannot do, following its name: "cannot be read".
        """
        try:
            yield
        except TrackingError:
            raise
        except Exception as error:
            sentence = describe_error(error, self.uri)
            if sentence is None:
                raise  # a defect of bench
            raise TrackingError(f"the MLflow store {redact(self.uri)} {what}: {sentence}") from error

    def check_answers(self) -> None:
        """Check that the store is still there, before questions that would wait long for one that is not.

        Raises:
            TrackingError: It is not.
        """
        self.check_present()
        if is_server(self.uri):
            check_server(self.uri)

    def check_present(self) -> None:
        """Notice a database that was removed or replaced: an open connection continues to write to the removed file.

        Raises:
            TrackingError: It is not the file that was opened.
        """
        if self._database is not None and self._file is not None and file_identity(self._database) != self._file:
            raise TrackingError(f"the MLflow store {self.uri} was removed or replaced while it was in use")


def check_server(uri: str) -> None:
    """Check that a tracking server answers, with MLflow's own settings for TLS.

    Raises:
        TrackingError: It does not, or it reports an error of its own.
    """
    import requests

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the certificate is not checked, where the user has said so
            answer = requests.get(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT_S, **tls_options())
    except requests.exceptions.SSLError as error:
        raise TrackingError(
            f"the certificate of the MLflow server {redact(uri)} is not trusted; name the file of its authority in "
            "MLFLOW_TRACKING_SERVER_CERT_PATH, or set MLFLOW_TRACKING_INSECURE_TLS=true to check none"
        ) from error
    except requests.RequestException as error:
        raise TrackingError(
            f"the MLflow server {redact(uri)} does not answer ({type(error).__name__}); start it, or use another store "
            "with --tracking-uri sqlite:///mlflow.db, or run with --offline and send the runs later with bench sync"
        ) from error
    except OSError as error:  # a file that one of the variables names is missing
        raise TrackingError(
            f"the MLflow server {redact(uri)} cannot be asked: {redact_text(str(error), uri)}"
        ) from error
    if answer.status_code >= 500:
        raise TrackingError(f"the MLflow server {redact(uri)} answers with HTTP {answer.status_code}; look at its log")


class TlsOptions(TypedDict):
    """Keyword arguments of requests."""

    verify: bool | str
    cert: str | None


def tls_options() -> TlsOptions:
    """What MLflow's variables say about certificates, as its own client reads them."""
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    return {
        "verify": os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not insecure,
        "cert": os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
    }
