"""Figures that were measured once and are kept in a JSON file: costs of nets in BENCH_HOME, speeds per machine.

The files are caches: what is missing, damaged or could not be written is measured again, so that looking works in a
folder that cannot be written. Several processes may add to one file.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.workspace.files import write_atomically
from bench.workspace.locks import wait_for_lock

Entries = dict[str, dict[str, object]]
"""Figures by key; the key holds everything that decides them."""


def read_cache(path: Path) -> Entries:
    """The entries of a cache file; empty if it is missing or damaged."""
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def add_to_cache(path: Path, entries: Mapping[str, Mapping[str, object]]) -> None:
    """Add entries to a cache file, beside those that other processes added. Does nothing if it cannot be written."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with wait_for_lock(path.with_suffix(".lock")):
            write_atomically(path, json.dumps({**read_cache(path), **entries}, sort_keys=True))
