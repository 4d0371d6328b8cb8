"""Decode the formats that hold encoded image files: Hugging Face's Parquet tables, and class folders of images.

Called by :mod:`bench.worker.data.readers`, with the same interface as :mod:`bench.worker.data.array_formats`. Only
formats without loss are accepted. Nothing here opens a file.
"""

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from bench.catalog.datasets import DATASETS, DatasetSpec
from bench.datasets import formats
from bench.errors import DataError
from bench.worker.data.array_formats import MAX_BYTES, Read, are_labels
from bench.worker.data.raw import Images, Labels

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

LOSSLESS = frozenset({"PNG", "BMP", "PPM", "TIFF"})
"""Image formats, by Pillow's names, that keep every pixel."""
IMAGE_COLUMNS, LABEL_COLUMNS = ("img", "image"), ("fine_label", "label")
"""Columns of Hugging Face's tables; the first that a table has is taken."""


def read_parquet(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    """Hugging Face's tables: a column of image files and one of labels.

    Raises:
        DataError: pyarrow is not installed, or a file is not such a table.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path} has Parquet files, which need pyarrow: pip install 'bench[parquet]'") from None
    encoded: list[tuple[str, bytes]] = []
    labels: list[int] = []
    for file in files:
        try:
            table = parquet.ParquetFile(pyarrow.BufferReader(content(file)))
            images, own = _columns(table, path / file, name)
        except pyarrow.ArrowException as error:
            raise DataError(f"{path / file} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
        encoded += [(f"{path / file}, row {number}", image) for number, image in enumerate(images)]
        labels += own
    if not are_labels(labels):
        raise DataError(f"{path / files[0]} has labels that are not whole numbers")
    return _decode_all(encoded, len(encoded), DATASETS[name]), np.array(labels, dtype=np.int64)


def _columns(table: "ParquetFile", where: Path, name: str) -> tuple[list[bytes], list[int]]:
    """Encoded images and labels of a table, row by row."""
    groups = [table.metadata.row_group(number) for number in range(table.metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > MAX_BYTES:
        raise DataError(f"{where} unpacks to more than {MAX_BYTES / 1e6:,.0f} MB, far more than {name} has")
    columns = table.schema_arrow.names
    image = next((column for column in IMAGE_COLUMNS if column in columns), None)
    label = next((column for column in LABEL_COLUMNS if column in columns), None)
    if image is None or label is None:
        raise DataError(f"{where} has the columns {', '.join(columns)}, none of images and labels")
    rows = table.read([image, label])
    images: list[bytes] = []
    for number, cell in enumerate(rows.column(image).to_pylist()):
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise DataError(f"{where} has no image file in row {number}")
        images.append(content)
    return images, rows.column(label).to_pylist()


def read_image_files(name: str, files: Sequence[str], content: Read, path: Path) -> tuple[Images, Labels]:
    """Image files in folders that are named after classes.

    Raises:
        DataError: A file is not an image of the data set's size in a format without loss.
    """
    label_of_class = formats.class_labels(name)
    labels = [label for file in files if (label := formats.label_of(file, label_of_class)) is not None]
    encoded = ((str(path / file), content(file)) for file in files)
    return _decode_all(encoded, len(files), DATASETS[name]), np.array(labels, dtype=np.int64)


def _decode_all(encoded: Iterable[tuple[str, bytes]], count: int, spec: DatasetSpec) -> Images:
    """Named image files as (N, C, H, W)."""
    images = np.empty((count, spec.channels, spec.input_size, spec.input_size), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for number, (where, data) in enumerate(encoded):
            images[number] = decode_lossless(data, where, spec)
    return images


def decode_lossless(data: bytes, where: str, spec: DatasetSpec) -> Images:
    """An image file as (C, H, W), if it has the data set's own size and a format without loss.

    Raises:
        DataError: It does not, or it cannot be read; the text begins with ``where``.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format not in LOSSLESS:
                raise DataError(f"{formats.lossy_problem(where)} ({image.format}); {formats.lossy_remedy('')}")
            if image.size != (spec.input_size, spec.input_size):  # before anything is decoded
                raise DataError(
                    f"{where} has {image.width}x{image.height} pixels instead of {spec.input_size}x{spec.input_size}"
                )
            pixels = np.asarray(image.convert("RGB" if spec.channels == 3 else "L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Warning) as error:
        raise DataError(f"{where} cannot be read as an image ({error})") from error
    return pixels.transpose(2, 0, 1) if spec.channels == 3 else pixels[None]
