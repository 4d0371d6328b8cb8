"""Calls: typed requests to worker processes forked from one process that has imported torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cells import MakeCell

from bench.errors import BenchError
from bench.scheduler.calls import call_worker, call_workers_together
from bench.values import Cost, Failure, Mode
from bench.workspace.requests import Measure, Request, Trial

GOOD = """
from torch import nn

def net(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes))
"""
BAD = """
import ctypes, os, signal, sys, threading, time
from torch import nn

def good(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes))

def exits(num_classes):
    os._exit(9)

def crashes(num_classes):
    ctypes.string_at(0)

def killed(num_classes):
    os.kill(os.getpid(), signal.SIGKILL)

def leaves(num_classes):
    sys.exit("done")

def threads(num_classes):
    threading.Thread(target=time.sleep, args=(10**6,)).start()
    os.chdir("/")
    return good(num_classes)

def hangs(num_classes):
    time.sleep(10**6)

def works(num_classes):
    end = time.monotonic() + 4
    while time.monotonic() < end:
        pass
    return good(num_classes)
"""


def measure_of(model: str) -> Measure:
    return Measure(model=model, stem="standard", input_size=8, num_classes=10)


class TestCallWorker:
    def test_a_script_without_a_guard_gets_a_typed_answer_and_imports_no_torch(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            "import sys\n"
            "from bench.scheduler.calls import call_worker\n"
            "from bench.workspace.requests import Measure\n"
            "request = Measure(model='shufflenet_v2_x0_5', stem='standard', input_size=32, num_classes=10)\n"
            "print(call_worker([request], threads=1)[0].params, 'torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=120)
        assert done.stdout.split() == ["352042", "False"], done.stderr

    def test_nothing_is_started_for_no_requests(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr("bench.scheduler.calls.WorkerCall")
        assert call_worker([], threads=1) == []

    def test_a_request_that_fails_costs_no_other_its_answer(self, project: Path) -> None:
        (project / "nets.py").write_text(GOOD)
        broken, whole = call_worker([measure_of("nets.py:absent"), measure_of("nets.py:net")], threads=1)
        assert isinstance(broken, Failure)
        assert "absent" in broken.error
        assert isinstance(whole, Cost)

    def test_a_net_that_takes_its_process_with_it_costs_no_other_its_answer(self, project: Path) -> None:
        (project / "bad.py").write_text(BAD)
        names = ["exits", "good", "crashes", "killed", "threads", "leaves"]
        answers = call_worker([measure_of(f"bad.py:{name}") for name in names], threads=1)
        assert [type(answer) for answer in answers] == [Failure, Cost, Failure, Failure, Cost, Failure]
        failures = {name: answer for name, answer in zip(names, answers, strict=True) if isinstance(answer, Failure)}
        assert "bad.py:exits ended its process" in failures["exits"].error
        assert "exit code 9" in failures["exits"].error
        assert "signal 11 (SIGSEGV) (bad.py, line 12)" in failures["crashes"].error
        assert "memory ran out" in failures["killed"].error
        assert "called sys.exit('done') (bad.py, line 18)" in failures["leaves"].error
        assert [failure.kind for failure in failures.values()] == ["lost", "lost", "lost", "error"]
        assert "bad.py" in failures["leaves"].traceback

    def test_a_net_that_hangs_is_ended_in_its_time_and_its_line_is_named(self, project: Path) -> None:
        (project / "bad.py").write_text(BAD)
        [answer] = call_worker([measure_of("bad.py:hangs")], threads=1, limit_s=5)
        assert isinstance(answer, Failure)
        assert answer.kind == "timeout"
        assert "not built and measured: it took longer than 5 s, so it hangs (bad.py, line 26)" in answer.error

    def test_work_without_a_limit_is_ended_only_when_it_shows_no_sign_of_life(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Measure, "limit_s", None)  # as the work with data has none
        monkeypatch.setattr("bench.scheduler.calls.LOOK_S", 0.2)
        monkeypatch.setattr("bench.scheduler.calls.STILL_S", 2.0)
        (project / "bad.py").write_text(BAD)
        works, hangs = call_worker([measure_of("bad.py:works"), measure_of("bad.py:hangs")], threads=1)
        assert isinstance(works, Cost)
        assert isinstance(hangs, Failure)
        assert "showed no sign of life for 2 s" in hangs.error

    def test_what_a_worker_dies_of_is_reported_in_a_sentence(self) -> None:
        class Nonsense(Request[Cost]):
            command = "nonsense"

        with pytest.raises(
            BenchError,
            match=r"the worker for 'nonsense' ended with exit code 1: ValueError: unknown command 'nonsense'",
        ):
            call_worker([Nonsense()], threads=1)

    def test_variables_of_the_scheduler_and_of_its_fork_server_do_not_mix(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (project / "nets.py").write_text(
            "import os\ndef net(num_classes):\n"
            "    raise ValueError(os.environ['NOTED'] + str(os.environ.get('MLFLOW_X')))\n"
        )
        monkeypatch.setenv("MLFLOW_X", "secret")
        for value in ("one", "two"):  # the fork server has started by the second
            monkeypatch.setenv("NOTED", value)
            [answer] = call_worker([measure_of("nets.py:net")], threads=1)
            assert isinstance(answer, Failure)
            assert f"{value}None" in answer.error
        assert "OPENBLAS_NUM_THREADS" not in os.environ


class TestCallWorkersTogether:
    def test_a_worker_that_dies_leaves_no_other_waiting(self, project: Path, make_cell: MakeCell) -> None:
        (project / "nets.py").write_text(
            "import os, pathlib\ndef net(num_classes):\n"
            "    try: pathlib.Path('first').touch(exist_ok=False)\n"
            "    except FileExistsError: os._exit(7)\n"
            "    import torch\n"
            "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(num_classes))\n"
        )
        trial = Trial(
            cell=make_cell("nets.py:net"), num_classes=10, mode=Mode(threads=1), device="cpu", deterministic=False
        )
        answers = call_workers_together(trial, concurrency=2, threads=1, visible="")
        failures = [answer for answer in answers if isinstance(answer, Failure)]
        assert len(failures) == 2
        assert any("exit code 7" in failure.error for failure in failures)
