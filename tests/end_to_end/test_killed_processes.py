"""Workers, schedulers and fork servers that are killed: the cells end as if nothing had happened."""

import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from helpers.cli import bench, fork_servers, journal_has, run, runs, start, started_with, wait_for, workers, write_suite
from helpers.faults import NAPPING, assert_same_bits, assert_whole, grandchildren

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def kill_workers(project: Path, kills: int, *, seed: int, stop: threading.Event) -> int:
    """SIGKILL a worker at random moments of its training. Returns how many were killed."""
    generator, killed = random.Random(seed), 0
    while killed < kills and not stop.is_set():
        living = workers(project)
        if living:
            time.sleep(generator.uniform(0.3, 2.5))
            try:
                living[0].kill()
                killed += 1
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.05)
    return killed


def test_a_cell_that_is_killed_at_random_moments_ends_equal_to_the_bit(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, [NAPPING], epochs=24)
    scheduler, stop = start("run", suite, "--device", "cpu"), threading.Event()
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.append(kill_workers(project, 6, seed=1, stop=stop)))
    killer.start()
    output = scheduler.communicate(timeout=280)
    stop.set()
    killer.join()
    for _ in range(3):  # more kills in a row than a run forgives are for the next run
        if scheduler.returncode == 0:
            break
        output = (run(suite).stderr, "")
    assert killed[0] >= 3, output
    assert_whole(project, suite)
    (found,) = runs(project)
    assert int(found["tags"]["bench.attempt"]) > 3


@pytest.mark.parametrize(
    "place",
    [
        "before-rename.pt",
        "checkpoint-without-digest",
        "before-end",
        "before-result",
        "before-rename-weights.safetensors",
    ],
)
def test_a_worker_that_dies_at_the_worst_place_resumes_to_the_bit(project: Path, tiny_models: Path, place: str) -> None:
    suite, token = write_suite(project, [NAPPING], epochs=6), project / "token"
    token.touch()
    done = run(suite, "--offline", env={"BENCH_FAILPOINT": f"{place}={token}"})
    assert done.returncode == 0, done.stderr
    assert not token.exists(), "the failpoint was never reached"
    assert "again nets.py:Napping" in done.stderr
    assert_same_bits(project, suite)


def test_a_cell_continues_when_the_fork_server_is_killed(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, [NAPPING, "nets.py:napping_too", "nets.py:dropping"], epochs=6)
    scheduler = start("run", suite, "--device", "cpu", "--offline")
    wait_for(lambda: journal_has(project, '"epoch": 1, "epoch_s"'))
    for server in fork_servers(project / ".bench"):
        server.kill()
    _, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 0, errors
    assert len(list(project.glob(".bench/cells/*/attempt-*"))) == 3, "no attempt was lost"
    assert_same_bits(project, suite)


def test_a_scheduler_that_is_killed_leaves_no_process_behind(project: Path, tiny_models: Path) -> None:
    scheduler = start("run", write_suite(project, ["nets.py:Hanging"]), "--device", "cpu", "--offline")
    wait_for(grandchildren)
    scheduler.kill()
    wait_for(lambda: not started_with(project / ".bench") and not grandchildren(), timeout=10)
    scheduler.communicate()


def test_a_run_that_dies_while_it_creates_the_store_leaves_no_half_store(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:net"])
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: [made for made in project.glob("*mlflow.db*") if made.stat().st_size > 100_000])
    scheduler.kill()
    scheduler.communicate()
    done = run(suite)
    assert done.returncode == 0, done.stderr
    assert [each["status"] for each in runs(project)] == ["FINISHED"]


def test_an_interrupt_while_a_net_is_measured_ends_all_processes(project: Path) -> None:
    (project / "nets.py").write_text(
        "import pathlib, time\ndef net(num_classes):\n    pathlib.Path('building').touch()\n    time.sleep(1000)\n"
    )
    scheduler = start("run", write_suite(project, ["nets.py:net"]), "--device", "cpu")
    wait_for((project / "building").exists)
    began = time.monotonic()
    scheduler.send_signal(signal.SIGINT)
    _, errors = scheduler.communicate(timeout=60)
    assert scheduler.returncode == 130
    assert time.monotonic() - began < 8
    assert "Traceback" not in errors
    wait_for(lambda: not started_with(project / ".bench"), timeout=5)


def test_a_scheduler_that_dies_between_two_files_resumes(project: Path, tiny_models: Path) -> None:
    suite, token = write_suite(project, [NAPPING]), project / "token"
    token.touch()
    assert run(suite, env={"BENCH_FAILPOINT": f"before-rename-attempt.json={token}"}).returncode == -signal.SIGKILL
    assert run(suite).returncode == 0
    assert_whole(project, suite)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_second_interrupt_kills_at_once(project: Path, tiny_models: Path, terminal: bool) -> None:
    suite = write_suite(project, ["nets.py:Hanging"], epochs=1)
    command = [sys.executable, "-m", "bench", "run", suite, "--device", "cpu"]
    if terminal:
        leader, follower = pty.openpty()
        scheduler = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True)
        os.close(follower)
        drain = threading.Thread(target=read_all, args=(leader,), daemon=True)
        drain.start()
    else:
        scheduler = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(grandchildren)
    scheduler.send_signal(signal.SIGINT)
    time.sleep(1)
    assert scheduler.poll() is None, "the first interrupt waits for the worker to save its state"
    began = time.monotonic()
    scheduler.send_signal(signal.SIGINT)
    scheduler.wait(timeout=30)
    assert scheduler.returncode == 130
    assert time.monotonic() - began < 8
    assert workers(project) == []
    assert grandchildren() == []
    assert [each["status"] for each in runs(project)] == ["KILLED"]


def read_all(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1 << 16):
            pass
    except OSError:
        return


def test_runs_of_a_dead_scheduler_are_marked_lost_by_any_command(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=8)
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: journal_has(project, '"epoch": 1') and runs(project))
    running = json.loads(bench("status", "--json").stdout)["suites"][0]["cells"][0]
    assert (running["state"], running["epochs"]) == ("running", 8)
    assert 0 < running["share"] < 1
    scheduler.kill()
    scheduler.communicate()
    wait_for(lambda: not workers(project), timeout=10)
    shutil.move(project / ".bench", project / "away")  # only the store knows of the run now
    assert [each["status"] for each in runs(project)] == ["RUNNING"]
    assert "interrupted" in bench("report", suite).stdout
    (settled,) = runs(project)
    assert (settled["status"], settled["tags"]["bench.state"]) == ("KILLED", "interrupted")
    shutil.rmtree(project / ".bench", ignore_errors=True)
    shutil.move(project / "away", project / ".bench")
    status = bench("status")
    assert "1 cell: 1 interrupted" in status.stdout
    assert run(suite).returncode == 0
    (whole,) = runs(project)
    assert (whole["status"], whole["steps"]) == ("FINISHED", [1, 2, 3, 4, 5, 6, 7, 8])
