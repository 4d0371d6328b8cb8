"""Files that are refused when a data set is read: pickles with code, archives of something else, wrong labels."""

import gzip
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from helpers.dataset_files import (
    Small,
    binary,
    dictionary,
    idx,
    lay,
    pickles,
    picture,
    pictures,
    small,
    tar_of,
)
from PIL import Image

from bench.datasets.stored import find_copy
from bench.errors import DataError
from bench.worker.data import array_formats, encoded_formats, readers
from bench.worker.data.pack import content_digest


def digest_at(name: str, path: Path) -> str:
    return content_digest(readers.read(name, find_copy(name, path)))


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def test_pngs_made_from_jpegs_are_refused_by_their_statistics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
