"""Fetching from real servers on the loopback, and the checks of what lies on disk."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from PIL import Image

from bench.catalog.datasets import DATASETS, Archive, DatasetSpec
from bench.datasets.image_folder import open_image_folder
from bench.datasets.source import open_source, require
from bench.errors import DataError

CONTENT = bytes(range(256)) * 800


@dataclass
class Site:
    """A web site of a few files that can break off, and that notes what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Paths and Range headers."""
    url: str = ""


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.site.asked.append((self.path, wanted))
        content = self.site.files.get(self.path)
        if content is None:
            self.send_error(404, "Not Found")
            return
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first : first + self.site.cuts.pop(0)] if self.site.cuts else content[first:])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("BENCH_OFFLINE", "BENCH_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    found = Site()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": found}))
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def spec_of(*urls: str, content: bytes = CONTENT) -> DatasetSpec:
    archive = Archive(name="small.bin", urls=urls, md5=hashlib.md5(content).hexdigest(), size=len(content))
    return replace(DATASETS["cifar10"], archives=(archive,), alternatives=())


@pytest.fixture
def small(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The catalog's cifar10 is one file of the site."""
    site.files["/small.bin"] = CONTENT
    monkeypatch.setitem(DATASETS, "cifar10", spec_of(f"{site.url}/small.bin"))
    return site


def test_an_archive_is_fetched_whole_and_progress_is_told(small: Site, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    open_source("cifar10").fetch(tmp_path, lambda *event: told.append(event))
    assert (tmp_path / "cifar10" / "small.bin").read_bytes() == CONTENT
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"
    assert told[-1] == ("small.bin", len(CONTENT), len(CONTENT))


def test_what_is_there_is_not_fetched_again(small: Site, tmp_path: Path) -> None:
    open_source("cifar10").fetch(tmp_path)
    open_source("cifar10").fetch(tmp_path)
    require(["cifar10", "cifar10"], tmp_path, download=True)
    assert len(small.asked) == 1


def test_a_cut_connection_goes_on_where_it_broke(small: Site, tmp_path: Path) -> None:
    small.cuts = [50_000, 70_000]
    open_source("cifar10").fetch(tmp_path)
    ranges = [wanted for _, wanted in small.asked]
    assert ranges == ["", "bytes=49152-", "bytes=114688-"]  # whole chunks are kept
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_part_of_an_earlier_process_is_continued(small: Site, tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "small.bin.part").write_bytes(CONTENT[:1000])
    assert open_source("cifar10").status(tmp_path).state == "incomplete"
    open_source("cifar10").fetch(tmp_path)
    assert small.asked == [("/small.bin", "bytes=1000-")]


def test_a_part_with_wrong_bytes_is_thrown_away_and_fetched_anew(small: Site, tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "small.bin.part").write_bytes(b"x" * 1000)
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


@pytest.mark.parametrize("wrong", [CONTENT[::-1], CONTENT + b"more", b"<html>sign in</html>"])
def test_wrong_bytes_are_refused_and_nothing_counts_as_ready(small: Site, tmp_path: Path, wrong: bytes) -> None:
    small.files["/small.bin"] = wrong
    with pytest.raises(DataError, match="checksum mismatch") as caught:
        open_source("cifar10").fetch(tmp_path)
    assert "bench data get cifar10" in str(caught.value)
    assert open_source("cifar10").status(tmp_path).state == "absent"
    assert list((tmp_path / "cifar10").iterdir()) == []


def test_a_damaged_archive_is_found_by_verify_and_mended_by_fetch(small: Site, tmp_path: Path) -> None:
    open_source("cifar10").fetch(tmp_path)
    path = tmp_path / "cifar10" / "small.bin"
    path.write_bytes(CONTENT[:-1] + b"?")
    assert open_source("cifar10").status(tmp_path, deep=True).state == "corrupt"
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_a_truncated_archive_is_seen_at_a_quick_look(small: Site, tmp_path: Path) -> None:
    open_source("cifar10").fetch(tmp_path)
    path = tmp_path / "cifar10" / "small.bin"
    path.write_bytes(CONTENT[:-1])
    found = open_source("cifar10").status(tmp_path)
    assert (found.state, f"instead of {len(CONTENT):,}" in found.sentence) == ("corrupt", True)


def test_every_source_is_tried_and_named_with_its_reason(
    small: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, gone = "http://127.0.0.1:9/small.bin", f"{small.url}/gone.bin"
    monkeypatch.setitem(DATASETS, "cifar10", spec_of(dead, gone))
    with pytest.raises(DataError) as caught:
        open_source("cifar10").fetch(tmp_path)
    text = str(caught.value)
    assert f"{dead}: " in text
    assert "refused" in text
    assert f"{gone}: HTTP 404 Not Found" in text
    assert str(tmp_path / "cifar10") in text
    assert "curl -L" in text


def test_a_dead_source_is_followed_by_the_next(small: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "cifar10", spec_of("http://127.0.0.1:9/small.bin", f"{small.url}/small.bin"))
    open_source("cifar10").fetch(tmp_path)
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"


def test_the_mirror_is_asked_first(small: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.files["/mirror/cifar10/small.bin"] = CONTENT
    monkeypatch.setenv("BENCH_MIRROR", f"{small.url}/mirror/")
    open_source("cifar10").fetch(tmp_path)
    assert [path for path, _ in small.asked] == ["/mirror/cifar10/small.bin"]


def test_offline_touches_no_network(small: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    with pytest.raises(DataError, match="bench data get cifar10"):
        open_source("cifar10").fetch(tmp_path)
    with pytest.raises(DataError, match="downloads are disabled"):
        require(["cifar10"], tmp_path, download=True)
    assert small.asked == []


def test_no_download_names_all_missing_sets_at_once(small: Site, tmp_path: Path) -> None:
    names = ["digits", "cifar10", "cifar100", f"folder:{tmp_path / 'flowers'}"]
    with pytest.raises(DataError) as caught:
        require(names, tmp_path, download=False)
    text = str(caught.value)
    for part in ("bench data get cifar10\n", "bench data get cifar100", str(tmp_path / "cifar100"), "flowers", "val/"):
        assert part in text
    assert small.asked == []


def test_nothing_is_fetched_when_another_set_cannot_be_had(small: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="imagenet is not here"):
        require(["cifar10", "imagenet"], tmp_path, download=True)
    assert small.asked == []


def test_sets_that_are_brought_by_hand_are_refused_with_a_way_out() -> None:
    for name in ("imagenet", "imagenet300", "clothing1m"):
        assert open_source(name).status(Path("nowhere")).state == "absent"
        with pytest.raises(DataError, match=r"https://|bench data get imagenet300 --from imagenet"):
            require([name], Path("nowhere"), download=True)


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'cifar10'"):
        open_source("cifar_10").fetch(tmp_path)


def test_digits_are_always_ready(tmp_path: Path) -> None:
    assert open_source("digits").status(tmp_path).state == "ready"
    require(["digits"], tmp_path, download=False)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_the_download(small: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(f"{small.url}/small.bin")
    huge = replace(spec, archives=(replace(spec.archives[0], size=10**18),))
    monkeypatch.setitem(DATASETS, "cifar10", huge)
    with pytest.raises(DataError, match="MB are free"):
        open_source("cifar10").fetch(tmp_path)
    assert small.asked == []


def test_a_data_folder_that_is_a_file_is_told(small: Site, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(DataError, match="BENCH_DATA"):
        open_source("cifar10").fetch(tmp_path / "home")


def test_two_processes_fetch_once(small: Site, tmp_path: Path) -> None:
    code = (
        "import dataclasses, hashlib, pathlib, sys\n"
        "from bench.catalog import datasets as catalog; from bench.datasets.source import open_source\n"
        "url, md5, size, home = sys.argv[1:]\n"
        "archive = catalog.Archive(name='small.bin', urls=(url,), md5=md5, size=int(size))\n"
        "spec = dataclasses.replace(catalog.DATASETS['cifar10'], archives=(archive,))\n"
        "catalog.DATASETS['cifar10'] = spec\n"
        "open_source('cifar10').fetch(pathlib.Path(home))\n"
    )
    arguments = [f"{small.url}/small.bin", hashlib.md5(CONTENT).hexdigest(), str(len(CONTENT)), str(tmp_path)]
    processes = [subprocess.Popen([sys.executable, "-c", code, *arguments]) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(small.asked) == 1


# --- Image folders ---------------------------------------------------------------------------------------------------


def tree(root: Path, *, parts: tuple[str, ...] = ("train", "test"), classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    for part in parts:
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (number, 0, 0)).save(root / part / name / f"{number}.png")
    return root


@pytest.mark.parametrize("part", ["test", "val"])
def test_a_folder_with_test_or_val_is_ready(tmp_path: Path, part: str) -> None:
    root = tree(tmp_path / "pets", parts=("train", part))
    found = open_source(f"folder:{root}").status(tmp_path, deep=True)
    assert found.state == "ready"
    assert f"{part}/ 6 images (3 per class)" in found.sentence
    assert open_image_folder(root).class_names == ("cat", "dog")
    assert open_source(f"folder:{root}").num_classes == 2


def test_test_is_taken_before_val(tmp_path: Path) -> None:
    assert open_image_folder(tree(tmp_path, parts=("train", "test", "val"))).test.name == "test"


def test_a_folder_without_a_test_part_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no val/ or test/"):
        open_image_folder(tree(tmp_path, parts=("train",)))


def test_a_folder_without_a_train_part_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no train/"):
        open_image_folder(tree(tmp_path, parts=("test",)))


def test_classes_that_differ_are_named(tmp_path: Path) -> None:
    tree(tmp_path, parts=("train",), classes=("cat", "dog", "cow"))
    tree(tmp_path, parts=("test",), classes=("cat", "dog", "owl"))
    with pytest.raises(DataError, match=r"cow \(only in train/\), owl \(only in test/\)"):
        open_image_folder(tmp_path)


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for file in (root / "test" / "dog").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="test/dog holds no image"):
        open_image_folder(root)


def test_one_class_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 2"):
        open_image_folder(tree(tmp_path, classes=("cat",)))


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="there is no folder"):
        _ = open_source(f"folder:{tmp_path / 'missing'}").num_classes
    with pytest.raises(DataError, match="is not a folder"):
        _ = open_source(f"folder:{tmp_path / 'file'}").num_classes


def test_a_corrupt_image_is_named_by_verify(tmp_path: Path) -> None:
    (tree(tmp_path) / "train" / "cat" / "1.png").write_bytes(b"not an image")
    found = open_source(f"folder:{tmp_path}").status(tmp_path, deep=True)
    assert found.state == "corrupt"
    assert "train/cat/1.png" in found.sentence
    assert "train/ 6 images (3 per class)" in found.sentence


def test_a_folder_that_may_not_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    root = tree(tmp_path)
    locked = root / "train" / "dog"
    locked.chmod(0)
    if is_root := os.geteuid() == 0:  # root may read everything, so another user looks
        os.seteuid(65534)
    try:
        with pytest.raises(DataError, match="may not be read by this user"):
            open_image_folder(root)
    finally:
        if is_root:
            os.seteuid(0)
        locked.chmod(0o755)


def test_looking_imports_neither_torch_nor_requests() -> None:
    code = "import sys, bench.datasets.source; print({'torch', 'requests', 'numpy', 'PIL'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
