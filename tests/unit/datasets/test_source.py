"""Which source a name stands for, and making all data sets of a run ready."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.tiny_imagenet import write_imagenet

import bench
from bench.catalog.datasets import DATASETS
from bench.datasets.download import DownloadSource
from bench.datasets.folder_source import FolderSource
from bench.datasets.manual import ManualSource
from bench.datasets.published import BuiltInSource
from bench.datasets.source import (
    complete_name,
    dataset_problem,
    dataset_title,
    name_patterns,
    open_source,
    published_sources,
    require,
)
from bench.errors import DataError

PACKAGE = Path(bench.__file__).parent


class TestOpenSource:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("digits", BuiltInSource),
            ("cifar10", DownloadSource),
            ("fashion_mnist", DownloadSource),
            ("imagenet300", ManualSource),
            ("clothing1m_clean", ManualSource),
            ("folder:data/flowers", FolderSource),
        ],
    )
    def test_the_name_decides_the_kind(self, name: str, kind: type) -> None:
        assert type(open_source(name)) is kind

    def test_an_unknown_name_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(DataError, match="did you mean 'cifar10'"):
            open_source("cifar_10")
        with pytest.raises(DataError, match="bench datasets lists them"):
            open_source("no such thing")

    def test_a_folder_needs_a_path(self) -> None:
        with pytest.raises(DataError, match="needs a path after it"):
            open_source("folder:")

    def test_a_relative_folder_starts_at_the_current_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert open_source("folder:flowers").status(tmp_path).folder == tmp_path / "flowers"


def test_every_source_of_the_catalog_has_facts_and_either_a_loader_or_files() -> None:
    assert [source.name for source in published_sources()] == list(DATASETS)
    for source in published_sources():
        assert source.facts().num_classes == source.num_classes
        assert bool(source.loader) != source.has_files


def test_images_of_a_source_without_files_cannot_be_listed(tmp_path: Path) -> None:
    for name in ("digits", "cifar10"):
        with pytest.raises(DataError, match=f"{name} has no image files"):
            list(open_source(name).entries(tmp_path, "train"))


def test_entries_are_the_images_of_a_split(imagenet_home: Path) -> None:
    source = open_source("imagenet")
    assert list(source.entries(imagenet_home, "test")) == list(source.locate(imagenet_home).records("test"))


def test_dataset_problem_agrees_with_open_source() -> None:
    for name in ("digits", "folder:x"):
        assert dataset_problem(name) is None
    for name in ("folder:", "cifar", ""):
        with pytest.raises(DataError) as caught:
            open_source(name)
        assert dataset_problem(name) == str(caught.value)


def test_dataset_title_names_the_limit() -> None:
    assert dataset_title("cifar10") == "CIFAR-10"
    assert dataset_title("folder:data/flowers", 5) == "flowers, at most 5 images per class"


def test_names_are_completed_and_described_for_editors() -> None:
    assert complete_name("cifar") == ["cifar10", "cifar100"]
    assert complete_name("fo") == ["folder:"]
    [pattern] = name_patterns()
    assert re.match(pattern, "folder:x")
    assert not re.match(pattern, "folder:")


class TestRequire:
    def test_all_missing_data_sets_are_named_at_once(self, tmp_path: Path) -> None:
        names = ["digits", "cifar10", "cifar100", f"folder:{tmp_path / 'flowers'}"]
        with pytest.raises(DataError) as caught:
            require(names, tmp_path, download=False)
        text = str(caught.value)
        for part in (
            "bench data get cifar10\n",
            "bench data get cifar100",
            str(tmp_path / "cifar100"),
            "flowers",
            "val/",
        ):
            assert part in text

    def test_nothing_is_downloaded_when_another_set_cannot_be_had(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BENCH_MIRROR", "http://127.0.0.1:9")
        with pytest.raises(DataError, match="imagenet is not here") as caught:
            require(["cifar10", "imagenet"], tmp_path, download=True)
        assert "127.0.0.1" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_unknown_names_are_refused_with_the_others(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"(?s)did you mean 'cifar10'.*imagenet is not here"):
            require(["cifar_10", "imagenet"], tmp_path, download=True)

    @pytest.mark.parametrize("name", ["imagenet", "imagenet300", "clothing1m"])
    def test_manual_downloads_are_refused_with_instructions(self, name: str) -> None:
        assert open_source(name).status(Path("nowhere")).state == "absent"
        with pytest.raises(DataError, match=r"https://|bench data get imagenet300 --from imagenet"):
            require([name], Path("nowhere"), download=True)

    def test_a_part_of_a_manual_download_is_enough_if_it_is_asked_for(self, tmp_path: Path) -> None:
        write_imagenet(tmp_path, "folders")
        require(["imagenet"], tmp_path, download=False, partly={"imagenet"})
        with pytest.raises(DataError, match="train has 3 of 1,000 classes"):
            require(["imagenet"], tmp_path, download=False)

    def test_digits_are_always_ready(self, tmp_path: Path) -> None:
        assert open_source("digits").status(tmp_path).state == "ready"
        require(["digits"], tmp_path, download=False)
        assert list(tmp_path.iterdir()) == []


KIND_TESTS = re.compile(r"""startswith\(["']folder:|FOLDER_PREFIX|\bin DATASETS\b(?!\[)|\.by_hand\b|\.finder\b""")
"""What asks for the kind of a data set, which is a source's own business."""
ALLOWED = {"datasets/source.py", "datasets/manual.py", "catalog/datasets.py", "suite/spelling.py"}


def test_no_other_module_asks_what_kind_of_data_set_a_name_is() -> None:
    asking = {
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if str(path.relative_to(PACKAGE)) not in ALLOWED
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if KIND_TESTS.search(line)
    }
    assert asking == set()


def test_opening_a_source_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'requests', 'numpy', 'PIL', 'scipy', 'filelock'}"
    code = "import sys; from bench.datasets.source import open_source; open_source('cifar10'); "
    code += f"print({heavy} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
