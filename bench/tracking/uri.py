"""Which store is in use: its URI, made absolute once, and how it is shown without credentials."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.errors import TrackingError

SQLITE = "sqlite:///"
CREDENTIALS = re.compile(r"(://)[^/@\s]*@")


def resolve_uri(uri: str | None, folder: Path) -> str:
    """The store to use: the given URI, else MLFLOW_TRACKING_URI, else ``sqlite:///mlflow.db`` in a folder.

    A relative sqlite path is resolved against the folder, so that a process with another working directory opens the
    same database.

    Raises:
        TrackingError: The URI names a file store, which MLflow 3 no longer writes, or the folder holds an old one.
    """
    named = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not named:
        refuse_old_mlruns(folder)
        return f"{SQLITE}{(folder / 'mlflow.db').absolute()}"
    scheme = urlsplit(named).scheme
    if scheme in ("", "file"):
        raise TrackingError(
            f"the tracking URI {redact(named)} is a folder, and MLflow 3 no longer writes to folders; use "
            "sqlite:///mlflow.db or the http address of a server"
        )
    if named.startswith(SQLITE):
        path = Path(named.removeprefix(SQLITE))
        return f"{SQLITE}{(folder / path).absolute()}"
    return named


def refuse_old_mlruns(folder: Path) -> None:
    """Refuse a folder that holds a file store of an old MLflow, to which MLflow 3 would fall back and fail.

    Raises:
        TrackingError: The folder contains ``mlruns/NUMBER/meta.yaml``.
    """
    if any((folder / "mlruns").glob("[0-9]*/meta.yaml")):
        raise TrackingError(
            f"{(folder / 'mlruns').absolute()} holds runs of an old MLflow, and MLflow 3 cannot open them; migrate "
            "them with\n  mlflow migrate-filestore --source . --target sqlite:///mlflow.db\n"
            "and move mlruns away, or name another store with --tracking-uri"
        )


def redact(uri: str) -> str:
    """The URI with ``***`` for user name and password, for messages and files."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def redact_text(text: str) -> str:
    """A text with ``***`` for the credentials of every URI in it."""
    return CREDENTIALS.sub(r"\1***@", text)


def sqlite_path(uri: str) -> Path | None:
    """The database file of a sqlite URI, or None for another store."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def is_server(uri: str) -> bool:
    """Whether the store is reached through an MLflow server."""
    return uri.startswith(("http://", "https://"))


def store_exists(uri: str) -> bool:
    """Whether there is something to read: looking at a store must not create one."""
    path = sqlite_path(uri)
    return path is None or path.exists()
