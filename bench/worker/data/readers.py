"""Loaders of the data sets that people keep in several forms: ``cifar10``, ``cifar100`` and ``fashion_mnist``.

Whatever form they lie in (:mod:`bench.datasets.formats`), pixels, labels and order come out the same: the images of
each split are
sorted by the SHA-256 of their label and pixels, because a folder of images has kept no other order. So a data set's
digest, and a training on it, do not depend on where it came from.

Files are read as they are: nothing is unpacked to disk, and names inside an archive never become paths. Files whose
published checksum is known are compared with it. Pixels of all others must have the published mean and deviation of
each channel to four digits: CIFAR-10 that went through JPEG at quality 75 is off by 0.0018, with blue and red swapped
by 0.045.

Shapes: N images, C channels (1 or 3), H and W pixels.
"""

import gzip
import hashlib
import io
import tarfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from bench.catalog.datasets import DATASETS
from bench.datasets import formats
from bench.datasets.checksums import archive_problem, part_problem
from bench.datasets.formats import Form, Place
from bench.datasets.status import ADOPTED, adopted_card, groups, locate
from bench.errors import DataError
from bench.worker.data import pickles
from bench.worker.data.image_folder import Images, Labels, RawDataset

Read = Callable[[str], bytes]
"""From the name of a file in a :class:`bench.datasets.formats.Form` to its content."""

LARGEST = 1_000_000_000
"""Bytes that a data set may unpack to; the CIFARs hold 185 MB. A bomb is refused before it fills the memory."""
MOST_FILES = 1_000_000
IDX_IMAGES, IDX_LABELS = 2051, 2049
"""First four bytes, big-endian, of MNIST's files of images and of labels."""
TOLERANCE = 1e-4
"""Of mean and deviation, which are published rounded to four digits."""
LOSSLESS = frozenset({"PNG", "BMP", "PPM", "TIFF"})
"""Formats of images, as Pillow calls them, that keep every pixel."""


def cifar10(home: Path) -> RawDataset:
    """CIFAR-10 (Krizhevsky 2009) from whatever form is in the data folder: 32x32 pixels, colour.

    Raises:
        DataError: It is missing, is not the published one, or does not hold what it should.
    """
    return load("cifar10", home)


def cifar100(home: Path) -> RawDataset:
    """CIFAR-100 (Krizhevsky 2009) with its 100 fine labels, from whatever form is in the data folder: 32x32, colour.

    Raises:
        DataError: It is missing, is not the published one, or does not hold what it should.
    """
    return load("cifar100", home)


def fashion_mnist(home: Path) -> RawDataset:
    """Fashion-MNIST (Xiao et al. 2017) from whatever form is in the data folder: 28x28 pixels, grey.

    Raises:
        DataError: It is missing, is not the published one, or does not hold what it should.
    """
    return load("fashion_mnist", home)


def load(name: str, home: Path) -> RawDataset:
    """A data set as it lies in the data folder, in canonical order.

    Raises:
        DataError: As :func:`cifar10`.
    """
    place = locate(name, home)
    if place is None:
        raise DataError(f"{name} is not in {home / name}; get it with: bench data get {name}")
    if place.path == home / name / ADOPTED:
        return _adopted(name, home)
    return read(name, place)


def read(name: str, place: Place) -> RawDataset:
    """A data set from a folder or an archive, checked and in canonical order.

    Raises:
        DataError: As :func:`cifar10`; the text names the file and what is wrong with it.
    """
    try:
        checked = _published(name, place)
        form, content = _open(name, place)
        raw = _canonical(_counted(name, _decode(name, form, content, place.path), place.path))
    except OSError as error:
        hint = "; allow it with: chmod -R u+rX" if isinstance(error, PermissionError) else ""
        raise DataError(f"{error.filename or place.path} cannot be read: {error.strerror or error}{hint}") from error
    except MemoryError:
        raise DataError(f"{place.path} needs more memory than there is") from None
    if not checked:
        _plausible(name, raw, place.path)
    return raw


def _adopted(name: str, home: Path) -> RawDataset:
    folder, card = home / name / ADOPTED, adopted_card(name, home)
    again = f"remove {folder} and get {name} again with: bench data get {name}"
    try:
        arrays = {part: np.load(folder / f"{part}.npy", allow_pickle=False) for part in _ARRAYS}
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} cannot be read ({error}); {again}") from error
    raw = RawDataset(**arrays, classes=DATASETS[name].classes)
    if card is None or any(len(array) == 0 for array in arrays.values()):
        raise DataError(f"{folder} is not whole; {again}")
    return raw


_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


# --- Checks ----------------------------------------------------------------------------------------------------------


def _published(name: str, place: Place) -> bool:
    """Compare files with published checksums; whether that covers all of them.

    Raises:
        DataError: One differs.
    """
    known = {archive.name: archive for group in groups(DATASETS[name]) for archive in group}
    if place.form is None:
        if (archive := known.get(place.path.name)) is None:
            return False
        problems = [archive_problem(place.path, archive)]
    elif place.checked:
        problems = [archive_problem(place.path / file, known[file]) for file in place.form.files]
    elif place.form.kind == "pickle":
        files = [place.path / file for file in (*place.form.train, *place.form.test)]
        problems = [part_problem(file, DATASETS[name].parts) for file in files]
        if not all(file.name in DATASETS[name].parts for file in files):
            return False
    else:
        return False
    if wrong := next((problem for problem in problems if problem), None):
        raise DataError(f"{wrong}; get it again with: bench data get {name}")
    return True


def _counted(name: str, raw: RawDataset, path: Path) -> RawDataset:
    """Refuse a data set whose numbers of images or labels are not the published ones."""
    spec = DATASETS[name]
    for part, wanted in (("train", spec.train_images), ("test", spec.test_images)):
        images, labels = getattr(raw, f"{part}_images"), getattr(raw, f"{part}_labels")
        if (len(images), len(labels)) != (wanted, wanted):
            raise DataError(
                f"{path}: {name} holds {len(images):,} images and {len(labels):,} labels for {part} instead of"
                f" {wanted:,}"
            )
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= spec.num_classes:
            wrong = highest if lowest >= 0 else lowest
            raise DataError(f"{path}: {name} holds the label {wrong}, though it has {spec.num_classes} classes")
    return raw


def _plausible(name: str, raw: RawDataset, path: Path) -> None:
    """Refuse pixels that no checksum vouches for and whose mean or deviation is not the published one."""
    from bench.worker.data.pack import channel_statistics

    spec = DATASETS[name]
    if not spec.mean:
        return
    for what, found, wanted in zip(
        ("mean", "deviation"), channel_statistics(raw.train_images), (spec.mean, spec.std), strict=True
    ):
        if max(abs(one - other) for one, other in zip(found, wanted, strict=True)) > TOLERANCE:
            numbers = [", ".join(f"{value:.4f}" for value in values) for values in (found, wanted)]
            raise DataError(
                f"{path} is not {spec.title} as it was published: its pixels have the {what} {numbers[0]} instead of"
                f" {numbers[1]} a channel; images that were changed can be used as dataset: folder:PATH"
            )


def _canonical(raw: RawDataset) -> RawDataset:
    """The images of each split sorted by the SHA-256 of label (8 bytes, little-endian) and pixels."""
    sorted_parts: dict[str, Any] = {}
    for part in ("train", "test"):
        images, labels = getattr(raw, f"{part}_images"), getattr(raw, f"{part}_labels").astype("<i8")
        keys = [
            hashlib.sha256(label.tobytes() + image.tobytes()).digest()
            for image, label in zip(images, labels, strict=True)
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        sorted_parts |= {f"{part}_images": images[order], f"{part}_labels": labels[order].astype(np.int64)}
    return RawDataset(**sorted_parts, classes=raw.classes)


# --- Opening ---------------------------------------------------------------------------------------------------------


def _open(name: str, place: Place) -> tuple[Form, Read]:
    """The form that lies at a place, and how to read its files."""
    if place.form:
        return place.form, lambda file: _bounded(place.path / file)
    content = _unpacked(name, place.path)
    found = formats.recognise(name, sorted(content))
    if found.form is None:
        held = ", ".join(sorted({file.rpartition("/")[2] for file in content})[:6]) or "nothing"
        why = f"{found.problem}; {found.remedy}" if found.problem else f"it holds {held}"
        raise DataError(f"{place.path} lacks the files of {name}: {why}")
    return found.form, content.__getitem__


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path} has more than {LARGEST / 1e6:,.0f} MB, which no small data set holds")
    return path.read_bytes()


def _unpacked(name: str, path: Path) -> dict[str, bytes]:
    """The regular files of a tar archive by their names, which are compared and never opened."""
    content: dict[str, bytes] = {}
    left = LARGEST
    try:
        with tarfile.open(path, "r:*") as tar:
            for member in (each for each in tar if each.isfile()):
                left -= member.size
                if left < 0 or len(content) > MOST_FILES:
                    raise DataError(f"{path} unpacks to more than {LARGEST / 1e6:,.0f} MB, which {name} does not hold")
                if (stream := tar.extractfile(member)) is not None:
                    content["/".join(part for part in member.name.split("/") if part not in ("", ".", ".."))] = (
                        stream.read()
                    )
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} cannot be read as a tar archive: {error}") from error
    return content


# --- Decoding --------------------------------------------------------------------------------------------------------


def _decode(name: str, form: Form, content: Read, path: Path) -> RawDataset:
    parts: dict[str, Any] = {}
    decode = {"binary": _binary, "pickle": _pickled, "idx": _idx, "parquet": _parquet, "images": _pictures}[form.kind]
    for part, files in (("train", form.train), ("test", form.test)):
        parts[f"{part}_images"], parts[f"{part}_labels"] = decode(name, files, content, path)
    if form.names:
        _check_names(name, form, content(form.names), path)
    return RawDataset(**parts, classes=DATASETS[name].classes)


def _check_names(name: str, form: Form, content: bytes, path: Path) -> None:
    """Refuse files whose own list of classes is another: their labels would be taken for the wrong ones."""
    if form.kind == "pickle":
        listed = pickles.read(content, path / form.names)
        names = listed.get("label_names" if name == "cifar10" else "fine_label_names", [])
        found = [each.decode("latin1") if isinstance(each, bytes) else str(each) for each in names]
    else:
        found = content.decode("utf-8", "replace").split()
    if found != list(DATASETS[name].classes):
        raise DataError(
            f"{path / form.names} names other classes than {name} has: {', '.join(found[:5]) or 'none'}, ..."
        )


def _binary(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    """Records of one label, or of a coarse and a fine one, and 3 x 32 x 32 pixels."""
    label_bytes = 1 if name == "cifar10" else 2
    record = label_bytes + 3 * 32 * 32
    tables = []
    for file in files:
        data = content(file)
        if len(data) % record:
            raise DataError(f"{path / file} is not made of records of {record} bytes")
        tables.append(np.frombuffer(data, dtype=np.uint8).reshape(-1, record))
    table = np.concatenate(tables)
    images = np.ascontiguousarray(table[:, label_bytes:]).reshape(-1, 3, 32, 32)
    return images, table[:, label_bytes - 1].astype(np.int64)


def _pickled(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    images, labels = [], []
    for file in files:
        batch = pickles.read(content(file), path / file)
        data, own = batch.get("data"), batch.get("labels" if name == "cifar10" else "fine_labels")
        if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3 * 32 * 32 or not _integers(own):
            raise DataError(f"{path / file} does not hold the images and labels of {name}")
        images.append(data.reshape(-1, 3, 32, 32))
        labels.append(np.array(own, dtype=np.int64))
    return np.concatenate(images).astype(np.uint8, copy=False), np.concatenate(labels)


def _integers(labels: object) -> bool:
    return isinstance(labels, list) and all(type(each) is int and 0 <= each < 1 << 31 for each in labels)


def _idx(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    images, labels = (_idx_array(content(file), path / file) for file in files)
    size = DATASETS[name].input_size
    if images.ndim != 3 or images.shape[1:] != (size, size) or labels.ndim != 1:
        raise DataError(f"{path / files[0]} does not hold images of {size}x{size} pixels")
    return images[:, None], labels.astype(np.int64)


def _idx_array(data: bytes, path: Path) -> Images:
    """An IDX file, gzipped or not, of images (N, H, W) or labels (N,)."""
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be read as gzip: {error}") from error
    if len(data) > LARGEST:
        raise DataError(f"{path} unpacks to more than {LARGEST / 1e6:,.0f} MB, which no small data set holds")
    axes = {IDX_IMAGES: 3, IDX_LABELS: 1}.get(int.from_bytes(data[:4], "big"))
    if axes is None or len(data) < 4 + 4 * axes:
        raise DataError(f"{path} is no IDX file of images or labels")
    shape = tuple(int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes))
    pixels = np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes)
    if pixels.size != np.prod([float(side) for side in shape]):
        raise DataError(f"{path} announces {' x '.join(map(str, shape))} bytes and holds {pixels.size:,}")
    return pixels.reshape(shape)


def _parquet(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    """Hugging Face's tables: a column of image files (``img`` or ``image``) and one of labels."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path} holds parquet files, which need pyarrow: pip install pyarrow") from None
    encoded: list[tuple[str, bytes]] = []
    labels: list[int] = []
    for file in files:
        try:
            table = parquet.ParquetFile(pyarrow.BufferReader(content(file)))
            groups_ = [table.metadata.row_group(number) for number in range(table.metadata.num_row_groups)]
            if sum(group.total_byte_size for group in groups_) > LARGEST:
                raise DataError(
                    f"{path / file} unpacks to more than {LARGEST / 1e6:,.0f} MB, which {name} does not hold"
                )
            columns = table.schema_arrow.names
            image = next((each for each in ("img", "image") if each in columns), None)
            label = next((each for each in ("fine_label", "label") if each in columns), None)
            if image is None or label is None:
                raise DataError(f"{path / file} has the columns {', '.join(columns)}, none of images and labels")
            rows = table.read([image, label])
            cells = rows.column(image).to_pylist()
            labels += rows.column(label).to_pylist()
        except pyarrow.ArrowException as error:
            raise DataError(f"{path / file} cannot be read as parquet: {str(error).splitlines()[0]}") from error
        for number, cell in enumerate(cells):
            held = cell.get("bytes") if isinstance(cell, dict) else cell
            if not isinstance(held, bytes):
                raise DataError(f"{path / file} holds no image file in row {number}")
            encoded.append((f"{path / file}, row {number}", held))
    if not _integers(labels):
        raise DataError(f"{path / files[0]} has labels that are no whole numbers")
    return _decoded(name, len(encoded), iter(encoded)), np.array(labels, dtype=np.int64)


def _pictures(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    known = formats.class_labels(name)
    labels = [label for file in files if (label := formats.label_of(file, known)) is not None]
    images = _decoded(name, len(files), ((str(path / file), content(file)) for file in files))
    return images, np.array(labels, dtype=np.int64)


def _decoded(name: str, count: int, files: Iterator[tuple[str, bytes]]) -> Images:
    """Image files as (N, C, H, W), each of the data set's own size and of a format without loss."""
    from PIL import Image

    spec = DATASETS[name]
    size, mode = (spec.input_size, spec.input_size), "RGB" if spec.channels == 3 else "L"
    images = np.empty((count, spec.channels, *size), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for place, (where, data) in enumerate(files):
            try:
                with Image.open(io.BytesIO(data)) as image:
                    if image.format not in LOSSLESS:
                        raise DataError(f"{formats.lossy_problem(where)} ({image.format}); {formats.lossy_remedy('')}")
                    if image.size != size:  # before anything is decoded
                        raise DataError(
                            f"{where} has {image.width}x{image.height} pixels instead of {size[0]}x{size[1]}"
                        )
                    pixels = np.asarray(image.convert(mode))
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Warning) as error:
                raise DataError(f"{where} cannot be read as an image ({error})") from error
            images[place] = pixels.transpose(2, 0, 1) if spec.channels == 3 else pixels
    return images


# --- Adopting --------------------------------------------------------------------------------------------------------


def adopt(name: str, path: Path, home: Path) -> dict[str, Any]:
    """Decode a data set that lies elsewhere and keep its arrays in the data folder; returns their card.

    Raises:
        DataError: What lies there is not the data set, or the disk refuses; then nothing is kept.
    """
    from bench.worker.data.pack import content_digest, write_whole

    place = formats.find(name, path)
    raw = read(name, place)
    card = {
        "name": name,
        "form": place.words,
        "origin": str(path),
        "digest": content_digest(raw),
        "train_images": len(raw.train_labels),
        "test_images": len(raw.test_labels),
    }
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / f".{name}.lock"):
            return write_whole(home / name / ADOPTED, raw, card, hashed=True)
    except OSError as error:
        raise DataError(
            f"{name} cannot be written to {home / name}: {error.strerror or error}; BENCH_DATA names another folder"
        ) from error
