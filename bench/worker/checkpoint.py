"""Save and load the state of training, so that a file is either whole and proven or not used.

A checkpoint is written beside, synced, renamed, and counts only once its ``.sha256`` has been renamed behind it. The
last two are kept: a damaged newest one costs the epochs since the one before it.
"""

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench.workspace.failpoint import failpoint
from bench.workspace.files import write_atomically
from bench.workspace.paths import CellFolder

KEPT = 2


def save(folder: CellFolder, state: Mapping[str, Any]) -> None:
    """Write the state after ``epochs_done`` epochs and ``steps_done`` steps and drop all but the last two checkpoints.

    Raises:
        OSError: The disk is full or cannot be written; the checkpoints before stay as they were.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    path = folder.checkpoint(state["epochs_done"], state["steps_done"])
    write_atomically(path, content)
    failpoint("checkpoint-without-digest")
    write_atomically(_digest_path(path), hashlib.sha256(content).hexdigest())
    for old in folder.checkpoints()[KEPT:]:
        remove(old)


def load(folder: CellFolder, fingerprint: Mapping[str, str]) -> dict[str, Any] | None:
    """Read the newest checkpoint that is whole and was made under the same fingerprint, or return None.

    Only tensors and plain values are read (``weights_only``): a checkpoint cannot run code, and one that would is
    passed over.
    """
    for path in folder.checkpoints():
        try:
            content = path.read_bytes()
            expected = _digest_path(path).read_text()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() != expected:
            continue
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError):
            continue  # not written by save(), whatever its digest says
        if isinstance(state, dict) and state.get("fingerprint") == dict(fingerprint):
            return state
    return None


def clear(folder: CellFolder) -> None:
    """Drop all checkpoints of a cell that is complete."""
    for path in folder.checkpoints():
        remove(path)


def remove(path: Path) -> None:
    """Drop one checkpoint, its digest first, so that no moment shows a proven file that is gone."""
    _digest_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _digest_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
