"""Nets that raise, exit, crash or do anything else cost their own rows; whole commands, on digits."""

import json
from pathlib import Path

import pytest
from helpers.cli import bench, run, runs, write_suite

BAD = """
import sys
from torch import nn

def good(num_classes, width=16):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.Linear(width, num_classes))

def leaves(num_classes):
    sys.exit("no")

def crashes(num_classes):
    import ctypes
    ctypes.string_at(0)

def threads(num_classes):
    import os, threading, time
    threading.Thread(target=time.sleep, args=(10**6,)).start()
    os.chdir("/")
    return good(num_classes)

class Forgetful(nn.Linear):
    def __init__(self, num_classes):
        super().__init__(192, num_classes)

    def forward(self, images):
        return self.head(images.flatten(1))
"""


@pytest.fixture(autouse=True)
def nets(project: Path) -> None:
    (project / "bad.py").write_text(BAD)


def test_run_trains_the_good_nets_and_says_of_each_bad_one_what_happened(project: Path) -> None:
    names = ["leaves", "good", "crashes", "Forgetful", "good(width=8)", "threads"]
    done = run(write_suite(project, [f"bad.py:{name}" for name in names], epochs=1))
    assert done.returncode == 1, done.stderr
    found = {each["params"]["model"].removeprefix("bad.py:"): each["tags"] for each in runs(project)}
    states = {name: tags["bench.state"] for name, tags in found.items()}
    assert states == {name: "complete" if name.startswith(("good", "threads")) else "failed" for name in names}
    assert "called sys.exit('no') (bad.py, line 9)" in done.stderr
    assert "signal 11 (SIGSEGV) (bad.py, line 13)" in done.stderr
    assert "has no attribute 'head' (bad.py, line 26)" in done.stderr
    assert "good(width=8)" in done.stdout
    assert done.stderr.count("Traceback") == 0
    tracebacks = list((project / ".bench" / "cells").glob("*/attempt-1/traceback.txt"))
    assert len(tracebacks) == 3
    assert all("bad.py" in path.read_text() for path in tracebacks)


def test_measure_and_plan_print_what_could_be_measured(project: Path) -> None:
    done = bench("measure", "bad.py:leaves", "bad.py:good", "bad.py:crashes", "--dataset", "digits", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert [each["model"] for each in document["models"]] == ["bad.py:good"]
    assert [each["model"] for each in document["errors"]] == ["bad.py:leaves", "bad.py:crashes"]
    assert "bad.py:leaves could not be built" in done.stderr
    planned = bench("plan", write_suite(project, ["bad.py:leaves", "bad.py:good"]), "--json")
    assert planned.returncode == 0, planned.stderr
    bad, good = json.loads(planned.stdout)["cells"]
    assert "called sys.exit" in bad["reason"]
    assert (good["reason"], good["params"]) == ("", 192 * 16 + 16 + 16 * 10 + 10)
