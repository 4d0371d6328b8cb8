"""What MLflow, SQLAlchemy, Alembic, requests and the operating system raise, as one sentence of our own each.

Used by :meth:`bench.tracking.client.Connection.translated` only. Classes are looked up by name along an error's method
resolution order, so that the most specific one wins and no library is imported to compare with. An error of no class in
the table is a defect of bench, and is never called the store's fault.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from bench.tracking.uri import redact_text

MAX_LENGTH = 400
"""Characters of a foreign message that are shown; some contain whole SQL statements."""

NOT_ALLOWED = (
    "the server does not allow it; name an account that may write, with MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD, or with MLFLOW_TRACKING_TOKEN"
)

URI = "<uri>"
"""Stands for the store's URI in a sentence."""


def describe_error(error: Exception, uri: str) -> str | None:
    """What is wrong with the store at a URI, without credentials; None for an error that bench does not expect."""
    for cls in type(error).__mro__:
        describe = SENTENCES.get(f"{cls.__module__}.{cls.__qualname__}")
        if describe:
            return redact_text(describe(error).replace(URI, uri), uri)
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:MAX_LENGTH]


def _mlflow(error: Exception) -> str:
    if any(f"error code {code}" in str(error) for code in (401, 403)):
        return f"{NOT_ALLOWED} ({_first_line(error)})"
    if _is_of_newer(str(error)):
        return _newer(error)
    if "mlflow db upgrade" in str(error):
        return f"its tables were made by another version of MLflow; bring them up to date with: mlflow db upgrade {URI}"
    return _first_line(error)


def _rest(error: Exception) -> str:
    if getattr(error, "error_code", "") in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
        return f"{NOT_ALLOWED} ({_first_line(error)})"
    return f"the server answers: {_first_line(error)}"


def _is_of_newer(text: str) -> bool:
    """Whether MLflow speaks of a revision that the installed one does not know, and so cannot upgrade either."""
    found, mlflow = re.search(r"found version (\w+)", text), find_spec("mlflow")
    if not found or mlflow is None or mlflow.origin is None:
        return "Can't locate revision" in text
    revisions = Path(mlflow.origin).parent / "store" / "db_migrations" / "versions"
    return revisions.is_dir() and not any(revisions.glob(f"{found[1]}_*.py"))


def _newer(_: Exception) -> str:
    """Of tables with a revision that the installed MLflow does not know."""
    return "it was written by a newer MLflow than the one that is installed; upgrade MLflow, or name another store"


def _os_error(error: Exception) -> str:
    assert isinstance(error, OSError)  # the table's entry for it
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


SENTENCES: dict[str, Callable[[Exception], str]] = {
    "mlflow.exceptions.RestException": _rest,
    "mlflow.exceptions.MlflowException": _mlflow,
    "alembic.util.exc.CommandError": _newer,
    "sqlalchemy.exc.SQLAlchemyError": _first_line,
    "sqlite3.Error": _first_line,
    "requests.exceptions.Timeout": lambda _: "the server does not answer in time",
    "requests.exceptions.ConnectionError": lambda error: f"the server cannot be reached ({type(error).__name__})",
    "requests.exceptions.RequestException": _first_line,
    "urllib3.exceptions.HTTPError": _first_line,
    # what the clients of artifact stores raise, none of which bench installs
    "botocore.exceptions.BotoCoreError": _first_line,
    "botocore.exceptions.ClientError": _first_line,
    "boto3.exceptions.Boto3Error": _first_line,
    "azure.core.exceptions.AzureError": _first_line,
    "google.api_core.exceptions.GoogleAPIError": _first_line,
    "google.auth.exceptions.GoogleAuthError": _first_line,
    # of a suite file that was uploaded by something else
    "builtins.UnicodeDecodeError": lambda _: "a file in it is not UTF-8 text",
    # a client of an artifact store that is not installed: MLflow imports it when it is needed
    "builtins.ImportError": _first_line,
    "builtins.OSError": _os_error,
}
"""By the full name of the foreign class."""
