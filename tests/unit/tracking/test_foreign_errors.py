"""The table of foreign errors: none that the libraries can raise is missed, and a defect of bench is never in it."""

import inspect
import sqlite3

import mlflow.exceptions
import pytest
import requests
import sqlalchemy.exc
import urllib3.exceptions
from alembic.util.exc import CommandError

from bench.tracking.foreign_errors import MAX_LENGTH, SENTENCES, describe_error

URI = "http://me:secret@host"


def errors_in(module: object, base: type[Exception]) -> list[type[Exception]]:
    """The classes of a module that are errors of its library, with those derived from them elsewhere."""
    errors = {cls for _, cls in inspect.getmembers(module, inspect.isclass) if issubclass(cls, base)}
    todo = list(errors)
    while todo:
        derived = set(todo.pop().__subclasses__()) - errors
        errors |= derived
        todo += derived
    return sorted(errors, key=lambda cls: cls.__qualname__)


FOREIGN = [
    *errors_in(mlflow.exceptions, mlflow.exceptions.MlflowException),
    *errors_in(sqlalchemy.exc, sqlalchemy.exc.SQLAlchemyError),
    *errors_in(requests.exceptions, requests.RequestException),
    *errors_in(urllib3.exceptions, urllib3.exceptions.HTTPError),
    *errors_in(sqlite3, sqlite3.Error),
    CommandError,
]
NOT_FOUND = mlflow.exceptions.RestException({"error_code": "NOT_FOUND", "message": "no run"})  # type: ignore[no-untyped-call]
OWN = [TypeError, KeyError, AttributeError, AssertionError, ValueError, IndexError, RuntimeError, ZeroDivisionError]


def test_the_libraries_have_the_errors_that_are_tested() -> None:
    assert len(FOREIGN) > 80
    assert len(errors_in(mlflow.exceptions, mlflow.exceptions.MlflowException)) >= 10


@pytest.mark.parametrize("cls", [*FOREIGN, OSError, PermissionError, TimeoutError, ModuleNotFoundError])
def test_describe_error_misses_no_foreign_class(cls: type[Exception]) -> None:
    assert any(f"{base.__module__}.{base.__qualname__}" in SENTENCES for base in cls.__mro__)


@pytest.mark.parametrize("cls", OWN)
def test_describe_error_does_not_claim_a_defect_of_bench(cls: type[Exception]) -> None:
    assert describe_error(cls("'run_id'"), URI) is None


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (requests.ReadTimeout(), "the server does not answer in time"),
        (requests.ConnectionError("HTTPConnectionPool(...)"), "the server cannot be reached (ConnectionError)"),
        (
            NOT_FOUND,
            "the server answers: NOT_FOUND: no run",
        ),
        (mlflow.exceptions.MlflowException("first line\nsecond line"), "first line"),
        (sqlite3.OperationalError("database is locked"), "database is locked"),
        (OSError(28, "No space left on device", "/a/b"), "No space left on device: /a/b"),
        (OSError("no number"), "no number"),
        (mlflow.exceptions.MlflowException(""), "MlflowException"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "a file in it is not UTF-8 text"),
        (mlflow.exceptions.MlflowException("x" * 9000), "x" * MAX_LENGTH),
        (mlflow.exceptions.MlflowException("no http://you:hidden@there"), "no http://***@there"),
    ],
)
def test_describe_error_is_one_line(error: Exception, sentence: str) -> None:
    assert describe_error(error, URI) == sentence


def test_describe_error_names_the_command_that_upgrades_a_database() -> None:
    error = mlflow.exceptions.MlflowException("Detected out-of-date schema. Run mlflow db upgrade <database_uri>.")
    assert str(describe_error(error, URI)).endswith("mlflow db upgrade http://***@host")


@pytest.mark.parametrize(
    "message",
    [
        "Can't locate revision identified by 'ffffffffffff'",
        "Detected out-of-date database schema (found version ffffffffffff, but expected 1). Run 'mlflow db upgrade'",
    ],
)
def test_describe_error_of_a_newer_database_does_not_advise_an_upgrade_of_it(message: str) -> None:
    sentence = describe_error(mlflow.exceptions.MlflowException(message), URI)
    assert sentence is not None
    assert sentence.startswith("it was written by a newer MLflow than the one that is installed; upgrade MLflow")


def test_describe_error_of_an_older_database_names_the_command_that_upgrades_it() -> None:
    message = (
        "Detected out-of-date database schema (found version 728d730b5ebd, but expected 1). Run 'mlflow db upgrade'"
    )
    assert "mlflow db upgrade http" in str(describe_error(mlflow.exceptions.MlflowException(message), URI))


@pytest.mark.parametrize("code", [401, 403])
def test_describe_error_of_an_account_that_may_not_write_names_the_variables_of_another(code: int) -> None:
    message = f"API request to endpoint /x failed with error code {code} != 200. Response body: 'Permission denied'"
    assert "MLFLOW_TRACKING_USERNAME" in str(describe_error(mlflow.exceptions.MlflowException(message), URI))
