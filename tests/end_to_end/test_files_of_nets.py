"""Files of nets as whole commands see them: their neighbours, and what happens when they go away."""

import json
from pathlib import Path

import pytest
from helpers.cli import bench, run, write_suite

from bench.tracking import Store

NET = "from blocks import WIDTH\nfrom torch import nn\n\n\ndef net(num_classes):\n" + (
    "    return nn.Sequential(nn.Flatten(), nn.Linear(192, WIDTH), nn.Linear(WIDTH, num_classes))\n"
)


def measured(project: Path) -> int:
    done = bench("measure", "zoo/net.py:net", "--dataset", "digits", "--json")
    assert done.returncode == 0, done.stderr
    params: int = json.loads(done.stdout)["models"][0]["params"]
    return params


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_net_with_neighbours_trains_among_files_that_are_called_like_libraries(project: Path) -> None:
    for name in ("random", "json", "torch"):
        (project / f"{name}.py").write_text("raise SystemExit('executed')\n")
    (project / "zoo").mkdir()
    (project / "zoo" / "net.py").write_text(NET)
    (project / "zoo" / "blocks.py").write_text("WIDTH = 8\n")
    assert measured(project) == 193 * 8 + 90
    suite = write_suite(project, ["zoo/net.py:net"], epochs=1)
    done = run(suite)
    assert done.returncode == 0, done.stderr
    assert "executed" not in done.stderr
    (project / "zoo" / "blocks.py").write_text("WIDTH = 16\n")
    assert measured(project) == 193 * 16 + 170, "a changed neighbour is measured anew"
    assert "stale: the net's source changed" in bench("plan", suite).stdout
    kept = run(suite, "--accept-stale")
    assert kept.returncode == 0, kept.stderr
    assert "(stale)" not in kept.stdout
    assert "stale" not in bench("plan", suite).stdout
    (project / "zoo" / "net.py").unlink()
    reported = bench("report")
    assert reported.returncode == 0, reported.stderr
    assert "the net's file or function is missing" in reported.stdout
    (outcome,) = Store(f"sqlite:///{project}/mlflow.db").outcomes("tiny").values()
    assert outcome.accepted["net"] != outcome.fingerprint["net"]
