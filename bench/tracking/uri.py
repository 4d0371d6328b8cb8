"""Which store is in use: its URI, made absolute once, and how it is shown without credentials."""

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bench.errors import TrackingError

SQLITE = "sqlite:///"
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
    return quote_credentials(named)


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
    elif ":" not in authority or authority.rpartition(":")[2].isdigit():
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
