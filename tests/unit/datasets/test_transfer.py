"""Downloading from sources that fail, one or several, and by several processes at once."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.dataset_files import Small, binary, lay, pickles, publish, small, tables, tar_of
from helpers.users import open_folder, ordinary_user
from helpers.web_site import (
    Site,
    Way,
    answers_another_range,
    goes_away,
    has_nothing,
    ignores_ranges,
    is_overloaded,
    knows_no_range,
    says_too_little,
    says_too_much,
    sends_a_page,
    sends_other_bytes,
    serve,
    stalls,
    trickles,
    truncates,
    well,
)

from bench.catalog.datasets import DATASETS
from bench.datasets import transfer
from bench.datasets.source import open_source
from bench.datasets.stored import locate
from bench.errors import DataError
from bench.worker.data import readers
from bench.worker.data.pack import content_digest

BINARY, PYTHON = "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"
TABLES = ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("BENCH_OFFLINE", "BENCH_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(transfer, "TIMEOUT_S", (2, 0.3))
    with serve() as site:
        yield site


@pytest.fixture
def published(site: Site, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A small CIFAR-10 that the site has as binary archive, python archive and parquet files."""
    data = small("cifar10", monkeypatch)
    parquet = {name.rpartition("/")[2]: content for name, content in tables(data).items()}
    copies = [{BINARY: tar_of(binary(data))}, {PYTHON: tar_of(pickles(data))}, parquet]
    publish(monkeypatch, "cifar10", *copies, host=site.url)
    site.files = {f"/{name}": content for copy in copies for name, content in copy.items()}
    return data


def digest(home: Path) -> str:
    return content_digest(readers.cifar10(home))


@pytest.mark.parametrize(
    "way", [truncates, goes_away, stalls, says_too_little, says_too_much, sends_other_bytes, sends_a_page]
)
def test_a_source_that_fails_once_is_resumed_or_followed_by_another_copy(
    site: Site, published: Small, tmp_path: Path, way: Way
) -> None:
    site.ways[f"/{BINARY}"] = [way, well]
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"
    assert len(readers.cifar10(tmp_path).train_labels) == 20
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("way", [truncates, goes_away, stalls, says_too_little])
def test_a_broken_answer_is_resumed_where_it_broke(site: Site, published: Small, tmp_path: Path, way: Way) -> None:
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
    site: Site, published: Small, tmp_path: Path, way: Way, reason: str, monkeypatch: pytest.MonkeyPatch
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


def test_a_server_that_answers_with_another_range_is_skipped(site: Site, published: Small, tmp_path: Path) -> None:
    lay({f"{BINARY}.part": site.files[f"/{BINARY}"][:100]}, tmp_path / "cifar10")
    site.ways[f"/{BINARY}"] = [answers_another_range]
    open_source("cifar10").fetch(tmp_path)
    assert site.paths() == [f"/{BINARY}", f"/{PYTHON}"]


@pytest.mark.parametrize("way", [ignores_ranges, knows_no_range])
def test_a_server_without_ranges_gives_the_file_from_its_beginning(
    site: Site, published: Small, tmp_path: Path, way: Way
) -> None:
    lay({f"{BINARY}.part": site.files[f"/{BINARY}"][:1000]}, tmp_path / "cifar10")
    site.ways[f"/{BINARY}"] = [way]
    open_source("cifar10").fetch(tmp_path)
    assert set(site.paths()) == {f"/{BINARY}"}
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_part_that_is_complete_needs_no_request(site: Site, published: Small, tmp_path: Path) -> None:
    lay({f"{BINARY}.part": site.files[f"/{BINARY}"]}, tmp_path / "cifar10")
    open_source("cifar10").fetch(tmp_path)
    assert site.asked == []
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_file_of_unknown_size_is_checked_by_its_checksum_alone(
    site: Site, published: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DATASETS["cifar10"]
    unknown = replace(spec, archives=tuple(replace(each, size=0) for each in spec.archives), alternatives=())
    monkeypatch.setitem(DATASETS, "cifar10", unknown)
    lay({f"{BINARY}.part": site.files[f"/{BINARY}"]}, tmp_path / "cifar10")
    open_source("cifar10").fetch(tmp_path)
    assert [wanted for _, wanted in site.asked] == [f"bytes={len(site.files[f'/{BINARY}'])}-"]
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


@pytest.mark.parametrize(("down", "taken"), [([BINARY], PYTHON), ([BINARY, PYTHON], TABLES[1])])
def test_another_copy_is_downloaded_when_the_official_one_is_down_with_equal_digest(
    site: Site, published: Small, tmp_path: Path, down: list[str], taken: str
) -> None:
    open_source("cifar10").fetch(tmp_path / "official")
    for name in down:
        site.ways[f"/{name}"] = [is_overloaded]
    open_source("cifar10").fetch(tmp_path / "other")
    assert site.paths()[-1] == f"/{taken}"
    assert digest(tmp_path / "other") == digest(tmp_path / "official")


def test_half_of_a_copy_is_not_the_data_set(site: Site, published: Small, tmp_path: Path) -> None:
    for name in (BINARY, PYTHON, TABLES[1]):
        site.ways[f"/{name}"] = [has_nothing]
    with pytest.raises(DataError, match=TABLES[1]):
        open_source("cifar10").fetch(tmp_path)
    assert (tmp_path / "cifar10" / TABLES[0]).is_file()
    assert open_source("cifar10").status(tmp_path).state == "incomplete"


@pytest.mark.parametrize("held", [BINARY, PYTHON])
def test_the_mirror_is_asked_for_every_copy_before_the_public_sources(
    site: Site, published: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setenv("BENCH_MIRROR", f"{site.url}/mirror")
    site.files[f"/mirror/cifar10/{held}"] = site.files[f"/{held}"]
    open_source("cifar10").fetch(tmp_path)
    assert all(path.startswith("/mirror/cifar10/") for path in site.paths())


def test_a_mirror_with_other_bytes_is_followed_by_the_public_source(
    site: Site, published: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_MIRROR", f"{site.url}/mirror")
    site.files[f"/mirror/cifar10/{BINARY}"] = b"not this"
    open_source("cifar10").fetch(tmp_path)
    assert site.paths()[-1] == f"/{BINARY}"
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_slow_source_is_left_for_a_fast_one(
    site: Site, published: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SLOW_AFTER_S", 0.1)
    monkeypatch.setattr(transfer, "SLOW_BYTES_PER_S", 10_000_000)
    site.ways[f"/{BINARY}"] = [trickles]
    open_source("cifar10").fetch(tmp_path)
    assert site.paths() == [f"/{BINARY}", f"/{PYTHON}"]


def test_a_slow_source_is_used_when_no_other_serves_the_data(
    site: Site, published: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SLOW_AFTER_S", 0.1)
    monkeypatch.setattr(transfer, "SLOW_BYTES_PER_S", 10_000_000)
    for path in site.files:
        site.ways[path] = [trickles if path == f"/{BINARY}" else has_nothing]
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


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


def test_two_processes_download_once_though_the_connection_breaks(site: Site, published: Small, tmp_path: Path) -> None:
    site.ways[f"/{BINARY}"] = [truncates, truncates, well]
    processes = [process(tmp_path) for _ in range(2)]
    assert [each.wait(60) for each in processes] == [0, 0]
    assert len(site.asked) == 3


def test_a_download_that_is_killed_is_resumed_by_the_next(site: Site, published: Small, tmp_path: Path) -> None:
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


def test_a_disk_that_fills_during_a_download_is_a_sentence_and_nothing_is_ready(
    site: Site, published: Small, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)  # the room was there when it was asked for
    with pytest.raises(DataError, match=r"cannot be written to .*No space left on device; set BENCH_DATA"):
        open_source("cifar10").fetch(small_disk)
    assert locate("cifar10", small_disk) is None
    assert open_source("cifar10").status(small_disk).state == "incomplete"


def test_a_data_folder_without_permission_is_a_sentence(site: Site, published: Small) -> None:
    with open_folder() as home:
        home.chmod(0o555)
        with (
            ordinary_user(),
            pytest.raises(DataError, match=r"cannot be written to .*Permission denied; set BENCH_DATA"),
        ):
            open_source("cifar10").fetch(home)
        home.chmod(0o755)
    assert site.asked == []


def test_every_source_is_tried_and_named_with_its_reason(
    site: Site, published: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, gone = f"http://127.0.0.1:9/{BINARY}", f"{site.url}/gone/{BINARY}"
    spec = DATASETS["cifar10"]
    unreachable = replace(spec, archives=(replace(spec.archives[0], urls=(dead, gone)),), alternatives=())
    monkeypatch.setitem(DATASETS, "cifar10", unreachable)
    with pytest.raises(DataError) as caught:
        open_source("cifar10").fetch(tmp_path)
    text = str(caught.value)
    assert f"{dead}: " in text
    assert "refused" in text
    assert f"{gone}: HTTP 404 Not Found" in text
    assert str(tmp_path / "cifar10") in text
    assert "curl -L" in text


def test_progress_reports_the_bytes_of_each_file(site: Site, published: Small, tmp_path: Path) -> None:
    events: list[tuple[str, int, int]] = []
    open_source("cifar10").fetch(tmp_path, lambda *event: events.append(event))
    size = len(site.files[f"/{BINARY}"])
    assert events[-1] == (BINARY, size, size)
    assert (tmp_path / "cifar10" / BINARY).read_bytes() == site.files[f"/{BINARY}"]


def test_a_part_with_wrong_bytes_is_deleted_and_downloaded_again(site: Site, published: Small, tmp_path: Path) -> None:
    lay({f"{BINARY}.part": b"x" * 1000}, tmp_path / "cifar10")
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_disk_that_is_too_small_is_reported_before_the_first_byte(
    site: Site, published: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DATASETS["cifar10"]
    huge = replace(spec, archives=(replace(spec.archives[0], size=10**18),), alternatives=())
    monkeypatch.setitem(DATASETS, "cifar10", huge)
    with pytest.raises(DataError, match="MB are free"):
        open_source("cifar10").fetch(tmp_path)
    assert site.asked == []
