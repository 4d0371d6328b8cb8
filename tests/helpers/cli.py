"""Run bench as people do, in real processes, and look at what it leaves: for tests of whole runs and of faults."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from helpers.cells import suite_text
from safetensors.numpy import load_file

Done = subprocess.CompletedProcess[str]


def bench(*arguments: str, timeout: float = 240, env: Mapping[str, str] | None = None) -> Done:
    """Run the command line as a person would, in the current folder, with some variables set."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(env or {})},
    )


def start(*arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """The same, without waiting for its end."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )


def run(suite: str, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
    """``bench run`` on the CPU."""
    return bench("run", suite, "--device", "cpu", *arguments, env=env)


def write_suite(project: Path, models: Sequence[str], **options: Any) -> str:
    (project / "tiny.yaml").write_text(suite_text(list(models), **options))
    return "tiny.yaml"


def runs(project: Path, suite: str = "tiny", uri: str = "") -> list[dict[str, Any]]:
    """Runs of a suite's experiment, read with MLflow's own client in a process of its own."""
    uri = uri or f"sqlite:///{project}/mlflow.db"
    script = (
        "import json, warnings; warnings.simplefilter('ignore')\n"
        "from mlflow import MlflowClient\n"
        f"client = MlflowClient({uri!r})\n"
        f"experiment = client.get_experiment_by_name({suite!r})\n"
        "found = client.search_runs([experiment.experiment_id]) if experiment else []\n"
        "print(json.dumps([dict(status=run.info.status, tags=run.data.tags, params=run.data.params,\n"
        "    metrics=run.data.metrics, id=run.info.run_id, note=experiment.tags.get('mlflow.note.content', ''),\n"
        "    inputs=[each.dataset.name for each in run.inputs.dataset_inputs],\n"
        "    steps=[point.step for point in client.get_metric_history(run.info.run_id, 'test/top1')],\n"
        "    points={key: [(p.step, repr(p.value)) for p in client.get_metric_history(run.info.run_id, key)]\n"
        "        for key in run.data.metrics if key.startswith(('train/', 'test/'))},\n"
        "    artifacts=[item.path for item in client.list_artifacts(run.info.run_id)]) for run in found]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return [run for run in found if "bench.cell" in run["tags"]]


def wait_for(condition: Callable[[], object], timeout: float = 120) -> None:
    """Wait until a condition holds. A file that another process removes while the condition looks at it is no fault."""
    deadline = time.monotonic() + timeout
    while True:
        with suppress(FileNotFoundError):
            if condition():
                return
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def journal_has(project: Path, word: str) -> bool:
    return any(word in path.read_text() for path in project.glob(".bench/cells/*/attempt-*/journal.jsonl"))


def workers(folder: Path) -> list[psutil.Process]:
    """Living workers that train below this folder: forks of a fork server that write an attempt's log there."""

    def trains_here(file: str) -> bool:
        return Path(file).name == "log.txt" and Path(file).is_relative_to(folder)

    return [process for process in forked() if any(map(trains_here, open_files(process)))]


def open_files(process: psutil.Process) -> list[str]:
    """Files that a process has open; none once it is gone."""
    try:
        return [file.path for file in process.open_files()]
    except psutil.Error:
        return []


def fork_servers(home: Path) -> list[psutil.Process]:
    """Living fork servers of the runs with this BENCH_HOME."""
    return [process for process in started_with(home) if os.getsid(process.pid) != process.pid]


def started_with(home: Path) -> list[psutil.Process]:
    """Fork servers and all their children of the runs with this BENCH_HOME."""
    found = []
    for process in forked():
        try:
            if Path(process.cwd(), process.environ().get("BENCH_HOME", ".bench")) == home:
                found.append(process)
        except psutil.Error:
            continue
    return found


def forked() -> list[psutil.Process]:
    """All fork servers of bench and their living children, which share its command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or [])
        is_bench = "multiprocessing.forkserver" in words and "bench.worker" in words
        if is_bench and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def cell_folders(home: Path) -> list[Path]:
    """The folders of cells below a BENCH_HOME."""
    return sorted(path for path in (home / "cells").iterdir() if path.is_dir())


def weights_of(home: Path) -> dict[str, dict[str, np.ndarray]]:
    """The weights of every cell below a BENCH_HOME, by cell id."""
    return {folder.name: load_file(folder / "weights.safetensors") for folder in cell_folders(home)}


def epochs_of(home: Path) -> dict[str, dict[int, dict[str, str]]]:
    """The metrics of every epoch, all digits, by cell id and epoch; the last attempt's where several did it."""
    found: dict[str, dict[int, dict[str, str]]] = {}
    for folder in cell_folders(home):
        attempts = sorted(folder.glob("attempt-*"), key=lambda path: int(path.name.removeprefix("attempt-")))
        for journal in (attempt / "journal.jsonl" for attempt in attempts):
            for line in journal.read_text().splitlines() if journal.exists() else ():
                event = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
                if event.get("event") == "epoch":
                    digits = {key: repr(value) for key, value in event["metrics"].items()}
                    found.setdefault(folder.name, {})[event["epoch"]] = digits
    return found


def assert_equal_weights(
    one: Mapping[str, Mapping[str, np.ndarray]], other: Mapping[str, Mapping[str, np.ndarray]]
) -> None:
    """Every tensor of every cell is the same, to the bit."""
    assert one.keys() == other.keys()
    for cell in one:
        assert one[cell].keys() == other[cell].keys()
        for name, value in one[cell].items():
            assert np.array_equal(value, other[cell][name]), (cell, name)


def undisturbed(project: Path, suite: str) -> Path:
    """Run a suite in a BENCH_HOME of its own, without a fault and without a store. Returns that home."""
    home = project / "undisturbed"
    done = run(suite, "--offline", env={"BENCH_HOME": str(home)})
    assert done.returncode == 0, done.stderr
    return home


def table_of(markdown: str) -> str:
    """The tables without the list of runs behind them."""
    return markdown.partition("<details>")[0]
