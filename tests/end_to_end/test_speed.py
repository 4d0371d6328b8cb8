"""``bench measure --speed`` and the columns that show it; whole commands on the CPU."""

import json
from pathlib import Path

import pytest
from helpers.cli import bench, write_suite

NETS = """
from torch import nn

def good(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes))

class Dies(nn.Linear):
    def __init__(self, num_classes):
        super().__init__(192, num_classes)

    def forward(self, images):
        if len(images) > 60:
            import ctypes
            ctypes.string_at(0)
        return super().forward(images.flatten(1))
"""

pytestmark = pytest.mark.slow


def test_nets_are_timed_for_the_report_and_one_that_dies_costs_no_other_its_figures(project: Path) -> None:
    (project / "nets.py").write_text(NETS)
    suite = write_suite(project, ["nets.py:Dies", "nets.py:good"], epochs=1)
    done = bench("measure", suite, "--speed", "--device", "cpu", "--json")
    assert done.returncode == 1
    assert "nets.py:Dies ended its process" in done.stderr
    assert "Traceback" not in done.stderr
    dead, timed = json.loads(done.stdout)["models"]
    assert "latency_ms" not in dead
    assert timed["latency_ms"] > 0
    assert timed["images_per_s"] > 0
    assert (timed["batch"], timed["precision"], timed["threads"]) == (64, "fp32", 1)
    report = bench("report", suite, "--columns", "model,latency,throughput", "--format", "markdown")
    assert report.returncode == 0, report.stderr
    assert f"alone on {timed['device']}, 1 thread, fp32." in report.stdout
    assert f"bench measure {suite} --speed measures them here." in report.stdout
