"""Folders of cells from somebody else: what in them may be read and written.

``bench sync`` replays folders that were copied from anywhere, and the forwarder uploads what their journals name. A
journal that names another file, or a link in the place of a file, would have bench read or write outside the folder.
"""

import os
from pathlib import Path

from bench.workspace.events import Event, decode
from bench.workspace.paths import CellFolder


def is_own_file(path: Path, folder: CellFolder) -> bool:
    """Whether a path leads to a regular file inside a cell's folder: no link out of it, no pipe, no device."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.root.resolve())
    except (OSError, ValueError, RuntimeError):
        return False  # a loop of links, or a name that no file can have


def stray_file(folder: CellFolder) -> Path | None:
    """The first of the files that bench itself reads or writes in a cell's folder that is not the folder's own."""
    own = [folder.cell, folder.result, folder.tracking, folder.tracking_lock, folder.lock, folder.worker_lock]
    for attempt in folder.attempts():
        own += [attempt.request, attempt.journal]
    return next((path for path in own if os.path.lexists(path) and not is_own_file(path, folder)), None)


def line_of(event: Event, folder: CellFolder) -> str:
    """Where an event stands in a cell's journals, as FILE:LINE; the folder where it is in none."""
    for attempt in folder.attempts():
        for number, line in enumerate(attempt.journal.read_bytes().splitlines(), start=1):
            if decode(line) == event:
                return f"{attempt.journal}:{number}"
    return str(folder.root)
