"""Several runs on one machine, and variables of other programs, do not disturb each other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cells import suite_text
from helpers.cli import run, runs, start, write_suite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_two_runs_of_twenty_cells_run_each_cell_once_and_print_the_same_table(project: Path, tiny_models: Path) -> None:
    (project / "tiny.yaml").write_text(
        "suite: tiny\nrecipe: {epochs: 1, batch_size: 64, optimizer: {lr: 0.05}}\n"
        f"grid: {{model: nets.py:net, dataset: digits, schedule: cosine, seed: {list(range(20))}}}\n"
    )
    both = [start("run", "tiny.yaml", "--device", "cpu", "--slots-per-device", "1") for _ in range(2)]
    outputs = [each.communicate(timeout=280) for each in both]
    assert [each.returncode for each in both] == [0, 0], outputs
    started = [text.count("started nets.py") for _, text in outputs]
    assert sum(started) == 20
    assert min(started) > 0, "the two share the work"
    assert outputs[0][0] == outputs[1][0]
    assert len(list(project.glob(".bench/cells/*/attempt-*"))) == 20


def test_variables_of_other_programs_change_nothing(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:net"])
    assert run(suite).returncode == 0
    (foreign,) = [each["id"] for each in runs(project)]
    (project / "sub").mkdir()
    (project / "sub" / "nets.py").write_text((project / "nets.py").read_text())
    (project / "sub" / "other.yaml").write_text(suite_text(["nets.py:net"], name="other", epochs=1))
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "other.yaml", "--device", "cpu"],
        cwd=project / "sub",
        env={
            **os.environ,
            "BENCH_HOME": str(project / "sub" / ".bench"),
            "MLFLOW_RUN_ID": foreign,
            "MLFLOW_EXPERIMENT_NAME": "tiny",
            "MLFLOW_TRACKING_URI": "sqlite:///../mlflow.db",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (project / "sub" / "mlflow.db").exists()
    assert len(runs(project)) == 1, "nothing was written into the run that the variable names"
    assert [each["tags"]["bench.state"] for each in runs(project, suite="other")] == ["complete"]
