"""bench from Python: in a script and in the cell of a real notebook."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.cells import suite_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CALLS = """
import bench
suite = bench.load_suite("tiny.yaml")
done = bench.run(suite, device="cpu")
frame = bench.results(suite)
print(type(frame).__module__.split(".")[0], list(frame["state"]), len(bench.curves(suite)), done.states)
print(bench.report(suite) == done.render(), bench.plan(suite).to_run)
run = frame["run_id"][0][:8]
net, predictions = bench.load_net(run), bench.predictions(run)
print(net.training, len(net.card.classes), abs(100 * predictions["correct"].mean() - frame["top1"][0]) < 1e-9)
bench.report(suite)
"""
PRINTED = "pandas ['complete'] 2 ['complete']\nTrue ()\nFalse 10 True\n"


@pytest.fixture
def suite(project: Path, tiny_models: Path) -> Path:
    path = project / "tiny.yaml"
    path.write_text(suite_text(["nets.py:net"]))
    return path


def test_run_works_in_a_script_without_a_guard(project: Path, suite: Path) -> None:
    (project / "script.py").write_text(CALLS)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout == PRINTED


@pytest.mark.filterwarnings("ignore")  # of the notebook's own libraries
def test_run_works_in_a_cell_of_a_notebook(project: Path, suite: Path) -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(project))
    printed: list[str] = []
    shown: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if message["header"]["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])
        if message["header"]["msg_type"] == "execute_result":
            shown.append(message["content"]["data"]["text/html"])

    try:
        reply = client.execute_interactive(CALLS, timeout=240, output_hook=hook)
        client.execute_interactive("done", timeout=60, output_hook=hook)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert "".join(printed) == PRINTED
    assert len(shown) == 2
    assert shown[0] == shown[1]
    assert "<caption>Digits</caption>" in shown[0]
    assert "nets.py:net" in shown[0]
