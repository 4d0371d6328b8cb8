"""The file of a sqlite store, without MLflow."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench.errors import TrackingError
from bench.tracking.database import check_writable, file_identity, is_accepted, remember_accepted


def with_revision(database: Path, revision: str) -> Path:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)")
        connection.execute("DELETE FROM alembic_version")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    return database


class TestCheckWritable:
    def test_a_missing_database_in_a_folder_can_be_created(self, project: Path) -> None:
        check_writable(project / "mlflow.db")

    def test_a_database_can_be_written(self, project: Path) -> None:
        check_writable(with_revision(project / "mlflow.db", "a"))

    def test_a_file_that_is_no_database_is_refused(self, project: Path) -> None:
        (project / "mlflow.db").write_text("this is not a database")
        with pytest.raises(TrackingError, match="is not a sqlite database"):
            check_writable(project / "mlflow.db")

    def test_a_folder_in_place_of_the_file_is_refused(self, project: Path) -> None:
        with pytest.raises(TrackingError, match="is a folder"):
            check_writable(project)

    def test_a_folder_that_does_not_exist_is_refused(self, project: Path) -> None:
        with pytest.raises(TrackingError, match="does not exist"):
            check_writable(project / "nowhere" / "mlflow.db")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_read_only_folder_is_refused(self, project: Path) -> None:
        folder = project / "read-only"
        folder.mkdir(mode=0o500)
        with pytest.raises(TrackingError, match="is read-only for this user"):
            check_writable(folder / "mlflow.db")


def test_file_identity_distinguishes_a_file_from_its_replacement(project: Path) -> None:
    database = project / "mlflow.db"
    assert file_identity(database) is None
    database.touch()
    before = file_identity(database)
    assert before == file_identity(database)
    (project / "new").touch()
    (project / "new").replace(database)
    assert file_identity(database) not in (None, before)


class TestIsAccepted:
    def test_a_database_is_known_to_be_accepted_after_one_of_the_same_tables_was(self, project: Path) -> None:
        first, second = (with_revision(project / name, "a") for name in ("first.db", "second.db"))
        assert not is_accepted(first)
        remember_accepted(first)
        assert is_accepted(second)
        assert not is_accepted(with_revision(second, "b"))

    def test_a_database_without_a_revision_is_never_known(self, project: Path) -> None:
        database = project / "mlflow.db"
        database.touch()
        remember_accepted(database)
        assert not is_accepted(database)
        assert not is_accepted(project / "missing.db")
