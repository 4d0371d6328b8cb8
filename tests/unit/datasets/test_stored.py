"""Copies of data sets: in the data folder, imported, or in a folder or archive that the user names."""

from pathlib import Path

import pytest
from helpers.dataset_files import (
    FORMS,
    Small,
    binary,
    idx,
    lay,
    pictures,
    publish,
    tar_of,
)
from helpers.users import open_folder, ordinary_user

from bench.datasets.source import open_source, require
from bench.datasets.stored import find_copy, find_import, list_files, locate
from bench.errors import DataError
from bench.worker.data import readers
from bench.worker.data.imported import import_dataset
from bench.worker.data.pack import content_digest, pack


def digest_at(name: str, path: Path) -> str:
    return content_digest(readers.read(name, find_copy(name, path)))


@pytest.mark.parametrize("format_", FORMS["cifar10"])
def test_every_format_in_the_data_folder_is_ready(cifar: Small, tmp_path: Path, format_: str) -> None:
    lay(FORMS["cifar10"][format_](cifar), tmp_path / "cifar10")
    found = open_source("cifar10").status(tmp_path)
    assert found.state == "ready", found.sentence
    assert str(tmp_path / "cifar10") in found.sentence
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"
    require(["cifar10"], tmp_path, download=False)
    assert len(readers.cifar10(tmp_path).train_labels) == 20


def test_torchvisions_download_folders_are_found(fashion: Small, tmp_path: Path) -> None:
    raw = lay(idx(fashion), tmp_path / "fashion_mnist" / "FashionMNIST" / "raw")
    lay(idx(fashion, zipped=False), raw)
    other = dict.fromkeys(idx(fashion, zipped=False), b"another data set")
    lay(other, tmp_path / "fashion_mnist" / "A-MNIST" / "raw")
    assert open_source("fashion_mnist").status(tmp_path).state == "ready"
    assert len(readers.fashion_mnist(tmp_path).train_labels) == 20


def test_a_published_archive_goes_before_other_files(
    cifar: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = tar_of(binary(cifar))
    publish(monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": archive})
    lay({"cifar-10-binary.tar.gz": archive, **pictures(cifar)}, tmp_path / "cifar10")
    copy = locate("cifar10", tmp_path)
    assert copy is not None
    assert (copy.path.name, copy.published) == ("cifar-10-binary.tar.gz", True)


def test_a_damaged_published_archive_is_not_another_copy(
    cifar: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = tar_of(binary(cifar))
    publish(monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": archive})
    lay({"cifar-10-binary.tar.gz": archive[:-1]}, tmp_path / "cifar10")
    assert open_source("cifar10").status(tmp_path).state == "corrupt"
    assert locate("cifar10", tmp_path) is None


@pytest.mark.parametrize("lost", ["data_batch_4.bin", "test_batch.bin"])
def test_a_half_extracted_folder_names_the_missing_file(cifar: Small, tmp_path: Path, lost: str) -> None:
    tree = {name: content for name, content in binary(cifar).items() if not name.endswith(lost)}
    found = open_source("cifar10").status(lay(tree, tmp_path / "cifar10").parent)
    assert found.state == "incomplete"
    assert f"of its binary files {lost} is missing" in found.sentence
    with pytest.raises(DataError, match="is missing; extract or copy it again"):
        find_copy("cifar10", tmp_path / "cifar10")


def test_a_folder_of_other_files_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no format of CIFAR-10 that bench knows; it may be binary files"):
        find_copy("cifar10", lay({"thesis.txt": b"no data"}, tmp_path))


def test_imported_arrays_without_a_card_are_none(cifar: Small, tmp_path: Path) -> None:
    import_dataset("cifar10", lay(binary(cifar), tmp_path / "elsewhere"), tmp_path)
    (tmp_path / "cifar10" / "imported" / "card.json").unlink()
    assert open_source("cifar10").status(tmp_path).state == "absent"


def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cifar.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="is neither a folder nor a tar archive"):
        find_copy("cifar10", tmp_path / "cifar.zip")


def test_a_path_without_permission_is_a_sentence(cifar: Small) -> None:
    with open_folder() as root:
        lay(binary(cifar), root)
        for locked, look in (
            (root / "cifar-10-batches-bin", lambda: find_copy("cifar10", root)),
            (root / "cifar-10-batches-bin" / "test_batch.bin", lambda: digest_at("cifar10", root)),
        ):
            locked.chmod(0)
            with (
                ordinary_user(),
                pytest.raises(DataError, match="may not be read by this user; allow it with: chmod"),
            ):
                look()
            locked.chmod(0o755)


@pytest.mark.parametrize("folder", ["imported", "adopted"])
def test_imported_arrays_are_found_also_under_the_name_of_earlier_versions(
    cifar: Small, tmp_path: Path, folder: str
) -> None:
    card = import_dataset("cifar10", lay(binary(cifar), tmp_path / "elsewhere"), tmp_path)
    (tmp_path / "cifar10" / "imported").rename(tmp_path / "cifar10" / folder)
    found = find_import("cifar10", tmp_path)
    assert found is not None
    assert (found.folder.name, found.card["digest"]) == (folder, card["digest"])
    assert open_source("cifar10").status(tmp_path, deep=True).state == "ready"
    assert pack("cifar10", 32, tmp_path).digest == card["digest"]


def test_list_files_leaves_out_hidden_and_very_deep_files(tmp_path: Path) -> None:
    for name in ("a", ".hidden", ".git/b", "c/d", "1/2/3/4/5/6/e", "1/2/3/4/5/6/7/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert list_files(tmp_path) == ["1/2/3/4/5/6/e", "a", "c/d"]
