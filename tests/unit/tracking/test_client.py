"""The connection to a store, as far as it works without MLflow."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.errors import TrackingError
from bench.tracking import client
from bench.tracking.client import MAX_TRIES, Connection, check_server


@pytest.fixture
def connection(project: Path) -> Connection:
    """A connection to an empty database, which needs no MLflow."""
    return Connection(f"sqlite:///{project}/mlflow.db")


class Writer:
    """Fails the first few times."""

    def __init__(self, failures: int) -> None:
        self.calls, self._failures = 0, failures

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise TrackingError("a clash")
        return "written"


class TestRetryClashes:
    def test_a_write_that_fails_is_tried_again(self, connection: Connection) -> None:
        writer = Writer(failures=MAX_TRIES - 1)
        assert connection.retry_clashes(writer) == "written"

    def test_the_last_error_is_raised(self, connection: Connection) -> None:
        writer = Writer(failures=MAX_TRIES)
        with pytest.raises(TrackingError, match="a clash"):
            connection.retry_clashes(writer)
        assert writer.calls == MAX_TRIES

    def test_a_server_that_does_not_answer_is_not_asked_again(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "SERVER_TIMEOUT_S", 0.0)
        writer = Writer(failures=1)
        with pytest.raises(TrackingError, match="a clash"):
            connection.retry_clashes(writer)
        assert writer.calls == 1


class TestTranslated:
    def test_a_foreign_error_becomes_one_sentence_with_its_cause(self, connection: Connection) -> None:
        with pytest.raises(TrackingError) as caught, connection.translated("cannot be read"):
            raise OSError(28, "No space left on device")
        assert str(caught.value) == f"the MLflow store {connection.uri} cannot be read: No space left on device"
        assert isinstance(caught.value.__cause__, OSError)

    def test_an_own_error_passes(self, connection: Connection) -> None:
        with pytest.raises(TrackingError, match=r"^own$"), connection.translated("cannot be read"):
            raise TrackingError("own")

    def test_a_defect_of_bench_passes(self, connection: Connection) -> None:
        with pytest.raises(TypeError, match=r"^a defect$"), connection.translated("cannot be read"):
            raise TypeError("a defect")


def test_exclusive_lets_one_in_at_a_time(connection: Connection) -> None:
    inside, entered = threading.Event(), []

    def enter() -> None:
        inside.set()
        with connection.exclusive():
            entered.append("second")

    with connection.exclusive():
        second = threading.Thread(target=enter)
        second.start()
        assert inside.wait(10)
        second.join(timeout=0.2)
        entered.append("first")
    second.join(timeout=10)
    assert entered == ["first", "second"]


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """A server that answers every request with the status in its attribute ``status``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_check_server_reports_a_server_that_is_ill(server: HTTPServer) -> None:
    with pytest.raises(TrackingError, match="answers with HTTP 503; look at its log"):
        check_server(f"http://127.0.0.1:{server.server_port}/")


def test_check_server_reports_that_no_server_answers() -> None:
    with pytest.raises(TrackingError, match="does not answer") as caught:
        Connection("http://someone:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)


class TestTls:
    """A server whose certificate is its own authority's."""

    @pytest.fixture
    def https(self, server: HTTPServer, tmp_path: Path) -> tuple[str, Path]:
        """Its address, and the file of its authority."""
        certificate = tmp_path / "server.pem"
        certificate.write_bytes(own_certificate())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return f"https://someone:secret@127.0.0.1:{server.server_port}", certificate

    def test_an_unknown_certificate_is_refused_with_the_variable_that_names_it(self, https: tuple[str, Path]) -> None:
        with pytest.raises(TrackingError, match="MLFLOW_TRACKING_SERVER_CERT_PATH") as caught:
            check_server(https[0])
        assert "is not trusted" in str(caught.value)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("trust", ["MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_INSECURE_TLS"])
    def test_mlflows_own_variables_are_honoured(
        self, https: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, trust: str
    ) -> None:
        monkeypatch.setenv(trust, str(https[1]) if trust.endswith("PATH") else "true")
        with pytest.raises(TrackingError, match="answers with HTTP 503"):
            check_server(https[0])

    def test_a_missing_file_of_certificates_is_one_sentence(
        self, https: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", "/nowhere/ca.pem")
        with pytest.raises(TrackingError, match=r"ca\.pem"):
            check_server(https[0])


def own_certificate() -> bytes:
    """A key and a certificate for 127.0.0.1 that it signs itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench's test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(pem)


def test_a_connection_to_an_empty_database_leaves_it_empty(connection: Connection, project: Path) -> None:
    assert connection.reader is not None
    assert connection.reader.can_read()
    assert not (project / "mlflow.db").exists() or not (project / "mlflow.db").stat().st_size
