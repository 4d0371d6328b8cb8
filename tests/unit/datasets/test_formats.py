"""Data sets that people already have, in every form they are kept in: one digest, one order, or a sentence."""

import gzip
import hashlib
import io
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.dataset_files import (
    FORMS,
    Small,
    binary,
    dictionary,
    idx,
    lay,
    pickles,
    picture,
    pictures,
    publish,
    small,
    tables,
    tar_of,
)
from PIL import Image

from bench.catalog.datasets import DATASETS
from bench.cli import cli
from bench.datasets.source import open_source, require
from bench.datasets.stored import find_copy, locate
from bench.errors import DataError
from bench.worker.data import array_formats, encoded_formats, readers
from bench.worker.data.imported import import_dataset
from bench.worker.data.pack import content_digest, pack

EVERY = [(name, form) for name, known in FORMS.items() for form in known]


@pytest.fixture
def cifar(monkeypatch: pytest.MonkeyPatch) -> Small:
    return small("cifar10", monkeypatch)


@pytest.fixture
def fashion(monkeypatch: pytest.MonkeyPatch) -> Small:
    return small("fashion_mnist", monkeypatch)


def expected(data: Small) -> set[tuple[int, bytes]]:
    return {(label, image.tobytes()) for part in data.parts.values() for image, label in zip(*part, strict=True)}


def digest_at(name: str, path: Path) -> str:
    return content_digest(readers.read(name, find_copy(name, path)))


# --- One identity ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "form"), EVERY)
def test_every_form_of_a_data_set_gives_its_images_and_labels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, form: str
) -> None:
    data = small(name, monkeypatch)
    raw = readers.read(name, find_copy(name, lay(FORMS[name][form](data), tmp_path)))
    found = [(raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels)]
    assert {(int(label), image.tobytes()) for part in found for image, label in zip(*part, strict=True)} == expected(
        data
    )
    assert (len(raw.train_labels), len(raw.test_labels)) == (20, 10)
    assert raw.classes == DATASETS[name].classes


@pytest.mark.parametrize("name", FORMS)
def test_all_forms_of_a_data_set_have_one_digest_in_folders_and_in_archives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    data, digests = small(name, monkeypatch), {}
    for form, make in FORMS[name].items():
        digests[form] = digest_at(name, lay(make(data), tmp_path / form))
        archive = tmp_path / f"{form}.tar.gz"
        archive.write_bytes(tar_of(make(data)))
        digests[f"{form} in a tar"] = digest_at(name, archive)
    assert len(digests) == 8
    assert len(set(digests.values())) == 1, digests


def test_another_label_or_pixel_gives_another_digest(cifar: Small, tmp_path: Path) -> None:
    whole = digest_at("cifar10", lay(binary(cifar), tmp_path / "one"))
    images, labels = cifar.test
    other = Small("cifar10", cifar.train, (images, [(labels[0] + 1) % 10, *labels[1:]]))
    assert digest_at("cifar10", lay(binary(other), tmp_path / "two")) != whole
    changed = images.copy()
    changed[0, 0, 0, 0] ^= 1
    other = Small("cifar10", cifar.train, (changed, labels))
    assert digest_at("cifar10", lay(binary(other), tmp_path / "three")) != whole


def test_the_packs_of_two_forms_hold_the_same_images_in_the_same_order(cifar: Small, tmp_path: Path) -> None:
    packs = [
        pack("cifar10", 16, lay(tree, tmp_path / form / "cifar10").parent)
        for form, tree in (("pickles", pickles(cifar)), ("pictures", pictures(cifar)))
    ]
    assert packs[0].digest == packs[1].digest
    assert np.array_equal(packs[0].train_images, packs[1].train_images)
    assert np.array_equal(packs[0].train_labels, packs[1].train_labels)


def test_torchvision_reads_the_small_pickles_too(cifar: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stand-in is in torchvision's format: it loads the same images from what bench is tested on."""
    from torchvision.datasets import CIFAR10

    lay(pickles(cifar), tmp_path)
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda _: True)
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})
    train = CIFAR10(str(tmp_path), train=True)
    found = {
        (label, image.transpose(2, 0, 1).tobytes()) for image, label in zip(train.data, train.targets, strict=True)
    }
    assert found == {(label, image.tobytes()) for image, label in zip(*cifar.train, strict=True)}


# --- Looking in the data folder --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS["cifar10"])
def test_a_form_laid_into_the_data_folder_is_found_by_itself(cifar: Small, tmp_path: Path, form: str) -> None:
    lay(FORMS["cifar10"][form](cifar), tmp_path / "cifar10")
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


def test_a_published_archive_goes_before_what_was_laid_by_hand(
    cifar: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = tar_of(binary(cifar))
    publish(monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": archive})
    lay({"cifar-10-binary.tar.gz": archive, **pictures(cifar)}, tmp_path / "cifar10")
    place = locate("cifar10", tmp_path)
    assert place is not None
    assert (place.path.name, place.published) == ("cifar-10-binary.tar.gz", True)


def test_a_damaged_published_archive_is_not_taken_for_one_laid_by_hand(
    cifar: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = tar_of(binary(cifar))
    publish(monkeypatch, "cifar10", {"cifar-10-binary.tar.gz": archive})
    lay({"cifar-10-binary.tar.gz": archive[:-1]}, tmp_path / "cifar10")
    assert open_source("cifar10").status(tmp_path).state == "corrupt"
    assert locate("cifar10", tmp_path) is None


@pytest.mark.parametrize("lost", ["data_batch_4.bin", "test_batch.bin"])
def test_a_half_extracted_folder_says_which_file_is_missing(cifar: Small, tmp_path: Path, lost: str) -> None:
    tree = {name: content for name, content in binary(cifar).items() if not name.endswith(lost)}
    found = open_source("cifar10").status(lay(tree, tmp_path / "cifar10").parent)
    assert found.state == "incomplete"
    assert f"of its binary files {lost} is missing" in found.sentence
    with pytest.raises(DataError, match="is missing; extract or copy it again"):
        find_copy("cifar10", tmp_path / "cifar10")


def test_class_folders_with_an_image_too_few_are_counted(cifar: Small, tmp_path: Path) -> None:
    tree = pictures(cifar)
    tree.pop(next(name for name in tree if name.startswith("train")))
    with pytest.raises(DataError, match="19 of 20 for train"):
        find_copy("cifar10", lay(tree, tmp_path))


def test_half_of_the_parquet_files_is_told(cifar: Small, tmp_path: Path) -> None:
    tree = tables(cifar)
    [train] = [name for name in tree if "train" in name]
    with pytest.raises(DataError, match="no parquet file for test"):
        find_copy("cifar10", lay({train: tree[train]}, tmp_path / "one"))
    several = {train.replace("of-00001", "of-00003"): tree[train]}
    with pytest.raises(DataError, match="only 1 of 3 parquet files for train"):
        find_copy("cifar10", lay(several, tmp_path / "two"))


def test_a_folder_of_other_things_is_refused_with_what_would_be_taken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no format of CIFAR-10 that bench knows; it may be binary files"):
        find_copy("cifar10", lay({"thesis.txt": b"no data"}, tmp_path))


# --- Adopting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS["cifar10"])
def test_adopted_data_stays_when_its_source_is_gone(cifar: Small, tmp_path: Path, form: str) -> None:
    source = lay(FORMS["cifar10"][form](cifar), tmp_path / "elsewhere")
    card = import_dataset("cifar10", source, tmp_path / "home")
    shutil.rmtree(source)
    assert open_source("cifar10").status(tmp_path / "home", deep=True).state == "ready"
    assert pack("cifar10", 32, tmp_path / "home").digest == card["digest"]


def test_adopted_data_that_was_changed_is_found_by_verify(cifar: Small, tmp_path: Path) -> None:
    import_dataset("cifar10", lay(binary(cifar), tmp_path / "elsewhere"), tmp_path)
    file = tmp_path / "cifar10" / "imported" / "test_images.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    found = open_source("cifar10").status(tmp_path, deep=True)
    assert found.state == "corrupt"
    assert "--from PATH" in found.sentence


def test_adopted_data_without_its_card_does_not_count(cifar: Small, tmp_path: Path) -> None:
    import_dataset("cifar10", lay(binary(cifar), tmp_path / "elsewhere"), tmp_path)
    (tmp_path / "cifar10" / "imported" / "card.json").unlink()
    assert open_source("cifar10").status(tmp_path).state == "absent"


def test_the_command_adopts_in_a_worker_that_knows_the_official_counts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has the true catalog, so a small set is refused, by a sentence that counts it."""
    with pytest.MonkeyPatch.context() as patch:
        tree = binary(small("cifar10", patch))
    lay(tree, project / "mine")
    result = CliRunner().invoke(cli, ["data", "get", "cifar10", "--from", "mine"])
    assert result.exit_code == 3
    assert "has 20 images and 20 labels for train instead of 50,000" in result.stderr
    assert open_source("cifar10").status(project / "data").state == "absent"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cifar10", "--from", "nowhere"], "does not exist"),
        (["digits", "--from", "."], "digits is not one of them"),
        (["cifar10", "cifar100", "--from", "."], "--from imports one data set"),
    ],
)
def test_what_cannot_be_adopted_is_said_before_a_worker_starts(
    project: Path, arguments: list[str], sentence: str
) -> None:
    result = CliRunner().invoke(cli, ["data", "get", *arguments])
    assert result.exit_code == (3 if "nowhere" in arguments else 2)
    assert sentence in result.stderr


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real file system of 64 kB, less than the small set takes."""
    folder = tmp_path_factory.mktemp("disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_nothing_half_adopted(cifar: Small, tmp_path: Path, small_disk: Path) -> None:
    source = lay(binary(cifar), tmp_path / "elsewhere")
    with pytest.raises(DataError, match="MB are free"):
        import_dataset("cifar10", source, small_disk)
    assert open_source("cifar10").status(small_disk).state == "absent"


def test_a_disk_that_fills_while_arrays_are_written_keeps_nothing(
    cifar: Small, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = lay(binary(cifar), tmp_path / "elsewhere")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)  # the room was there when it was asked for
    with pytest.raises(DataError, match=r"cannot be written to .*No space left on device; set BENCH_DATA"):
        import_dataset("cifar10", source, small_disk)
    assert [path.name for path in (small_disk / "cifar10").iterdir()] == []
    assert open_source("cifar10").status(small_disk).state == "absent"


# --- What is refused -------------------------------------------------------------------------------------------------


def test_jpeg_folders_are_refused_with_the_way_to_use_them(cifar: Small, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"uses lossy compression.*folder:PATH"):
        find_copy("cifar10", lay(pictures(cifar, suffix=".jpg"), tmp_path / "cifar10"))
    assert "folder:PATH" in open_source("cifar10").status(tmp_path).sentence


def test_a_jpeg_that_is_called_png_is_refused(cifar: Small, tmp_path: Path) -> None:
    tree = {name.replace(".jpg", ".png"): each for name, each in pictures(cifar, suffix=".jpg").items()}
    with pytest.raises(DataError, match=r"uses lossy compression.*\(JPEG\).*folder:PATH"):
        digest_at("cifar10", lay(tree, tmp_path))


def test_images_that_went_through_jpeg_and_were_saved_as_png_are_refused_by_their_statistics(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = small("cifar10", monkeypatch, train=200)
    tree = {
        name: picture(np.asarray(Image.open(io.BytesIO(picture(image, ".jpg")))).transpose(2, 0, 1))
        for name, image in zip(pictures(data), [*data.train[0], *data.test[0]], strict=True)
    }
    with pytest.raises(DataError, match=r"is not CIFAR-10 as published: its pixels have the"):
        digest_at("cifar10", lay(tree, tmp_path))


def test_mnist_is_not_taken_for_fashion_mnist(fashion: Small, tmp_path: Path) -> None:
    other = Small("fashion_mnist", (fashion.train[0] // 2, fashion.train[1]), fashion.test)
    with pytest.raises(DataError, match="is not Fashion-MNIST as published"):
        digest_at("fashion_mnist", lay(idx(other), tmp_path))


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_would_run_code_runs_none(
    cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    tree = pickles(cifar) | {"cifar-10-batches-py/data_batch_3": pickle.dumps({"data": Exploit()}, protocol)}
    with pytest.raises(DataError, match=r"data_batch_3 was refused: it asks for (posix|nt)\.system"):
        digest_at("cifar10", lay(tree, tmp_path / "mine"))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read as a pickle"),
        (b"\x80\x02}(", "cannot be read as a pickle"),
        (b"<html>not here</html>", "cannot be read as a pickle"),
        (pickle.dumps([1, 2]), "has a list instead of a dictionary"),
        (dictionary({b"labels": [1]}), "does not contain the images and labels"),
        (
            dictionary({b"data": np.zeros((1, 5), dtype=np.uint8), b"labels": [1]}),
            "does not contain the images and labels",
        ),
        (b"\x80\x02cnumpy\ndtype\nU\x02O8\x85R.", "numbers of type b'O8'"),
        (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01J\xff\xff\xff\x7f\x85NNU\x01xtb.",
            "something other than bytes",
        ),
    ],
)
def test_pickles_of_other_things_are_a_sentence(cifar: Small, tmp_path: Path, content: bytes, sentence: str) -> None:
    tree = pickles(cifar) | {"cifar-10-batches-py/data_batch_2": content}
    with pytest.raises(DataError, match=sentence) as caught:
        digest_at("cifar10", lay(tree, tmp_path))
    assert "data_batch_2" in str(caught.value)


def test_a_changed_pickle_is_told_by_its_published_checksum(
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


def test_an_archive_of_another_data_set_is_refused(
    cifar: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = tmp_path / "cifar-100-binary.tar.gz"
    archive.write_bytes(tar_of(binary(small("cifar100", monkeypatch))))
    with pytest.raises(DataError, match="is missing files of cifar10: it contains"):
        digest_at("cifar10", archive)


def test_labels_of_other_classes_are_refused(cifar: Small, tmp_path: Path) -> None:
    tree = binary(cifar)
    tree["cifar-10-batches-bin/batches.meta.txt"] = b"cat\ndog\n"
    with pytest.raises(DataError, match="names other classes than cifar10 has: cat, dog"):
        digest_at("cifar10", lay(tree, tmp_path))


def test_a_label_beyond_the_classes_is_refused(cifar: Small, tmp_path: Path) -> None:
    images, labels = cifar.test
    wrong = Small("cifar10", cifar.train, (images, [17, *labels[1:]]))
    with pytest.raises(DataError, match="has the label 17"):
        digest_at("cifar10", lay(binary(wrong), tmp_path))


def test_an_archive_cut_short_is_refused(cifar: Small, tmp_path: Path) -> None:
    archive = tmp_path / "mine.tar.gz"
    content = tar_of(binary(cifar))
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        digest_at("cifar10", archive)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cifar.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="is neither a folder nor a tar archive"):
        find_copy("cifar10", tmp_path / "cifar.zip")


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that announces more pixels than a memory has."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("size", "sentence"), [(60_000, "cannot be read as an image"), (9000, "instead of 32x32")])
def test_a_picture_bomb_is_refused_before_it_is_decoded(cifar: Small, tmp_path: Path, size: int, sentence: str) -> None:
    tree = pictures(cifar)
    name = next(iter(tree))
    with pytest.raises(DataError, match=sentence) as caught:
        digest_at("cifar10", lay(tree | {name: bomb(size, size)}, tmp_path))
    assert name in str(caught.value)


def test_bombs_of_gzip_and_parquet_are_refused(
    cifar: Small, fashion: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(array_formats, "MAX_BYTES", 60_000)
    tree = idx(fashion) | {"train-images-idx3-ubyte.gz": gzip.compress(bytes(1_000_000))}
    with pytest.raises(DataError, match="unpacks to more than 0 MB"):
        digest_at("fashion_mnist", lay(tree, tmp_path / "idx"))
    monkeypatch.setattr(encoded_formats, "MAX_BYTES", 90_000)
    table = pytest.importorskip("pyarrow").table({"img": [{"bytes": bytes(200_000)}], "label": [1]})
    sink = io.BytesIO()
    pytest.importorskip("pyarrow.parquet").write_table(table, sink, compression="gzip")
    tree = {f"{part}.parquet": sink.getvalue() for part in ("train", "test")}
    with pytest.raises(DataError, match="unpacks to more than 0 MB"):
        digest_at("cifar10", lay(tree, tmp_path / "tables"))


def test_links_and_devices_inside_an_archive_are_passed_over(cifar: Small, tmp_path: Path) -> None:
    archive = tmp_path / "mine.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in binary(cifar).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("cifar-10-batches-bin/passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert digest_at("cifar10", archive) == digest_at("cifar10", lay(binary(cifar), tmp_path / "folder"))


def test_parquet_without_pyarrow_says_what_to_install(
    cifar: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tables(cifar), tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"need pyarrow: pip install 'bench\[parquet\]'"):
        digest_at("cifar10", tmp_path)


def test_parquet_of_other_columns_and_other_bytes_is_a_sentence(cifar: Small, tmp_path: Path) -> None:
    tree = tables(cifar)
    lay(dict.fromkeys(tree, b"PAR1 and nothing else"), tmp_path / "one")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        digest_at("cifar10", tmp_path / "one")
    lay({name.replace("plain_text/", ""): content for name, content in tables(cifar).items()}, tmp_path / "two")
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "two" / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match="has the columns text, none of images and labels"):
        digest_at("cifar10", tmp_path / "two")


def test_a_path_without_permission_is_a_sentence(cifar: Small, tmp_path: Path) -> None:
    lay(binary(cifar), tmp_path)
    for locked, look in (
        (tmp_path / "cifar-10-batches-bin", lambda: find_copy("cifar10", tmp_path)),
        (tmp_path / "cifar-10-batches-bin" / "test_batch.bin", lambda: digest_at("cifar10", tmp_path)),
    ):
        locked.chmod(0)
        if is_root := os.geteuid() == 0:  # root may read everything, so another user looks
            for folder in (tmp_path, *tmp_path.parents[:3]):
                folder.chmod(0o755)
            os.seteuid(65534)
        try:
            with pytest.raises(DataError, match="may not be read by this user; allow it with: chmod"):
                look()
        finally:
            if is_root:
                os.seteuid(0)
            locked.chmod(0o755)


def test_looking_at_forms_imports_no_decoder() -> None:
    code = (
        "import sys, bench.datasets.formats; print({'torch', 'numpy', 'PIL', 'pyarrow', 'pickle'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() in ("set()", "{'pickle'}")
