"""Locks between processes, here between two open files of one process."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from filelock import FileLock

from bench.workspace.locks import hold_lock, is_held, lock_cell, shared_use, sole_use, try_lock, wait_for_lock
from bench.workspace.paths import CellFolder


class TestTryLock:
    def test_it_says_whether_another_holds_the_lock_and_does_not_wait(self, tmp_path: Path) -> None:
        path = tmp_path / "lock"
        with try_lock(path) as first, try_lock(path) as second:
            assert (first, second) == (True, False)
        with try_lock(path) as again:
            assert again

    def test_a_folder_that_is_not_there_has_no_holder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with try_lock(tmp_path / "file" / "lock") as free:
            assert free


class TestLockCell:
    def test_a_cell_is_locked_for_one_run(self, tmp_path: Path) -> None:
        folder = CellFolder(tmp_path / "cell")
        lock = lock_cell(folder)
        assert lock is not None
        assert lock_cell(folder) is None
        lock.release()
        assert lock_cell(folder) is not None

    def test_a_cell_whose_last_worker_still_saves_is_not_locked(self, tmp_path: Path) -> None:
        folder = CellFolder(tmp_path)
        with FileLock(folder.worker_lock):
            assert lock_cell(folder) is None
            assert is_held(folder)
        assert not is_held(folder), "lock_cell has let go of its own lock"


@pytest.mark.parametrize("hold", [wait_for_lock, hold_lock])
def test_a_lock_is_held_for_the_block(tmp_path: Path, hold: Callable[[Path], AbstractContextManager[None]]) -> None:
    path = tmp_path / "lock"
    with hold(path), try_lock(path) as free:
        assert not free
    with try_lock(path) as free:
        assert free


def test_where_no_lock_can_be_written_hold_lock_does_without_and_wait_for_lock_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    entered = False
    with hold_lock(tmp_path / "file" / "lock"):
        entered = True
    assert entered
    with pytest.raises(OSError, match=r"Not a directory|File exists"), wait_for_lock(tmp_path / "file" / "lock"):
        pass


def test_speed_is_measured_alone_and_runs_share_a_machine(tmp_path: Path) -> None:
    lock, said = tmp_path / "devices.lock", []

    def run(*, stopped: bool = False) -> AbstractContextManager[None]:
        return shared_use(lock, stopped=lambda: stopped, waiting=lambda: said.append("waiting"))

    with run(), run(), sole_use(lock) as alone:
        assert not alone
    with sole_use(lock) as alone, run(stopped=True):
        assert alone
    assert not said


def test_a_run_waits_until_speed_has_been_measured(tmp_path: Path) -> None:
    lock = tmp_path / "devices.lock"
    with ExitStack() as measuring:
        measuring.enter_context(sole_use(lock))
        with shared_use(lock, stopped=lambda: False, waiting=measuring.close), sole_use(lock) as alone:
            assert not alone, "the run has it now"
