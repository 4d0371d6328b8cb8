"""Which store is in use: its URI, made absolute once, and how it is shown without credentials."""

import os
import re
from functools import cache
from importlib import metadata
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bench.errors import TrackingError
from bench.workspace.paths import expand

SQLITE = "sqlite:///"
DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
"""Suffixes by which a path without a scheme is taken for a database."""
LOCAL = ("sqlite", "file")
"""Beginnings of schemes that have no user and no password, so that an ``@`` belongs to a path."""
CREDENTIALS = re.compile(r"(?<!sqlite)(?<!file)(://)\S*@")
"""Up to the last ``@``: a password may hold any character, and it is better to hide too much than to show a part."""
SECRET_OPTION = re.compile(r"([?&](?:password|passwd|pwd|token|secret)=)[^&\s]*", re.IGNORECASE)
MIN_SECRET = 3
"""Shorter passwords are not looked for in the texts of libraries, where every second word would match."""


def resolve_uri(uri: str | None, folder: Path) -> str:
    """The store to use: the given URI, else MLFLOW_TRACKING_URI, else ``sqlite:///mlflow.db`` in a folder.

    A relative sqlite path is resolved against the folder, so that a process with another working directory opens the
    same database.

    Raises:
        TrackingError: The URI names a file store, which MLflow 3 no longer writes, a path, or a database that is not a
            file; or the folder holds a file store.
    """
    named = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not named:
        refuse_old_mlruns(folder)
        return sqlite_uri(folder / "mlflow.db")
    parts = urlsplit(named)
    if parts.scheme in ("", "file") or named.startswith("databricks"):
        raise TrackingError(f"the tracking URI {redact(named)} is {_not_a_store(named)}")
    if parts.scheme == "sqlite":
        return _resolve_sqlite(named, folder)
    return quote_credentials(named)


def _resolve_sqlite(named: str, folder: Path) -> str:
    """The URI of a sqlite database with its path made absolute; a query stays.

    Raises:
        TrackingError: It names no file.
    """
    path, query = sqlite_path(named), named.partition("?")[2]
    if path is None or path.name in ("", ":memory:") or str(path).startswith("file:"):
        raise TrackingError(f"the tracking URI {named} names no database file; write sqlite:///mlflow.db")
    return sqlite_uri(folder / path) + (f"?{query}" if query else "")


def _not_a_store(named: str) -> str:
    """What a URI without the scheme of a store is, and what to write."""
    path = expand(named.removeprefix("file://"))
    if named.startswith("databricks"):
        return "one of Databricks, which bench does not write to; use sqlite:///mlflow.db or the address of a server"
    if path.suffix in DATABASE_SUFFIXES or path.is_file():
        return f"a path; write sqlite:///{path}"
    return "a folder, and MLflow 3 no longer writes to folders; use sqlite:///mlflow.db or the http address of a server"


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


HOST_AND_PORT = re.compile(r"(\[[^]]*\]|[^:]*)(:\d*)?")
"""An address without credentials; of IPv6 in brackets."""


def quote_credentials(uri: str) -> str:
    """Percent-encode what ends an address early (``/ # ? @``) in its user name and password.

    Without it such a password is taken for a host and a path. What is encoded already stays as it is.
    """
    scheme, _, rest = uri.partition("://")
    if scheme.startswith(LOCAL) or "@" not in rest:
        return uri
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        credentials, _, address = authority.rpartition("@")
        address += rest[len(authority) :]
    elif HOST_AND_PORT.fullmatch(authority):
        return uri  # a host and its port; the @ belongs to the path
    else:
        credentials, _, address = rest.rpartition("@")
    quoted = ":".join(quote(part, safe="%!$&'()*+,;=") for part in credentials.split(":", 1))
    return f"{scheme}://{quoted}@{address}"


def redact(uri: str) -> str:
    """The URI with ``***`` for user name and password, for messages and files."""
    scheme, _, rest = uri.partition("://")
    if "@" in rest and not scheme.startswith(LOCAL):
        uri = f"{scheme}://***@{rest.rpartition('@')[2]}"
    return SECRET_OPTION.sub(r"\1***", uri)


def redact_text(text: str, uri: str = "") -> str:
    """A text with ``***`` for the credentials of every URI in it, and for the password of ``uri`` wherever it is."""
    for secret in _passwords(uri):
        text = text.replace(secret, "***")
    return SECRET_OPTION.sub(r"\1***", CREDENTIALS.sub(r"\1***@", text))


def _passwords(uri: str) -> list[str]:
    """What may be the password of a URI, as it is written and as it is meant; the longer ones first."""
    scheme, _, rest = uri.partition("://")
    if scheme.startswith(LOCAL):
        return []
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    written = [text.rpartition("@")[0].partition(":")[2] for text in (rest, authority)]
    found = {each for password in written for each in (password, unquote(password), quote(password, safe="%"))}
    return sorted((each for each in found if len(each) >= MIN_SECRET), key=len, reverse=True)


def sqlite_uri(path: Path) -> str:
    """The URI under which MLflow, which opens it by SQLAlchemy, finds a database file. The path is made absolute.

    Raises:
        TrackingError: The installed SQLAlchemy has no URI for it.
    """
    text = str(path.absolute())
    if "?" in text and not _unquotes():
        raise TrackingError(
            f"the MLflow store {text} cannot be addressed by SQLAlchemy {metadata.version('sqlalchemy')}, because of "
            "the '?' in its path; rename the folder, or: pip install 'sqlalchemy>=2.1'"
        )
    if "?" not in text and "%" not in text:
        return SQLITE + text
    return SQLITE + (text.replace("%", "%25").replace("?", "%3F") if _unquotes() else text)


def sqlite_path(uri: str) -> Path | None:
    """The database file of a sqlite URI, as SQLAlchemy reads it, or None for another store."""
    if not uri.startswith(SQLITE):
        return None
    text = uri.removeprefix(SQLITE).partition("?")[0]
    return Path(unquote(text) if "%" in text and _unquotes() else text)


@cache
def _unquotes() -> bool:
    """Whether SQLAlchemy reads %20 in the path of a URI as a space, which it does since version 2.1."""
    major, minor, *_ = metadata.version("sqlalchemy").split(".")
    return (int(major), int(minor)) >= (2, 1)


def is_server(uri: str) -> bool:
    """Whether the store is reached through an MLflow server."""
    return uri.startswith(("http://", "https://"))


def store_exists(uri: str) -> bool:
    """Whether there is something to read: looking at a store must not create one."""
    path = sqlite_path(uri)
    return path is None or path.exists()
