"""Which store is in use, and how its URI is shown."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import make_url

from bench.errors import TrackingError
from bench.tracking.uri import (
    _unquotes,
    is_server,
    quote_credentials,
    redact,
    redact_text,
    refuse_old_mlruns,
    resolve_uri,
    sqlite_path,
    store_exists,
)


class TestResolveUri:
    def test_the_default_store_is_made_absolute_in_the_current_folder(self, project: Path) -> None:
        assert resolve_uri(None, project) == f"sqlite:///{project}/mlflow.db"
        assert resolve_uri("sqlite:///sub/x.db", project) == f"sqlite:///{project}/sub/x.db"

    def test_the_environment_names_the_store_unless_an_option_does(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        assert resolve_uri(None, project) == "http://127.0.0.1:1"
        assert resolve_uri("sqlite:///a.db", project) == f"sqlite:///{project}/a.db"

    @pytest.mark.parametrize("uri", ["mlruns", "file:///somewhere/mlruns"])
    def test_a_file_store_is_refused(self, project: Path, uri: str) -> None:
        with pytest.raises(TrackingError, match="is a folder"):
            resolve_uri(uri, project)

    @pytest.mark.parametrize(
        ("uri", "sentence"),
        [
            ("x.db", "is a path; write sqlite:///x.db"),
            ("file:///somewhere/x.sqlite", "is a path; write sqlite:////somewhere/x.sqlite"),
            ("~/x.db", "is a path; write sqlite:////home/me/x.db"),
            ("databricks", "one of Databricks"),
            ("databricks://profile", "one of Databricks"),
            ("sqlite:///:memory:", "names no database file"),
            ("sqlite://", "names no database file"),
            ("sqlite:///file:x.db?uri=true", "names no database file"),
        ],
    )
    def test_what_is_no_store_is_refused_with_what_to_write(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, uri: str, sentence: str
    ) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        with pytest.raises(TrackingError) as caught:
            resolve_uri(uri, project)
        assert sentence in str(caught.value)

    def test_a_query_of_a_sqlite_uri_stays_and_is_no_part_of_the_path(self, project: Path) -> None:
        uri = resolve_uri("sqlite:///x.db?timeout=5", project)
        assert uri == f"sqlite:///{project}/x.db?timeout=5"
        assert sqlite_path(uri) == project / "x.db"


NAMES = st.text(alphabet="ab %?#&=+;:@'\"\\é~$[]{}", min_size=1, max_size=12).filter(lambda name: name.strip(". "))


@given(name=NAMES)
@example("my%20project")
@example("a%2Fb")
@example("a?b")
@example("x#y.db?mode=ro")
def test_bench_and_sqlalchemy_find_one_file_whatever_its_folder_is_called(name: str) -> None:
    folder = Path("/data") / name
    uri = resolve_uri(None, folder)
    assert sqlite_path(uri) == folder / "mlflow.db"
    assert make_url(uri).database == str(folder / "mlflow.db")
    assert make_url(uri).query == {}


def test_an_older_sqlalchemy_takes_a_path_as_it_is_and_a_question_mark_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _unquotes.cache_clear()
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.0.43")
    try:
        uri = resolve_uri(None, Path("/my%20project"))
        assert (uri, sqlite_path(uri)) == ("sqlite:////my%20project/mlflow.db", Path("/my%20project/mlflow.db"))
        with pytest.raises(TrackingError, match="rename the folder"):
            resolve_uri(None, Path("/a?b"))
    finally:
        _unquotes.cache_clear()


def test_refuse_old_mlruns_names_the_command_that_migrates_them(project: Path) -> None:
    (project / "mlruns" / "0").mkdir(parents=True)
    refuse_old_mlruns(project)
    (project / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    with pytest.raises(TrackingError, match="mlflow migrate-filestore --source"):
        resolve_uri(None, project)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:pw@host:5000/x", "http://***@host:5000/x"),
        ("postgresql://me:p%40w@host/db", "postgresql://***@host/db"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("sqlite:////a@b/c.db", "sqlite:////a@b/c.db"),
        ("http://u:p@ssTAIL@h", "http://***@h"),
        ("http://u:a/b#c?d@h:5000", "http://***@h:5000"),
        ("postgresql://h/db?user=u&password=pw", "postgresql://h/db?user=u&password=***"),
    ],
)
def test_redact_and_redact_text_hide_credentials(uri: str, shown: str) -> None:
    assert redact(uri) == shown
    assert redact_text(f"cannot connect to {uri} now") == f"cannot connect to {shown} now"


CHARACTERS = "aB3:/#?@%&=+ é'\"\\"


@example(":3?")
@given(st.text(CHARACTERS, min_size=3, max_size=12).filter(lambda text: not text[0].isdigit()))
def test_a_password_of_any_characters_reaches_the_server_and_no_message(password: str) -> None:
    secret = f"x{password}x"
    uri = f"http://me:{secret.replace('%', '%25')}@host:5000/base"
    parts = urlsplit(quote_credentials(uri))
    if "@" not in secret or not set("/?#") & set(secret):  # otherwise it may as well be a path with an @
        assert (parts.hostname, parts.port, parts.path) == ("host", 5000, "/base")
        assert unquote(parts.password or "") == secret
    for shown in (redact(uri), redact_text(f"cannot open {uri}", uri), redact_text(f"{secret!r}: {secret}", uri)):
        assert secret not in shown


@pytest.mark.parametrize("uri", ["http://host:5000/a@b", "http://host/a@b", "sqlite:////a@b.db", "http://u:p%40q@h/x"])
def test_quote_credentials_leaves_addresses_without_odd_credentials_as_they_are(uri: str) -> None:
    assert quote_credentials(uri) == uri


def test_store_exists_only_where_there_is_something_to_read(project: Path) -> None:
    uri = f"sqlite:///{project}/mlflow.db"
    assert not store_exists(uri)
    (project / "mlflow.db").touch()
    assert store_exists(uri)
    assert store_exists("http://host")


def test_sqlite_path_and_is_server_distinguish_the_kinds_of_stores() -> None:
    assert sqlite_path("sqlite:////a/b.db") == Path("/a/b.db")
    assert sqlite_path("http://host") is None
    assert is_server("https://host")
    assert not is_server("postgresql://host/db")
