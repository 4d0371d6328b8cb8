"""tracking.database."""

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from bench.errors import TrackingError
from bench.tracking.reader import is_empty
from bench.tracking.uri import SQLITE, redact
from bench.workspace.files import write_atomically
from bench.workspace.paths import empty_store_file

SERVER_TIMEOUT_S = 5.0


def _make_tables(database: Path) -> None:
    """Fill an empty database with MLflow's tables, whole or not at all.

    MLflow makes them by all migrations of its history, which takes seconds; what comes out is kept in the user's cache
    folder and copied the next time.
    """
    import mlflow

    # in a file of its own: a death in the middle would leave tables that MLflow refuses from then on
    made = database.with_name(f".{database.name}.new")
    for left_over in (made, made.with_name(f"{made.name}-journal")):
        left_over.unlink(missing_ok=True)
    kept = empty_store_file(mlflow.__version__)
    if not _copied(kept, made):
        mlflow.MlflowClient(tracking_uri=f"{SQLITE}{made}").search_experiments(max_results=1)
        with closing(sqlite3.connect(made)) as connection, connection:
            connection.execute("DELETE FROM experiments")  # the default one names this folder; MLflow makes it again
        with suppress(OSError):  # a cache that cannot be written is no reason to fail
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, made.read_bytes())
    made.replace(database)


def _copied(kept: Path, made: Path) -> bool:
    """Copy a database that was kept, if there is one and sqlite finds no fault with it."""
    try:
        shutil.copyfile(kept, made)
        with closing(sqlite3.connect(made)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone() == ("ok",) and not is_empty(made):
                return True
    except (OSError, sqlite3.Error):
        pass
    made.unlink(missing_ok=True)
    return False


def _identity(database: Path | None) -> tuple[int, int] | None:
    """What tells a file from another of the same name; None where there is none."""
    try:
        stat = database.stat() if database else None
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino) if stat else None


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(16)


def _check_sqlite(path: Path) -> None:
    if not path.parent.is_dir():
        raise TrackingError(f"the folder of the MLflow store {path} does not exist; make it, or name another store")
    if path.is_dir():
        raise TrackingError(f"the MLflow store {path} is a folder, not a database file")
    if path.exists() and path.stat().st_size and _first_bytes(path) != b"SQLite format 3\x00":
        raise TrackingError(f"the MLflow store {path} is not a sqlite database; name another with --tracking-uri")
    for place in (path, path.parent):
        if place.exists() and not os.access(place, os.W_OK):
            raise TrackingError(
                f"the MLflow store {path} cannot be written: {place} is read-only for this user; name another with "
                "--tracking-uri"
            )
    try:
        # root may write read-only files, so only the attempt tells; opening for writing changes nothing
        connection = sqlite3.connect(f"file:{path}?mode={'rw' if path.exists() else 'rwc'}", uri=True, timeout=20)
        try:
            connection.execute("BEGIN IMMEDIATE").connection.rollback()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise TrackingError(
            f"the MLflow store {path} cannot be written: {error}; name another with --tracking-uri"
        ) from error


def _check_server(uri: str) -> None:
    import requests

    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT_S)
    except requests.RequestException as error:
        raise TrackingError(
            f"the MLflow server {redact(uri)} does not answer ({type(error).__name__}); start it, or use another store "
            "with --tracking-uri sqlite:///mlflow.db, or run with --offline and bring the runs there with bench sync"
        ) from error
    if answer.status_code >= 500:
        raise TrackingError(f"the MLflow server {redact(uri)} answers with HTTP {answer.status_code}; look at its log")
