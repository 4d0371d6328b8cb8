"""Checkpoints: whole or not used, the last two kept, and nothing in them runs."""

import hashlib
import os
from pathlib import Path

import pytest
import torch

from bench.worker import checkpoint
from bench.workspace.paths import CellFolder

PRINT = {"torch": "x"}


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    return CellFolder(tmp_path)


def save(folder: CellFolder, epochs: int) -> None:
    state = {"net": {"w": torch.full((1000,), float(epochs))}, "epochs_done": epochs, "steps_done": 0}
    checkpoint.save(folder, {**state, "fingerprint": PRINT})


def test_the_newest_of_two_is_loaded_and_older_ones_are_dropped(folder: CellFolder) -> None:
    for epochs in (1, 2, 3):
        save(folder, epochs)
    state = checkpoint.load(folder, PRINT)
    assert state is not None
    assert state["epochs_done"] == 3
    assert torch.equal(state["net"]["w"], torch.full((1000,), 3.0))
    assert len(folder.checkpoints()) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "undated"])
def test_a_damaged_newest_one_is_passed_over_for_the_one_before(folder: CellFolder, damage: str) -> None:
    save(folder, 1)
    save(folder, 2)
    newest = folder.checkpoints()[0]
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    elif damage == "cut":
        newest.write_bytes(content[:-30])
    else:
        newest.with_name(newest.name + ".sha256").unlink()
    state = checkpoint.load(folder, PRINT)
    assert state is not None
    assert state["epochs_done"] == 1


def test_a_checkpoint_of_other_data_or_another_torch_is_not_continued(folder: CellFolder) -> None:
    save(folder, 1)
    assert checkpoint.load(folder, {"torch": "y"}) is None


def test_no_checkpoint_is_no_state(folder: CellFolder) -> None:
    assert checkpoint.load(folder, PRINT) is None


def test_a_failed_write_leaves_the_checkpoint_before_as_it_was(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(folder, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(folder, 2)
    monkeypatch.undo()
    state = checkpoint.load(folder, PRINT)
    assert state is not None
    assert state["epochs_done"] == 1
    assert not list(folder.root.glob(".*.tmp"))


def test_clearing_removes_every_checkpoint(folder: CellFolder) -> None:
    save(folder, 1)
    checkpoint.clear(folder)
    assert list(folder.root.iterdir()) == []


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_a_checkpoint_that_would_run_code_is_passed_over_and_nothing_ran(folder: CellFolder) -> None:
    save(folder, 1)
    evil = folder.checkpoint(2, 0)
    torch.save({"net": Evil(folder.root / "touched"), "fingerprint": PRINT}, evil)
    digest = hashlib.sha256(evil.read_bytes()).hexdigest()
    evil.with_name(evil.name + ".sha256").write_text(digest)
    state = checkpoint.load(folder, PRINT)
    assert state is not None
    assert state["epochs_done"] == 1
    assert not (folder.root / "touched").exists()
