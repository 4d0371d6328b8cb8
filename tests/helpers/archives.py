"""Archives of a few images in the published formats, put in a data folder and in the catalog."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.catalog.datasets import DATASETS, Archive
from bench.worker.data.raw import Images


def tar_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-binary/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def install(
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    name: str,
    contents: list[bytes],
    *,
    train_images: int,
    test_images: int,
) -> None:
    """Put archives at home and in the catalog under a data set's name."""
    (home / name).mkdir(parents=True)
    archives = []
    for old, content in zip(DATASETS[name].archives, contents, strict=True):
        (home / name / old.name).write_bytes(content)
        archives.append(
            Archive(name=old.name, urls=(), md5=hashlib.md5(content).hexdigest(), size=len(content)),
        )
    spec = replace(
        DATASETS[name],
        archives=tuple(archives),
        alternatives=(),
        train_images=train_images,
        test_images=test_images,
    )
    monkeypatch.setitem(DATASETS, name, spec)


def random_pixels(*shape: int) -> Images:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def labelled(images: Images, labels: object) -> list[tuple[int, bytes]]:
    """Images with their labels, sorted: bench orders the sets of several formats itself."""
    return sorted((int(label), image.tobytes()) for image, label in zip(images, np.asarray(labels), strict=True))


def cifar10_files(images: Images, labels: list[int]) -> dict[str, bytes]:
    records = [bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True)]
    files = {f"data_batch_{number + 1}.bin": records[number] for number in range(5)}
    names = "\n".join(DATASETS["cifar10"].classes) + "\n\n"
    return {"test_batch.bin": b"".join(records[5:]), "batches.meta.txt": names.encode(), "readme.html": b"", **files}
