"""Data sets that bench downloads: their status, remedy and signature, and when they are fetched."""

import hashlib
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.dataset_files import Small, binary, lay, pickles, publish, small, tables, tar_of
from helpers.web_site import Site, serve

from bench.catalog.datasets import DATASETS
from bench.datasets.download import ORDER
from bench.datasets.source import open_source, require
from bench.errors import DataError
from bench.worker.data import readers
from bench.worker.data.imported import import_dataset

BINARY = "cifar-10-binary.tar.gz"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("BENCH_OFFLINE", "BENCH_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    with serve() as site:
        yield site


@pytest.fixture
def published(site: Site, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A small CIFAR-10 whose only published file is on the site."""
    data = small("cifar10", monkeypatch)
    archive = tar_of(binary(data))
    publish(monkeypatch, "cifar10", {BINARY: archive}, host=site.url)
    site.files = {f"/{BINARY}": archive}
    return data


def test_what_is_there_is_not_downloaded_again(site: Site, published: Small, tmp_path: Path) -> None:
    open_source("cifar10").fetch(tmp_path)
    open_source("cifar10").fetch(tmp_path)
    require(["cifar10", "cifar10"], tmp_path, download=True)
    assert len(site.asked) == 1


def test_a_damaged_archive_is_found_by_a_deep_status_and_replaced_by_fetch(
    site: Site, published: Small, tmp_path: Path
) -> None:
    open_source("cifar10").fetch(tmp_path)
    path = tmp_path / "cifar10" / BINARY
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert open_source("cifar10").status(tmp_path, deep=True).state == "corrupt"
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_truncated_archive_is_found_by_a_quick_status(site: Site, published: Small, tmp_path: Path) -> None:
    open_source("cifar10").fetch(tmp_path)
    path = tmp_path / "cifar10" / BINARY
    path.write_bytes(path.read_bytes()[:-1])
    found = open_source("cifar10").status(tmp_path)
    assert (found.state, "instead of" in found.sentence) == ("corrupt", True)


def test_a_download_that_was_begun_is_incomplete(site: Site, published: Small, tmp_path: Path) -> None:
    assert open_source("cifar10").status(tmp_path).state == "absent"
    lay({f"{BINARY}.part": b"a few bytes"}, tmp_path / "cifar10")
    assert open_source("cifar10").status(tmp_path).state == "incomplete"


def test_offline_asks_neither_mirror_nor_source(
    site: Site, published: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    monkeypatch.setenv("BENCH_MIRROR", f"{site.url}/mirror")
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: connected.append(arguments))
    with pytest.raises(DataError, match="BENCH_OFFLINE is set"):
        open_source("cifar10").fetch(tmp_path)
    with pytest.raises(DataError, match="downloads are disabled"):
        require(["cifar10"], tmp_path, download=True)
    import_dataset("cifar10", lay(binary(published), tmp_path / "mine"), tmp_path)
    require(["cifar10"], tmp_path, download=True)
    assert (connected, site.asked) == ([], [])


def test_data_in_another_format_is_not_downloaded(site: Site, published: Small, tmp_path: Path) -> None:
    lay(pickles(published), tmp_path / "cifar10")
    open_source("cifar10").fetch(tmp_path)
    require(["cifar10"], tmp_path, download=True)
    assert site.asked == []


def test_a_data_folder_that_is_a_file_is_reported(site: Site, published: Small, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(DataError, match="BENCH_DATA"):
        open_source("cifar10").fetch(tmp_path / "home")


def test_imported_arrays_that_were_changed_are_found_by_a_deep_status(published: Small, tmp_path: Path) -> None:
    import_dataset("cifar10", lay(binary(published), tmp_path / "elsewhere"), tmp_path)
    file = tmp_path / "cifar10" / "imported" / "test_images.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    found = open_source("cifar10").status(tmp_path, deep=True)
    assert found.state == "corrupt"
    assert "--from PATH" in found.sentence


def test_a_changed_pickle_is_found_by_its_published_checksum(
    cifar: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tree = pickles(cifar)
    md5 = {name.rpartition("/")[2]: hashlib.md5(content).hexdigest() for name, content in tree.items()}
    monkeypatch.setitem(DATASETS, "cifar10", replace(DATASETS["cifar10"], file_md5s=md5))
    home = lay(tree, tmp_path / "cifar10").parent
    assert open_source("cifar10").status(home, deep=True).state == "ready"
    file = home / "cifar10" / "cifar-10-batches-py" / "data_batch_5"
    file.write_bytes(file.read_bytes().replace(b"data", b"dada"))
    assert "data_batch_5 has MD5" in open_source("cifar10").status(home, deep=True).sentence
    with pytest.raises(DataError, match="data_batch_5 has MD5"):
        readers.cifar10(home)


def test_the_remedy_names_the_command_the_import_and_the_address(tmp_path: Path) -> None:
    remedy = open_source("cifar10").remedy(tmp_path)
    assert remedy.splitlines()[:2] == [
        "Get it with: bench data get cifar10",
        "  or, if you already have it: bench data get cifar10 --from PATH",
    ]
    assert f"curl -L --create-dirs -o {tmp_path / 'cifar10' / BINARY} https://www.cs.toronto.edu" in remedy


class TestSignature:
    """What the names of packs depend on: these must not change, or every pack would be decoded again."""

    def test_published_files_are_known_by_their_checksums(self, site: Site, published: Small, tmp_path: Path) -> None:
        source = open_source("cifar10")
        assert source.signature(tmp_path) == [ORDER]
        source.fetch(tmp_path)
        assert source.signature(tmp_path) == [ORDER, f"{BINARY}|{source.archive_sets[0][0].checksum}"]

    @pytest.mark.parametrize("folder", ["imported", "adopted"])
    def test_imported_arrays_are_known_by_their_digest(self, cifar: Small, tmp_path: Path, folder: str) -> None:
        card = import_dataset("cifar10", lay(binary(cifar), tmp_path / "elsewhere"), tmp_path)
        (tmp_path / "cifar10" / "imported").rename(tmp_path / "cifar10" / folder)
        assert open_source("cifar10").signature(tmp_path) == [ORDER, "adopted", card["digest"]]

    def test_other_files_are_known_by_size_and_time(self, cifar: Small, tmp_path: Path) -> None:
        lay(tables(cifar), tmp_path / "cifar10")
        before = open_source("cifar10").signature(tmp_path)
        assert len(before) == 3
        file = next((tmp_path / "cifar10").rglob("train*.parquet"))
        os.utime(file, ns=(0, 0))
        assert open_source("cifar10").signature(tmp_path) != before
