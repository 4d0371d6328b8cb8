"""bench from Python: in a script and in the cell of a real notebook."""

import subprocess
import sys
from pathlib import Path

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
"""
PRINTED = "pandas ['complete'] 2 ['complete']\nTrue ()\n"


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

    def hook(message: dict[str, dict[str, str]]) -> None:
        if message["header"]["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])

    try:
        reply = client.execute_interactive(CALLS, timeout=240, output_hook=hook)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert "".join(printed) == PRINTED
