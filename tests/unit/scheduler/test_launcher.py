"""Workers forked from one process that has imported torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.scheduler.calls import call_worker


def test_a_worker_answers_and_the_scheduler_has_not_imported_torch() -> None:
    script = (
        "import sys; from bench.scheduler.calls import call_worker\n"
        "if __name__ == '__main__':\n"
        "    request = dict(model='shufflenet_v2_x0_5', stem='standard', input_size=32, num_classes=10)\n"
        "    print(call_worker('measure', [request], threads=1)[0]['params'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["352042", "False"]


def test_what_a_worker_dies_of_is_told_in_a_sentence() -> None:
    with pytest.raises(BenchError, match=r"the worker for 'nonsense' ended with exit code 1: KeyError: 'nonsense'"):
        call_worker("nonsense", [], threads=1)


def test_variables_of_the_scheduler_and_of_its_fork_server_do_not_mix(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "nets.py").write_text(
        "import os\ndef net(num_classes):\n"
        "    raise ValueError(os.environ['NOTED'] + str(os.environ.get('MLFLOW_X')))\n"
    )
    request = {"model": "nets.py:net", "stem": "standard", "input_size": 8, "num_classes": 10}
    monkeypatch.setenv("MLFLOW_X", "secret")
    for value in ("one", "two"):  # the fork server has started by the second
        monkeypatch.setenv("NOTED", value)
        [answer] = call_worker("measure", [request], threads=1)
        assert f"{value}None" in answer["error"]
    assert "OPENBLAS_NUM_THREADS" not in os.environ
