"""Which store is in use: the URI, made absolute once, and what must be said about it before anything starts."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.errors import TrackingError

SQLITE = "sqlite:///"
CREDENTIALS = re.compile(r"(://)[^/@\s]*@")


def resolve_uri(uri: str | None, folder: Path) -> str:
    """The store to use: the given URI, else MLFLOW_TRACKING_URI, else ``sqlite:///mlflow.db`` in a folder.

    A relative sqlite path is made absolute against the folder, so that no process opens another database by standing
    elsewhere.

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
            f"the tracking URI {redact(named)} is a folder, which MLflow 3 no longer writes to; use "
            f"sqlite:///mlflow.db, or a server's http address"
        )
    if named.startswith(SQLITE):
        path = Path(named.removeprefix(SQLITE))
        return f"{SQLITE}{(folder / path).absolute()}"
    return named


def refuse_old_mlruns(folder: Path) -> None:
    """Refuse a folder in which MLflow itself would fall back to its old file store, and fail.

    Raises:
        TrackingError: There is ``mlruns/NUMBER/meta.yaml`` in it.
    """
    if any((folder / "mlruns").glob("[0-9]*/meta.yaml")):
        raise TrackingError(
            f"{(folder / 'mlruns').absolute()} holds runs of an old MLflow, which MLflow 3 cannot open: migrate them "
            "with\n  mlflow migrate-filestore --source . --target sqlite:///mlflow.db\nand move mlruns away, or name "
            "another store with --tracking-uri"
        )


def redact(uri: str) -> str:
    """The URI without user name and password, for messages and files."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def redact_text(text: str) -> str:
    """A foreign error's text without the credentials of any URI in it."""
    return CREDENTIALS.sub(r"\1***@", text)


def sqlite_path(uri: str) -> Path | None:
    """The database file of a sqlite URI, or None for another store."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def store_exists(uri: str) -> bool:
    """Whether there is something to read: looking at a store must not create one."""
    path = sqlite_path(uri)
    return path is None or path.exists()
