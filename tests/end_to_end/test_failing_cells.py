"""Cells that diverge, run out of memory, crash or hang: the others run, and the table says why."""

from pathlib import Path

import pytest
from helpers.cli import run, runs, write_suite
from helpers.faults import grandchildren

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_diverged_cell_shows_nan_and_the_others_run(project: Path, tiny_models: Path) -> None:
    (project / "tiny.yaml").write_text(
        "suite: tiny\nrecipe: {epochs: 2, batch_size: 64, optimizer: {lr: 0.05}}\ncells:\n"
        "  - {model: nets.py:net, dataset: digits, schedule: cosine, recipe: {optimizer: {lr: 1.0e+30}}}\n"
        "  - {model: nets.py:dropping, dataset: digits, schedule: cosine}\n"
    )
    done = run("tiny.yaml")
    assert done.returncode == 1
    assert "diverged" in done.stdout
    found = {each["params"]["model"]: each for each in runs(project)}
    assert found["nets.py:dropping"]["tags"]["bench.state"] == "complete"
    points = {value for points in found["nets.py:net"]["points"].values() for _, value in points}
    assert "nan" in points
    assert not any("e+308" in value for value in points)
    again = run("tiny.yaml")
    assert "started nets.py:net" in again.stderr, "a failed cell is tried again by the next run"


@pytest.mark.parametrize(("times", "code", "attempts"), [(1, 0, "2"), (9, 1, "2")])
def test_a_cell_out_of_memory_is_tried_once_more_and_its_batch_size_is_kept(
    project: Path, tiny_models: Path, times: int, code: int, attempts: str
) -> None:
    (project / "out-of-memory").write_text("x" * times)
    suite = write_suite(project, ["nets.py:Greedy"])
    done = run(suite)
    assert done.returncode == code, done.stderr
    assert "alone on its device: out of memory" in done.stderr
    assert ("failed: oom" in done.stdout) == (code == 1)
    (found,) = runs(project)
    assert (found["tags"]["bench.attempt"], found["params"]["batch_size"]) == (attempts, "64")


def test_a_crash_and_a_silent_exit_are_never_complete(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Crashing", "nets.py:Killed"])
    done = run(suite)
    assert done.returncode == 1
    assert done.stdout.count("failed: lost") == 2
    assert "killed by signal 11" in done.stderr
    assert "exit code 0 and no result" in done.stderr
    assert {each["status"] for each in runs(project)} == {"FAILED"}


def test_a_hung_cell_is_ended_with_its_children_and_the_others_run(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Hanging", "nets.py:net"])
    done = run(suite, "--hang-timeout", "8")
    assert done.returncode == 1, done.stderr
    assert "failed: timeout" in done.stdout
    assert "no sign of life for 8 s" in done.stderr
    assert grandchildren() == []
    assert {each["tags"]["bench.state"] for each in runs(project)} == {"failed", "complete"}


def test_retry_failed_starts_only_what_failed(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Failing", "nets.py:net"])
    assert run(suite, "--max-cells", "1").returncode == 1
    again = run(suite, "--retry-failed")
    assert "started nets.py:Failing" in again.stderr
    assert "started nets.py:net" not in again.stderr
