"""Runs without MLflow, whose journals are sent to a store later."""

import shutil
from pathlib import Path

import pytest
from helpers.cli import bench, run, runs, table_of, write_suite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def without_mlflow(project: Path) -> dict[str, str]:
    """An environment in which mlflow cannot be imported, as on a machine that does not have it."""
    blocked = project / "blocked" / "mlflow"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'mlflow'\", name='mlflow')\n")
    return {"PYTHONPATH": str(blocked.parent)}


def test_an_offline_run_needs_no_mlflow_and_syncs_any_number_of_times(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:net", "nets.py:Failing"])
    done = run(suite, "--offline", env=without_mlflow(project))
    assert done.returncode == 1, done.stderr
    assert "| nets.py:net" in done.stdout
    assert not (project / "mlflow.db").exists()
    assert bench("report", suite).stdout == done.stdout, "a report needs no store"
    elsewhere = project / "elsewhere"
    shutil.copytree(project / ".bench", elsewhere / ".bench")
    for folder in (elsewhere, project, elsewhere / ".bench", project):
        synced = bench("sync", str(folder))
        assert synced.returncode == 0, synced.stderr
        assert "2 runs" in synced.stderr
    found = {each["params"]["model"]: each for each in runs(project)}
    assert len(runs(project)) == 2
    assert found["nets.py:net"]["steps"] == [1, 2]
    assert (found["nets.py:net"]["status"], found["nets.py:Failing"]["status"]) == ("FINISHED", "FAILED")
    assert "traceback.txt" in found["nets.py:Failing"]["artifacts"]
    assert "| nets.py:net" in found["nets.py:net"]["note"]
    assert table_of(bench("report", suite).stdout) == table_of(done.stdout)


def test_a_rerun_made_offline_supersedes_the_old_run_when_synced(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:net"])
    assert run(suite, "--offline").returncode == 0
    assert run(suite, "--offline", "--rerun").returncode == 0
    for _ in range(2):
        assert bench("sync").returncode == 0
    found = runs(project)
    assert sorted("bench.superseded" in each["tags"] for each in found) == [False, True]
