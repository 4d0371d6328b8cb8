"""Small trees with the official structure of ImageNet and Clothing1M, made of parts of scikit-learn's two photos."""

import io
import tarfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image
from sklearn.datasets import load_sample_images

from bench.catalog.datasets import CLOTHES, DATASETS

WNIDS = ("n01440764", "n01443537", "n01484850")
IDS = {"n01440764": 2, "n01443537": 3, "n01484850": 1}
"""ILSVRC2012_ID, which is not in the order of the WNIDs."""
TRAIN, TEST = 8, 4
"""Images of each class."""

Images = dict[str, dict[str, bytes]]
"""Files by class and name."""


@cache
def photos() -> tuple[Image.Image, ...]:
    return tuple(Image.fromarray(image) for image in load_sample_images().images)


@cache
def photo(number: int) -> Image.Image:
    """A part of one of the photos, of a size and at a place of its own."""
    random = np.random.default_rng(number)
    whole = photos()[number % 2]
    width, height = (int(side) for side in random.integers(60, 200, size=2))
    left, top = int(random.integers(0, whole.width - width)), int(random.integers(0, whole.height - height))
    return whole.crop((left, top, left + width, top + height))


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return stream.getvalue()


@cache
def jpeg(number: int) -> bytes:
    return encoded(photo(number))


def train_images(count: int = TRAIN) -> Images:
    return {
        wnid: {f"{wnid}_{10 * number + 7}.JPEG": jpeg(100 * label + number) for number in range(count)}
        for label, wnid in enumerate(WNIDS)
    }


def val_images(count: int = TEST) -> Images:
    """The classes take turns, so that the numbers of files say nothing of a class."""
    found: Images = {wnid: {} for wnid in WNIDS}
    for number in range(count * len(WNIDS)):
        found[WNIDS[number % 3]][f"ILSVRC2012_val_{number + 1:08d}.JPEG"] = jpeg(1000 + number)
    return found


def write_folders(root: Path, images: Images) -> None:
    for wnid, files in images.items():
        (root / wnid).mkdir(parents=True)
        for name, content in files.items():
            (root / wnid / name).write_bytes(content)


def write_flat(root: Path, images: Images) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for files in images.values():
        for name, content in files.items():
            (root / name).write_bytes(content)


def tar_of(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def train_tar(images: Images) -> bytes:
    """As the official one: an archive of each class, not in the order of the WNIDs."""
    return tar_of({f"{wnid}.tar": tar_of(files) for wnid, files in reversed(images.items())})


def val_tar(images: Images) -> bytes:
    files = {name: content for files_of_class in images.values() for name, content in files_of_class.items()}
    return tar_of(dict(sorted(files.items())))


def truth(images: Images) -> list[str]:
    """WNIDs in the order of the validation images."""
    of = {name: wnid for wnid, files in images.items() for name in files}
    return [of[name] for name in sorted(of)]


def meta_mat() -> bytes:
    """The devkit's table: the classes, and one synset above them that is none."""
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"]
    rows: list[tuple[object, ...]] = [
        (number, wnid, "tench, Tinca tinca", "a fish", 0, [], 0)
        for wnid, number in sorted(IDS.items(), key=lambda item: item[1])
    ]
    rows = [*rows, (4, "n00001740", "entity", "all there is", 3, [1, 2, 3], 19)]
    synsets = np.array(rows, dtype=[(name, object) for name in fields]).reshape(-1, 1)
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"synsets": synsets})
    return stream.getvalue()


def devkit_files(images: Images) -> dict[str, bytes]:
    numbers = "".join(f"{IDS[wnid]}\n" for wnid in truth(images))
    data = "ILSVRC2012_devkit_t12/data"
    return {f"{data}/meta.mat": meta_mat(), f"{data}/ILSVRC2012_validation_ground_truth.txt": numbers.encode()}


def write_imagenet(home: Path, stored_format: str, train: Images | None = None, test: Images | None = None) -> Path:
    """ImageNet in one of ``FORMATS`` below a data folder. Returns its folder."""
    train, test = train or train_images(), test or val_images()
    root = home / "imagenet"
    root.mkdir(parents=True)
    if stored_format == "archives":
        (root / "ILSVRC2012_img_train.tar").write_bytes(train_tar(train))
        (root / "ILSVRC2012_img_val.tar").write_bytes(val_tar(test))
        (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(tar_of(devkit_files(test), "w:gz"))
        return root
    below = root / "ILSVRC/Data/CLS-LOC" if stored_format == "kaggle" else root
    write_folders(below / "train", train)
    if stored_format == "folders":
        write_folders(below / "val", test)
        return root
    write_flat(below / "val", test)
    names = sorted(name for files in test.values() for name in files)
    pairs = list(zip(names, truth(test), strict=True))
    if stored_format == "devkit":
        for name, content in devkit_files(test).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    elif stored_format == "kaggle":
        lines = [f"{name.removesuffix('.JPEG')},{wnid} 85 1 499 272 {wnid} 3 4 5 6 " for name, wnid in pairs]
        (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *reversed(lines)]))
    elif stored_format == "synset_labels":
        (root / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(truth(test)))
    elif stored_format == "val.txt":
        (root / "val.txt").write_text("".join(f"{name} {wnid}\n" for name, wnid in pairs))
    return root


FORMATS = ("folders", "archives", "devkit", "kaggle", "synset_labels", "val.txt")


def shrink(monkeypatch: pytest.MonkeyPatch, name: str, train: int, test: int, classes: int) -> None:
    """Have the catalog say that a data set was published with these numbers."""
    spec = replace(DATASETS[name], train_images=train, test_images=test, num_classes=classes)
    monkeypatch.setitem(DATASETS, name, spec)


def write_clothing(home: Path, noisy: int = 28, clean: int = 14) -> Path:
    """Clothing1M with its official structure: images in images/0..9, labels that go round the classes."""
    root, number = home / "clothing1m", 0
    labels: dict[str, dict[str, int]] = {"noisy": {}, "clean": {}}
    lists = {"noisy_train": noisy, "clean_train": clean, "clean_val": clean, "clean_test": clean}
    for name, count in lists.items():
        keys = []
        for _ in range(count):
            key = f"images/{number % 10}/{number % 3:02d}/{number},{number * 7919}.jpg"
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(jpeg(number))
            labels[name.partition("_")[0]][key] = number % len(CLOTHES)
            keys.append(key)
            number += 1
        (root / f"{name}_key_list.txt").write_text("".join(f"{key}\n" for key in keys))
    for kind, of in labels.items():
        (root / f"{kind}_label_kv.txt").write_text("".join(f"{key} {label}\n" for key, label in of.items()))
    return root
