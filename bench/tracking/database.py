"""The file of a sqlite store: whether it can be used, and how it gets MLflow's tables.

Called by :class:`bench.tracking.client.Connection`. The rows are read by :mod:`bench.tracking.reader` and written by
MLflow only.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from bench.errors import TrackingError
from bench.tracking.reader import BUSY_S, connect, is_empty
from bench.tracking.uri import SQLITE, sqlite_uri
from bench.workspace.files import write_atomically
from bench.workspace.paths import empty_store_file


def check_database(database: Path) -> None:
    """Check that a path is that of a database, or that one can be there.

    Raises:
        TrackingError: It is not.
    """
    if not database.parent.is_dir():
        raise TrackingError(
            f"the folder of the MLflow store {database} does not exist; create it, or name another store with "
            "--tracking-uri"
        )
    if database.is_dir():
        raise TrackingError(f"the MLflow store {database} is a folder, not a database file")
    if database.exists() and database.stat().st_size and _first_bytes(database) != b"SQLite format 3\x00":
        raise TrackingError(f"the MLflow store {database} is not a sqlite database; name another with --tracking-uri")


def check_writable(database: Path) -> None:
    """Check that a database can be written, or created where there is none.

    Raises:
        TrackingError: It cannot.
    """
    check_database(database)
    for path in (database, database.parent):
        if path.exists() and not os.access(path, os.W_OK):
            raise _not_writable(database, f"{path} is read-only for this user")
    try:
        # root passes every check of permissions, so only the attempt tells; it changes nothing
        mode = "rw" if database.exists() else "rwc"
        with closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_S)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE").connection.rollback()
    except sqlite3.Error as error:
        raise _not_writable(database, str(error)) from error


def _not_writable(database: Path, reason: str) -> TrackingError:
    return TrackingError(f"the MLflow store {database} cannot be written: {reason}; name another with --tracking-uri")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(16)


def file_identity(database: Path) -> tuple[int, int] | None:
    """Device and inode, which distinguish a file from its replacement; None for a missing file."""
    try:
        stat = database.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def create_tables(database: Path) -> None:
    """Fill an empty database with MLflow's tables, completely or not at all.

    MLflow creates them by running all migrations of its history. That takes seconds, so a copy of the result is kept in
    the user's cache folder, one per MLflow version, and copied for the next store.
    """
    import mlflow

    # in a file of its own: a process that is killed half-way would leave tables that MLflow refuses ever after
    new = database.with_name(f".{database.name}.new")
    for leftover in (new, new.with_name(f"{new.name}-journal")):
        leftover.unlink(missing_ok=True)
    template = empty_store_file(mlflow.__version__)
    if not _copy_template(template, new):
        with no_second_folder(new):
            mlflow.MlflowClient(tracking_uri=sqlite_uri(new)).search_experiments(max_results=1)
        with closing(sqlite3.connect(new)) as connection, connection:
            connection.execute("DELETE FROM experiments")  # the default one names this folder; MLflow adds it again
        with suppress(OSError):  # a cache that cannot be written is no reason to fail
            template.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(template, new.read_bytes())
    new.replace(database)


def _copy_template(template: Path, new: Path) -> bool:
    """Copy the template; False, without a copy, where it is missing or damaged."""
    try:
        shutil.copyfile(template, new)
        with closing(sqlite3.connect(new)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone() == ("ok",) and not is_empty(new):
                return True
    except (OSError, sqlite3.Error):
        pass
    new.unlink(missing_ok=True)
    return False


@contextmanager
def no_second_folder(database: Path) -> Iterator[None]:
    """Remove the empty folder that MLflow makes beside a database's own, if the name of that has to be quoted.

    MLflow makes the folder of the URI's path as it stands, while SQLAlchemy opens the path that is meant.
    """
    quoted = Path(sqlite_uri(database).removeprefix(SQLITE)).parent
    made = not quoted.exists()
    yield
    if made:
        with suppress(OSError):  # there is none, or it is in use
            os.removedirs(quoted)


def remember_accepted(database: Path) -> None:
    """Remember that the installed MLflow accepts databases with the tables of this one."""
    with suppress(OSError, sqlite3.Error):  # then the next run asks MLflow again
        path = _accepted_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_accepted(database):
            write_atomically(path, _revision(database).encode())


def is_accepted(database: Path) -> bool:
    """Whether the installed MLflow is known to accept the tables of a database, without importing MLflow."""
    try:
        return _accepted_file().read_text() == _revision(database)
    except (OSError, sqlite3.Error):
        return False


def _accepted_file() -> Path:
    return empty_store_file(version("mlflow")).with_suffix(".revision")


def _revision(database: Path) -> str:
    with connect(database) as connection:
        return "\n".join(row[0] for row in connection.execute("SELECT version_num FROM alembic_version"))
