"""Fingerprints: what a result depends on besides its cell, and what has changed since it was made.

A result whose fingerprint no longer matches is stale: it stays, with the reason. A checkpoint whose fingerprint differs
is not resumed. Imported on both sides of the wall.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import metadata

from bench.values import Cell, protocol_version
from bench.workspace.net_source import read_source, split_model

WORDS = {
    "data": "the data",
    "protocol": "bench's training protocol",
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "device": "the kind of device",
    "net": "the net's source",
    "model": "the model's file",
}
"""Parts of a fingerprint in words, in the order in which changes are listed."""

GONE = "missing"
"""Stands for the source of a net whose file or function is missing."""


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
        "torch": library_version("torch"),
        "device": device,
        **_net_parts(cell.model),
    }
    return {name: value for name, value in parts.items() if value}


def _net_parts(model: str) -> dict[str, str]:
    """What the net itself depends on: the library that it comes from, or its source with the libraries that it uses."""
    if split_model(model) is None:
        if model.startswith("timm/"):
            return {"timm": library_version("timm")}
        return {"torchvision": library_version("torchvision")}  # bench's own nets are made of its classes
    source = read_source(model)
    if source is None:
        return {"net": GONE}
    libraries: dict[str, str] = {
        name: library_version(name) for name in ("torchvision", "timm") if name in source.libraries
    }
    return {**libraries, "net": source.digest, "model": _file_digest(model)}


@cache
def library_version(name: str) -> str:
    """Version of an installed library without its build (``2.15.0``, not ``2.15.0+cpu``); empty if there is none."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def model_digest(model: str) -> str:
    """SHA-256 of the code that a ``path/to/file.py:function`` model runs; empty for named models and missing files.

    Without the function it is that of the whole file.
    """
    source = read_source(model)
    return source.digest if source else _file_digest(model)


def _file_digest(model: str) -> str:
    """SHA-256 of a model's whole file, by which older results and checkpoints know it; empty for a missing file."""
    parts = split_model(model)
    try:
        return hashlib.sha256(parts[0].read_bytes()).hexdigest() if parts else ""
    except OSError:
        return ""


def changes(recorded: Mapping[str, str], current: Mapping[str, str]) -> str:
    """What differs between two fingerprints, in words; empty if all parts that both have are equal."""
    differences = []
    for part, words in WORDS.items():
        before, now = recorded.get(part, ""), current.get(part, "")
        if part == "torch":
            before = before.partition("+")[0]
        if part == "model" and "net" in recorded:
            continue  # the code that is used has not changed, whatever else stands in the file
        if part == "net" and now == GONE != before:
            differences.append("the net's file or function is missing")
        elif before and now and before != now:
            is_hash = len(before) > 20
            differences.append(f"{words} changed" if is_hash else f"{words} changed from {before} to {now}")
    return ", ".join(differences)
