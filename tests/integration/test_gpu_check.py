"""The command for a leased GPU, as far as a CPU can run it: a lease is no time to find a slip in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[1] / "benchmarks" / "gpu" / "check.py"


def check(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(CHECK), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_check_for_a_gpu_runs_on_the_cpu(tmp_path: Path) -> None:
    done = check("--dry", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in (tmp_path / "check.jsonl").read_text().splitlines()]
    assert len({each["check"] for each in found}) == 10
    assert "do not hold" in done.stdout.splitlines()[-1]
    assert not list(tmp_path.glob("runs-*")), "nothing is left of checks that hold"


def test_a_folder_that_is_no_data_set_is_refused_before_anything_runs(tmp_path: Path) -> None:
    done = check(str(tmp_path), "--dry", "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "has no folder train/" in done.stderr
    assert not (tmp_path / "out").exists()
