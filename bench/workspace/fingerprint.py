"""Fingerprints: what a result depends on besides its cell, and what has changed since it was made.

A result whose fingerprint no longer matches is stale: it stays, with the reason. A checkpoint whose fingerprint differs
is not resumed. Imported on both sides of the wall.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from bench.values import Cell, protocol_version

WORDS = {
    "data": "the data",
    "protocol": "bench's training protocol",
    "torch": "torch",
    "device": "the kind of device",
    "model": "the model's file",
}
"""Parts of a fingerprint in words, in the order in which changes are listed."""


def fingerprint(cell: Cell, *, data: str, device: str) -> dict[str, str]:
    """What a result of a cell depends on; a part that is unknown here is left out.

    Args:
        cell: The cell.
        data: Digest of the data set's pixels and labels; empty if unknown.
        device: ``cpu`` or ``cuda``; empty if it does not matter.
    """
    parts = {
        "data": data,
        "protocol": str(protocol_version(cell)),
        "torch": torch_version(),
        "device": device,
        "model": model_digest(cell.model),
    }
    return {name: value for name, value in parts.items() if value}


@cache
def torch_version() -> str:
    """Version of the installed torch without its build (``2.15.0``, not ``2.15.0+cpu``); empty if there is none."""
    try:
        return metadata.version("torch").partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def model_digest(model: str) -> str:
    """SHA-256 of the file of a ``path/to/file.py:function`` model; empty for named models and for a missing file."""
    file, colon, _ = model.rpartition(":")
    if not colon or not file.endswith(".py"):
        return ""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def changes(recorded: Mapping[str, str], current: Mapping[str, str]) -> str:
    """What differs between two fingerprints, in words; empty if all parts that both have are equal."""
    differences = []
    for part, words in WORDS.items():
        before, now = recorded.get(part, ""), current.get(part, "")
        if part == "torch":
            before = before.partition("+")[0]
        if before and now and before != now:
            is_hash = len(before) > 20
            differences.append(f"{words} changed" if is_hash else f"{words} changed from {before} to {now}")
    return ", ".join(differences)
