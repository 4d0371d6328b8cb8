"""Fixtures of the tests on real sqlite stores. Their tables are created once and copied, because MLflow takes long."""

import shutil
from pathlib import Path

import pytest
from helpers.mlflow_db import empty_store

from bench.tracking import Store


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them, to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        database = tmp_path_factory.mktemp("tables") / "mlflow.db"
        empty_store(database)
    return database


@pytest.fixture
def database(project: Path, tables: Path) -> Path:
    """The project's database, without runs."""
    return Path(shutil.copy(tables, project / "mlflow.db"))


@pytest.fixture
def store(database: Path) -> Store:
    """The project's store, without runs."""
    return Store(f"sqlite:///{database}")
