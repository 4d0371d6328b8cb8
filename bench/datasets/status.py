"""Whether a data set is on this machine: what every source answers, in a sentence for people.

The sources build :class:`Status` values; the command line, ``bench doctor`` and :func:`bench.datasets.source.require`
read them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

StatusState = Literal["ready", "absent", "incomplete", "corrupt"]


@dataclass(frozen=True)
class Status:
    """The state of a data set on this machine."""

    name: str
    state: StatusState
    folder: Path
    """Where it is, or was looked for."""
    sentence: str
    """What is there, and what to do if it is not ready."""
    size_bytes: int
    """Bytes of its files; 0 for built-in data sets, manual downloads and image folders that were not checked deeply."""


def range_per_class(counts: Collection[int]) -> str:
    """Fewest and most images of a class, in words."""
    fewest, most = min(counts), max(counts)
    return f"{fewest:,} per class" if fewest == most else f"{fewest:,} to {most:,} per class"
