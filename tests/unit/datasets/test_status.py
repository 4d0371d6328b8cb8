"""Fetching from sources that fail: a real server on the loopback that does what bad hosts, proxies and networks do."""

import http.server
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from helpers.dataset_files import Small, binary, lay, pickles, publish, small, tables, tar_of

from bench.catalog.datasets import DATASETS
from bench.datasets import transfer
from bench.datasets.source import open_source, require
from bench.datasets.stored import locate
from bench.errors import DataError
from bench.worker.data import readers
from bench.worker.data.imported import import_dataset
from bench.worker.data.pack import content_digest

BINARY, PYTHON = "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"
TABLES = ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the site is told to, one way after the other; then as a good server does."""

    site: "Site"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.site.asked.append((path, self.headers.get("Range", "")))
        content = self.site.files.get(path)
        if content is None:
            self.refuse(404)
            return
        ways = self.site.ways.get(path, [])
        (ways.pop(0) if len(ways) > 1 else ways[0] if ways else well)(self, content)

    @property
    def first(self) -> int:
        """The first byte that is asked for."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])

    def head(self, code: int, length: int, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def refuse(self, code: int) -> None:
        self.head(code, 0)

    def log_message(self, *args: object) -> None:
        pass


Way = Callable[[Handler, bytes], None]


def well(handler: Handler, content: bytes) -> None:
    first = handler.first
    if first >= len(content) > 0 and first:
        handler.head(416, 0, Content_Range=f"bytes */{len(content)}")
        return
    if first:
        handler.head(206, len(content) - first, Content_Range=f"bytes {first}-{len(content) - 1}/{len(content)}")
    else:
        handler.head(200, len(content))
    handler.wfile.write(content[first:])


def truncates(handler: Handler, content: bytes) -> None:
    """Announces all, sends the half of what is left, closes."""
    first = handler.first
    handler.head(206 if first else 200, len(content) - first, Content_Range=f"bytes {first}-{len(content) - 1}/*")
    handler.wfile.write(content[first : first + (len(content) - first) // 2])
    handler.close_connection = True


def goes_away(handler: Handler, content: bytes) -> None:
    """Sends a half and resets the connection."""
    truncates(handler, content)
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def stalls(handler: Handler, content: bytes) -> None:
    """Sends a half and then nothing, with the connection open."""
    truncates(handler, content)
    handler.wfile.flush()
    handler.site.over.wait(20)


def says_too_little(handler: Handler, content: bytes) -> None:
    """Announces a half and sends it: to the client that is a whole answer."""
    first = handler.first
    part = content[first : first + (len(content) - first) // 2 + 1]
    handler.head(206 if first else 200, len(part), Content_Range=f"bytes {first}-{first + len(part) - 1}/*")
    handler.wfile.write(part)


def says_too_much(handler: Handler, content: bytes) -> None:
    """Announces more than there is, and closes after what there is."""
    first = handler.first
    handler.head(206 if first else 200, len(content) - first + 1000, Content_Range=f"bytes {first}-*/*")
    handler.wfile.write(content[first:])
    handler.close_connection = True


def sends_other_bytes(handler: Handler, content: bytes) -> None:
    well(handler, content[:-1] + bytes([content[-1] ^ 1]))


def sends_a_page(handler: Handler, content: bytes) -> None:
    """The sign-in page of a hotel."""
    page = b"<html>sign in</html>"
    handler.head(200, len(page), Content_Type="text/html")
    handler.wfile.write(page)


def ignores_ranges(handler: Handler, content: bytes) -> None:
    handler.head(200, len(content))
    handler.wfile.write(content)


def answers_another_range(handler: Handler, content: bytes) -> None:
    handler.head(206, len(content), Content_Range=f"bytes 0-{len(content) - 1}/{len(content)}")
    handler.wfile.write(content)


def knows_no_range(handler: Handler, content: bytes) -> None:
    handler.refuse(416) if handler.first else well(handler, content)


def is_overloaded(handler: Handler, content: bytes) -> None:
    handler.head(503, 0, Retry_After="3600")


def has_nothing(handler: Handler, content: bytes) -> None:
    handler.refuse(404)


def trickles(handler: Handler, content: bytes) -> None:
    """A chunk now and then."""
    first = handler.first
    handler.head(206 if first else 200, len(content) - first, Content_Range=f"bytes {first}-{len(content) - 1}/*")
    for place in range(first, len(content), transfer.CHUNK):
        handler.wfile.write(content[place : place + transfer.CHUNK])
        if handler.site.over.wait(0.15):
            return


@dataclass
class Site:
    """A web site of a few files, and how it answers."""

    files: dict[str, bytes] = field(default_factory=dict)
    ways: dict[str, list[Way]] = field(default_factory=dict)
    """How a path is answered, one request after the other; the last way stays."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Paths and Range headers."""
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("BENCH_OFFLINE", "BENCH_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(transfer, "TIMEOUT_S", (2, 0.3))
    found = Site()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": found}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that go away are the point here
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cifar(site: Site, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A small CIFAR-10 that the site has as binary archive, python archive and parquet files."""
    data = small("cifar10", monkeypatch)
    parquet = {name.rpartition("/")[2]: content for name, content in tables(data).items()}
    forms = [{BINARY: tar_of(binary(data))}, {PYTHON: tar_of(pickles(data))}, parquet]
    publish(monkeypatch, "cifar10", *forms, host=site.url)
    site.files = {f"/{name}": content for form in forms for name, content in form.items()}
    return data


def digest(home: Path) -> str:
    return content_digest(readers.cifar10(home))


# --- One bad source --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way", [truncates, goes_away, stalls, says_too_little, says_too_much, sends_other_bytes, sends_a_page]
)
def test_a_source_that_fails_once_is_resumed_or_followed_by_another_form(
    site: Site, cifar: Small, tmp_path: Path, way: Way
) -> None:
    site.ways[f"/{BINARY}"] = [way, well]
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"
    assert len(readers.cifar10(tmp_path).train_labels) == 20
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("way", [truncates, goes_away, stalls, says_too_little])
def test_a_broken_answer_is_resumed_where_it_broke(site: Site, cifar: Small, tmp_path: Path, way: Way) -> None:
    site.ways[f"/{BINARY}"] = [way, well]
    open_source("cifar10").fetch(tmp_path)
    assert site.paths() == [f"/{BINARY}"] * 2
    assert site.asked[1][1].startswith("bytes=")


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (stalls, "nothing for 0.3 s"),
        (sends_other_bytes, "checksum mismatch: the response has SHA256"),
        (sends_a_page, "checksum mismatch: the response has 20 bytes instead of"),
        (is_overloaded, "HTTP 503 Service Unavailable"),
        (has_nothing, "HTTP 404 Not Found"),
    ],
)
def test_a_source_that_never_gives_the_file_is_named_with_its_reason(
    site: Site, cifar: Small, tmp_path: Path, way: Way, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TRIES", 2)
    for path in site.files:
        site.ways[path] = [way]
    with pytest.raises(DataError) as caught:
        open_source("cifar10").fetch(tmp_path)
    assert reason in str(caught.value)
    for name in (BINARY, PYTHON):
        assert f"{site.url}/{name}: " in str(caught.value)
    assert "bench data get cifar10 --from PATH" in str(caught.value)
    assert open_source("cifar10").status(tmp_path).state in ("absent", "incomplete")
    assert locate("cifar10", tmp_path) is None


def test_a_server_that_answers_with_another_range_is_left_for_the_next(
    site: Site, cifar: Small, tmp_path: Path
) -> None:
    lay({f"{BINARY}.part": site.files[f"/{BINARY}"][:100]}, tmp_path / "cifar10")
    site.ways[f"/{BINARY}"] = [answers_another_range]
    open_source("cifar10").fetch(tmp_path)
    assert site.paths() == [f"/{BINARY}", f"/{PYTHON}"]


@pytest.mark.parametrize("way", [ignores_ranges, knows_no_range])
def test_a_server_without_ranges_gives_the_file_from_its_beginning(
    site: Site, cifar: Small, tmp_path: Path, way: Way
) -> None:
    lay({f"{BINARY}.part": site.files[f"/{BINARY}"][:1000]}, tmp_path / "cifar10")
    site.ways[f"/{BINARY}"] = [way]
    open_source("cifar10").fetch(tmp_path)
    assert set(site.paths()) == {f"/{BINARY}"}
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_part_that_was_whole_needs_nothing_more(site: Site, cifar: Small, tmp_path: Path) -> None:
    lay({f"{BINARY}.part": site.files[f"/{BINARY}"]}, tmp_path / "cifar10")
    open_source("cifar10").fetch(tmp_path)
    assert site.asked == []
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_file_of_unknown_size_is_known_by_its_checksum_alone(
    site: Site, cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DATASETS["cifar10"]
    unknown = replace(spec, archives=tuple(replace(each, size=0) for each in spec.archives), alternatives=())
    monkeypatch.setitem(DATASETS, "cifar10", unknown)
    lay({f"{BINARY}.part": site.files[f"/{BINARY}"]}, tmp_path / "cifar10")
    open_source("cifar10").fetch(tmp_path)
    assert [wanted for _, wanted in site.asked] == [f"bytes={len(site.files[f'/{BINARY}'])}-"]
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


# --- Several sources -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("down", "taken"), [([BINARY], PYTHON), ([BINARY, PYTHON], TABLES[1])])
def test_another_form_is_fetched_when_the_official_one_is_down_and_has_the_same_digest(
    site: Site, cifar: Small, tmp_path: Path, down: list[str], taken: str
) -> None:
    open_source("cifar10").fetch(tmp_path / "official")
    for name in down:
        site.ways[f"/{name}"] = [is_overloaded]
    open_source("cifar10").fetch(tmp_path / "other")
    assert site.paths()[-1] == f"/{taken}"
    assert digest(tmp_path / "other") == digest(tmp_path / "official")


def test_half_of_a_form_is_not_taken_for_the_data_set(site: Site, cifar: Small, tmp_path: Path) -> None:
    for name in (BINARY, PYTHON, TABLES[1]):
        site.ways[f"/{name}"] = [has_nothing]
    with pytest.raises(DataError, match=TABLES[1]):
        open_source("cifar10").fetch(tmp_path)
    assert (tmp_path / "cifar10" / TABLES[0]).is_file()
    assert open_source("cifar10").status(tmp_path).state == "incomplete"


@pytest.mark.parametrize("held", [BINARY, PYTHON])
def test_the_mirror_is_asked_for_every_form_before_the_public_sources(
    site: Site, cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setenv("BENCH_MIRROR", f"{site.url}/mirror")
    site.files[f"/mirror/cifar10/{held}"] = site.files[f"/{held}"]
    open_source("cifar10").fetch(tmp_path)
    assert all(path.startswith("/mirror/cifar10/") for path in site.paths())


def test_a_mirror_with_other_bytes_is_followed_by_the_public_source(
    site: Site, cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_MIRROR", f"{site.url}/mirror")
    site.files[f"/mirror/cifar10/{BINARY}"] = b"not this"
    open_source("cifar10").fetch(tmp_path)
    assert site.paths()[-1] == f"/{BINARY}"
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_trickling_source_is_left_for_a_quick_one(
    site: Site, cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SLOW_AFTER_S", 0.1)
    monkeypatch.setattr(transfer, "SLOW_BYTES_PER_S", 10_000_000)
    site.ways[f"/{BINARY}"] = [trickles]
    open_source("cifar10").fetch(tmp_path)
    assert site.paths() == [f"/{BINARY}", f"/{PYTHON}"]


def test_a_trickling_source_is_taken_when_no_other_gives_the_data(
    site: Site, cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SLOW_AFTER_S", 0.1)
    monkeypatch.setattr(transfer, "SLOW_BYTES_PER_S", 10_000_000)
    for path in site.files:
        site.ways[path] = [trickles if path == f"/{BINARY}" else has_nothing]
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


# --- No network ------------------------------------------------------------------------------------------------------


def test_offline_asks_neither_mirror_nor_source(
    site: Site, cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    monkeypatch.setenv("BENCH_MIRROR", f"{site.url}/mirror")
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: connected.append(arguments))
    with pytest.raises(DataError, match="BENCH_OFFLINE is set"):
        open_source("cifar10").fetch(tmp_path)
    with pytest.raises(DataError, match="downloads are disabled"):
        require(["cifar10"], tmp_path, download=True)
    import_dataset("cifar10", lay(binary(cifar), tmp_path / "mine"), tmp_path)
    require(["cifar10"], tmp_path, download=True)
    assert (connected, site.asked) == ([], [])


def test_data_that_lies_there_in_another_form_is_not_fetched(site: Site, cifar: Small, tmp_path: Path) -> None:
    lay(pickles(cifar), tmp_path / "cifar10")
    open_source("cifar10").fetch(tmp_path)
    require(["cifar10"], tmp_path, download=True)
    assert site.asked == []


# --- Two at once, and ends -------------------------------------------------------------------------------------------

FETCH = """
import dataclasses, pathlib, sys
from bench.catalog import datasets
from bench.datasets.source import open_source
url, sha256, size, home = sys.argv[1:]
archive = datasets.Archive(name='cifar-10-binary.tar.gz', urls=(url,), md5='', sha256=sha256, size=int(size))
spec = dataclasses.replace(datasets.DATASETS['cifar10'], archives=(archive,), alternatives=())
datasets.DATASETS['cifar10'] = spec
open_source('cifar10').fetch(pathlib.Path(home))
"""


def process(home: Path) -> "subprocess.Popen[bytes]":
    [archive] = DATASETS["cifar10"].archives
    arguments = [archive.urls[0], archive.sha256, str(archive.size), str(home)]
    return subprocess.Popen([sys.executable, "-c", FETCH, *arguments])


def test_two_processes_fetch_once_though_the_connection_breaks(site: Site, cifar: Small, tmp_path: Path) -> None:
    site.ways[f"/{BINARY}"] = [truncates, truncates, well]
    processes = [process(tmp_path) for _ in range(2)]
    assert [each.wait(60) for each in processes] == [0, 0]
    assert len(site.asked) == 3


def test_a_fetch_that_is_killed_is_continued_by_the_next(site: Site, cifar: Small, tmp_path: Path) -> None:
    site.ways[f"/{BINARY}"] = [trickles, well]
    first = process(tmp_path)
    part = tmp_path / "cifar10" / f"{BINARY}.part"
    while not (part.exists() and part.stat().st_size):
        time.sleep(0.01)
    first.kill()
    first.wait()
    assert locate("cifar10", tmp_path) is None
    assert open_source("cifar10").status(tmp_path).state == "incomplete"
    open_source("cifar10").fetch(tmp_path)
    assert site.asked[1][1].startswith("bytes=")


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real file system of 32 kB, less than any of the archives."""
    folder = tmp_path_factory.mktemp("disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_during_a_download_is_a_sentence_and_nothing_counts(
    site: Site, cifar: Small, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)  # the room was there when it was asked for
    with pytest.raises(DataError, match=r"cannot be written to .*No space left on device; BENCH_DATA"):
        open_source("cifar10").fetch(small_disk)
    assert locate("cifar10", small_disk) is None
    assert open_source("cifar10").status(small_disk).state == "incomplete"


def test_a_data_folder_without_permission_is_a_sentence(site: Site, cifar: Small, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if is_root := os.geteuid() == 0:  # root may write everywhere, so another user tries
        for folder in (tmp_path, *tmp_path.parents[:3]):
            folder.chmod(0o755)
        os.seteuid(65534)
    else:
        home.chmod(0o555)
    try:
        with pytest.raises(DataError, match=r"cannot be written to .*Permission denied; BENCH_DATA"):
            open_source("cifar10").fetch(home)
    finally:
        if is_root:
            os.seteuid(0)
        home.chmod(0o755)
    assert site.asked == []
