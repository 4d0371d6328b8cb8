"""What a data set that is found, or not ready, is compared with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.datasets.source import open_source, require
from bench.datasets.splits import WHOLE, ImageRecord
from bench.errors import DataError


def contents(root: Path, records: Iterator[ImageRecord]) -> list[tuple[str, str, bytes]]:
    """Class, name and bytes of images, read from where the records say."""
    images = []
    for record in records:
        data = (root / record.file).read_bytes()
        begins = 0 if record.offset == WHOLE else record.offset
        images.append((record.category, record.name, data[begins : begins + record.size]))
    return images


def not_ready(home: Path, name: str = "imagenet") -> str:
    """The sentence of a quick status that is not ready; a deep one must not be ready either."""
    statuses = [open_source(name).status(home, deep=deep) for deep in (False, True)]
    assert "ready" not in [status.state for status in statuses]
    with pytest.raises(DataError):
        require([name], home, download=False)
    return statuses[0].sentence
