"""Full, read-only and damaged disks: one sentence, no lost epoch."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.cli import bench, journal_has, run, start, wait_for, workers, write_suite
from helpers.faults import NAPPING, assert_same_bits, assert_whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real file system of 3 MB; ``mount -o remount,size=...`` makes room on it."""
    folder = tmp_path_factory.mktemp("disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False)
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, *, but: int) -> None:
    """Leave only so many bytes free."""
    free = shutil.disk_usage(disk).free
    (disk / "ballast").write_bytes(b"x" * max(0, free - but))


def test_a_full_disk_ends_the_run_with_a_sentence_and_it_resumes_later(
    project: Path, tiny_models: Path, small_disk: Path
) -> None:
    suite = write_suite(project, [NAPPING], epochs=12)
    (project / ".bench").symlink_to(small_disk / "home")
    (small_disk / "home").mkdir()
    scheduler = start("run", suite, "--device", "cpu", "--offline")
    wait_for(lambda: list(project.glob(".bench/cells/*/checkpoint-*.sha256")))
    fill(small_disk, but=0)
    _, errors = scheduler.communicate(timeout=120)
    assert scheduler.returncode == 3, errors
    assert "cannot be written" in errors
    assert "Traceback" not in errors
    (small_disk / "ballast").unlink()
    done = run(suite, "--offline")
    assert done.returncode == 0, done.stderr
    assert journal_has(project, '"resumed"')
    assert_same_bits(project, suite)


def test_a_full_disk_of_the_store_keeps_every_point_in_the_journals(
    project: Path, tiny_models: Path, small_disk: Path
) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=3)
    uri = f"sqlite:///{small_disk}/mlflow.db"
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", uri)
    wait_for(lambda: journal_has(project, '"step"'))
    fill(small_disk, but=0)
    output, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 3, errors
    assert "bench sync" in errors
    assert "Traceback" not in errors
    assert "| nets.py:Slow" in output, "the table is made from the journals"
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    synced = bench("sync", "--tracking-uri", uri)
    assert synced.returncode == 0, synced.stderr
    assert_whole(project, suite, uri)


def test_a_store_that_can_only_be_read_is_refused_before_anything_trains(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, [NAPPING])
    store = project / "store"
    store.mkdir()
    assert run(suite, "--max-cells", "0", "--tracking-uri", f"sqlite:///{store}/mlflow.db").returncode == 0
    if subprocess.run(["mount", "--bind", str(store), str(store)], check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(store)], check=True)
        done = run(suite, "--tracking-uri", f"sqlite:///{store}/mlflow.db")
    finally:
        subprocess.run(["umount", str(store)], check=True)
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(project.glob(".bench/cells/*/attempt-*"))


def test_a_damaged_checkpoint_is_skipped_and_the_cell_ends_equal_to_the_bit(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, [NAPPING], epochs=12)
    scheduler = start("run", suite, "--device", "cpu", "--offline")
    wait_for(lambda: len(list(project.glob(".bench/cells/*/checkpoint-*.sha256"))) == 2)
    scheduler.kill()
    scheduler.communicate()
    wait_for(lambda: not workers(project), timeout=10)
    newest = sorted(project.glob(".bench/cells/*/checkpoint-*.pt"))[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert run(suite, "--offline").returncode == 0
    assert journal_has(project, '"resumed"')
    assert_same_bits(project, suite)
