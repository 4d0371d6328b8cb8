"""Small data sets in the exact formats of the official ones, with their counts in the catalog.

The official data is not in the repository. Its stand-ins have the same files, records, columns and folders, with fewer
images of random pixels. Counts, checksums, means and deviations in the catalog are replaced by those of the small set,
so that the loaders run the same checks as on the official data.
"""

import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from bench.catalog.datasets import DATASETS, Archive
from bench.worker.data.pack import channel_statistics

Pixels = npt.NDArray[np.uint8]
Part = tuple[Pixels, list[int]]
"""Images (N, C, H, W) and their labels."""
Tree = dict[str, bytes]
"""Content of files by their names below a folder."""


@dataclass(frozen=True)
class Small:
    """A small data set."""

    name: str
    train: Part
    test: Part

    @property
    def parts(self) -> dict[str, Part]:
        return {"train": self.train, "test": self.test}


def small(name: str, monkeypatch: pytest.MonkeyPatch, *, train: int = 20, test: int = 10) -> Small:
    """A small set under the name of an official one; the catalog's counts and statistics are its own from now on."""
    spec, generator = DATASETS[name], np.random.default_rng(len(name))
    shape = (spec.channels, spec.input_size, spec.input_size)
    made = Small(
        name,
        *(
            (
                generator.integers(0, 256, (count, *shape), dtype=np.uint8),
                [int(label) for label in generator.integers(0, spec.num_classes, count)],
            )
            for count in (train, test)
        ),
    )
    mean, std = ([round(value, 4) for value in values] for values in channel_statistics(made.train[0]))
    changed = replace(
        spec,
        archives=tuple(replace(each, urls=()) for each in spec.archives),
        alternatives=tuple(tuple(replace(each, urls=()) for each in group) for group in spec.alternatives),
        file_md5s={},
        train_images=train,
        test_images=test,
        mean=tuple(mean),
        std=tuple(std),
    )
    monkeypatch.setitem(DATASETS, name, changed)
    return made


# --- The formats -----------------------------------------------------------------------------------------------------


def binary(data: Small) -> Tree:
    """The authors' records: one label (CIFAR-10), or a coarse and a fine one (CIFAR-100), then the pixels."""
    records = {
        part: [
            bytes([label // 5, label][data.name == "cifar10" :]) + image.tobytes()
            for image, label in zip(images, labels, strict=True)
        ]
        for part, (images, labels) in data.parts.items()
    }
    classes = "\n".join(DATASETS[data.name].classes) + "\n"
    if data.name == "cifar100":
        files = {f"{part}.bin": b"".join(each) for part, each in records.items()}
        tree = files | {"fine_label_names.txt": classes.encode(), "coarse_label_names.txt": b"\n"}
        return {f"cifar-100-binary/{name}": content for name, content in tree.items()}
    tree = {f"data_batch_{n + 1}.bin": b"".join(records["train"][n::5]) for n in range(5)}
    tree |= {"test_batch.bin": b"".join(records["test"]), "batches.meta.txt": classes.encode() + b"\n"}
    return {f"cifar-10-batches-bin/{name}": content for name, content in tree.items()}


def pickles(data: Small) -> Tree:
    """The python version, byte for byte as Python 2's cPickle and numpy of 2009 write it (protocol 2)."""
    classes = [name.encode() for name in DATASETS[data.name].classes]
    if data.name == "cifar100":
        tree = {
            part: dictionary({b"data": images, b"fine_labels": labels, b"coarse_labels": [n // 5 for n in labels]})
            for part, (images, labels) in data.parts.items()
        }
        tree["meta"] = dictionary({b"fine_label_names": classes, b"coarse_label_names": []})
        return {f"cifar-100-python/{name}": content for name, content in tree.items()}
    images, labels = data.train
    tree = {f"data_batch_{n + 1}": dictionary({b"data": images[n::5], b"labels": labels[n::5]}) for n in range(5)}
    tree["test_batch"] = dictionary({b"data": data.test[0], b"labels": data.test[1], b"batch_label": []})
    tree["batches.meta"] = dictionary({b"label_names": classes, b"num_vis": [3072]})
    return {f"cifar-10-batches-py/{name}": content for name, content in tree.items()}


def idx(data: Small, *, zipped: bool = True) -> Tree:
    """Fashion-MNIST's four files."""
    tree = {}
    for part, (images, labels) in zip(("train", "t10k"), data.parts.values(), strict=True):
        tree[f"{part}-images-idx3-ubyte"] = struct.pack(">4i", 2051, len(images), 28, 28) + images.tobytes()
        tree[f"{part}-labels-idx1-ubyte"] = struct.pack(">2i", 2049, len(labels)) + bytes(labels)
    return {f"{name}.gz": gzip.compress(content) for name, content in tree.items()} if zipped else tree


def tables(data: Small) -> Tree:
    """Hugging Face's parquet files, in another order than the authors' and with the columns that each set has."""
    image, label = {
        "cifar10": ("img", "label"),
        "cifar100": ("img", "fine_label"),
        "fashion_mnist": ("image", "label"),
    }[data.name]
    tree = {}
    for part, (images, labels) in data.parts.items():
        cells = [{"bytes": picture(each), "path": f"{n}.png"} for n, each in enumerate(images)][::-1]
        columns = {image: cells, label: labels[::-1]}
        if data.name == "cifar100":
            columns["coarse_label"] = [n // 5 for n in labels[::-1]]
        sink = io.BytesIO()
        parquet.write_table(pyarrow.table(columns), sink)
        tree[f"plain_text/{part}-00000-of-00001.parquet"] = sink.getvalue()
    return tree


def pictures(data: Small, *, suffix: str = ".png", test: str = "test") -> Tree:
    """Class folders; fast.ai's CIFAR-100 has them in folders of their superclass."""
    tree = {}
    for part, (images, labels) in data.parts.items():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            name = DATASETS[data.name].classes[label].replace("/", "_")
            inner = f"super{label // 5}/{name}" if data.name == "cifar100" else name
            tree[f"{test if part == 'test' else part}/{inner}/{number:05d}{suffix}"] = picture(image, suffix)
    return tree


FORMS: Mapping[str, Mapping[str, Callable[[Small], Tree]]] = {
    "cifar10": {"binary": binary, "pickles": pickles, "tables": tables, "pictures": pictures},
    "cifar100": {"binary": binary, "pickles": pickles, "tables": tables, "pictures": pictures},
    "fashion_mnist": {
        "idx": idx,
        "plain idx": lambda data: idx(data, zipped=False),
        "tables": tables,
        "pictures": pictures,
    },
}


def picture(image: Pixels, suffix: str = ".png") -> bytes:
    """One image of (C, H, W) as a file."""
    stream = io.BytesIO()
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    Image.fromarray(pixels).save(stream, {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP"}[suffix])
    return stream.getvalue()


# --- Where they lie --------------------------------------------------------------------------------------------------


def lay(tree: Tree, folder: Path) -> Path:
    """Write files below a folder."""
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def tar_of(tree: Tree) -> bytes:
    """The same files as a tar.gz archive, without times."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in tree.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def publish(monkeypatch: pytest.MonkeyPatch, name: str, *groups: dict[str, bytes], host: str = "") -> None:
    """Tell the catalog that these are the published files of a data set, by form, with their true checksums."""
    described = [
        tuple(
            Archive(
                name=file,
                urls=(f"{host}/{file}",) if host else (),
                md5=hashlib.md5(content).hexdigest(),
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
            )
            for file, content in group.items()
        )
        for group in groups
    ]
    spec = replace(DATASETS[name], archives=described[0], alternatives=tuple(described[1:]))
    monkeypatch.setitem(DATASETS, name, spec)


# --- Pickles, by hand ------------------------------------------------------------------------------------------------


def dictionary(content: Mapping[bytes, Pixels | list[int] | list[bytes]]) -> bytes:
    """A dictionary as Python 2 pickles it; Python 3 cannot write its strings, so the opcodes are laid here."""
    items = b"".join(_string(key) + _value(value) for key, value in content.items())
    return b"\x80\x02}(" + items + b"u."


def _value(value: Pixels | list[int] | list[bytes]) -> bytes:
    if isinstance(value, list):
        return b"](" + b"".join(_string(each) if isinstance(each, bytes) else _int(each) for each in value) + b"e"
    rows, data = len(value), value.tobytes()
    empty = b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\x00\x85" + b"U\x01b" + b"\x87R"
    numbers = (
        b"cnumpy\ndtype\n" + b"U\x02u1" + b"K\x00K\x01" + b"\x87R" + b"(K\x03U\x01|NNN" + _int(-1) * 2 + b"K\x00tb"
    )
    state = b"(K\x01" + _int(rows) + _int(len(data) // rows) + b"\x86" + numbers + b"\x89" + _string(data) + b"tb"
    return empty + state


def _string(text: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(text)) + text


def _int(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


# --- Image folders ---------------------------------------------------------------------------------------------------


def class_tree(
    root: Path, *, splits: tuple[str, ...] = ("train", "test"), classes: tuple[str, ...] = ("cat", "dog")
) -> Path:
    """An image folder of three small images per class and split."""
    for split in splits:
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (number, 0, 0)).save(root / split / name / f"{number}.png")
    return root
