"""Save and load the state of training. A checkpoint is either complete and verified or not used.

It is written to a temporary file, synced and renamed, and counts only once its ``.sha256`` is there too. The last two
are kept: if the newest one is damaged, only the training since the one before it is lost.

Called by :mod:`bench.worker.state` and :mod:`bench.worker.results`. Does not know what the state means.
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
from bench.workspace.fingerprint import changes
from bench.workspace.paths import CellFolder

KEEP = 2
"""Number of checkpoints that are kept."""


def save(folder: CellFolder, state: Mapping[str, Any]) -> None:
    """Write the state after ``epochs_done`` epochs and ``steps_done`` steps; delete all but the last two checkpoints.

    Raises:
        OSError: The disk is full or cannot be written; earlier checkpoints are intact.
    """
    # serialised in memory: the digest must be of what was meant to be written, not of what a bad disk gives back
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    path = folder.checkpoint(state["epochs_done"], state["steps_done"])
    write_atomically(path, content)
    failpoint("checkpoint-without-digest")
    write_atomically(_digest_path(path), hashlib.sha256(content).hexdigest())
    # only now that the new one is verified: at every moment there is one to resume from
    for old in folder.checkpoints()[KEEP:]:
        remove(old)


def load(folder: CellFolder, fingerprint: Mapping[str, str]) -> dict[str, Any] | None:
    """Read the newest complete checkpoint with the same fingerprint, on the CPU; None if there is none.

    Only tensors and plain values are read (``weights_only``): a checkpoint that would run code is skipped.
    """
    for path in folder.checkpoints():
        try:
            content = path.read_bytes()
            expected = _digest_path(path).read_text()
        except OSError:
            continue  # killed between the checkpoint and its digest
        if hashlib.sha256(content).hexdigest() != expected:
            continue
        try:
            # to the CPU: net and optimizer copy it to their own device, which may be another GPU than before
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError):
            continue  # the digest matches, but save() did not write it
        if isinstance(state, dict) and not changes(state.get("fingerprint") or {}, fingerprint):
            return state
    return None


def clear(folder: CellFolder) -> None:
    """Delete all checkpoints of a complete cell."""
    for path in folder.checkpoints():
        remove(path)


def remove(path: Path) -> None:
    """Delete one checkpoint, its digest first: a digest without its file would look like damage."""
    _digest_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _digest_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
