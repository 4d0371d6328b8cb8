"""Nothing is lost: each fault is really caused, and then the cell goes on and ends as if nothing had been."""

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
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers.cli import (
    assert_equal_weights,
    bench,
    cell_folders,
    epochs_of,
    fork_servers,
    journal_has,
    run,
    runs,
    start,
    started_with,
    table_of,
    undisturbed,
    wait_for,
    weights_of,
    workers,
    write_suite,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NAPPING = "nets.py:Napping"


def assert_whole(project: Path, suite: str, uri: str = "") -> None:
    """The cells of a disturbed run equal those of an undisturbed one: weights, epochs, points in MLflow, and table."""
    peaceful = assert_same_bits(project, suite)
    expected = epochs_of(peaceful)
    found = runs(project, uri=uri)
    assert sorted(each["tags"]["bench.cell"] for each in found) == sorted(expected)
    for each in found:
        assert (each["status"], each["tags"]["bench.state"]) == ("FINISHED", "complete")
        epochs = expected[each["tags"]["bench.cell"]]
        for key, points in each["points"].items():
            assert [tuple(point) for point in points] == [(epoch, epochs[epoch][key]) for epoch in sorted(epochs)], key
    quiet = bench("report", suite, "--tracking-uri", f"sqlite:///{project}/none.db", env={"BENCH_HOME": str(peaceful)})
    uri = uri or f"sqlite:///{project}/mlflow.db"
    assert table_of(bench("report", suite, "--tracking-uri", uri).stdout) == table_of(quiet.stdout)


def assert_same_bits(project: Path, suite: str) -> Path:
    """Weights and epochs of a disturbed run equal those of an undisturbed one, whose BENCH_HOME is returned."""
    peaceful = undisturbed(project, suite)
    assert_equal_weights(weights_of(project / ".bench"), weights_of(peaceful))
    assert epochs_of(project / ".bench") == epochs_of(peaceful)
    return peaceful


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
def test_a_worker_that_dies_at_the_worst_place_goes_on_to_the_bit(project: Path, tiny_models: Path, place: str) -> None:
    suite, token = write_suite(project, [NAPPING], epochs=6), project / "token"
    token.touch()
    done = run(suite, "--offline", env={"BENCH_FAILPOINT": f"{place}={token}"})
    assert done.returncode == 0, done.stderr
    assert not token.exists(), "the failpoint was never reached"
    assert "again nets.py:Napping" in done.stderr
    assert_same_bits(project, suite)


def test_a_cell_goes_on_when_the_process_that_workers_are_forked_from_is_killed(
    project: Path, tiny_models: Path
) -> None:
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


def test_a_run_that_dies_while_the_store_is_made_leaves_none_that_is_half_made(
    project: Path, tiny_models: Path
) -> None:
    suite = write_suite(project, ["nets.py:net"])
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: [made for made in project.glob("*mlflow.db*") if made.stat().st_size > 100_000])
    scheduler.kill()
    scheduler.communicate()
    done = run(suite)
    assert done.returncode == 0, done.stderr
    assert [each["status"] for each in runs(project)] == ["FINISHED"]


def test_an_interrupt_while_a_net_is_measured_ends_the_command_and_all_that_it_started(project: Path) -> None:
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


def test_a_scheduler_that_dies_between_two_files_goes_on(project: Path, tiny_models: Path) -> None:
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


def grandchildren() -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any("# grandchild" in word for word in process.info["cmdline"] or [])
    ]


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real file system of 3 MB; ``mount -o remount,size=...`` makes room on it."""
    folder = tmp_path_factory.mktemp("disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False)
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, *, but: int) -> None:
    """Leave only so many bytes free."""
    free = shutil.disk_usage(disk).free
    (disk / "ballast").write_bytes(b"x" * max(0, free - but))


def test_a_full_disk_ends_the_run_with_a_sentence_and_goes_on_when_there_is_room(
    project: Path, tiny_models: Path, small_disk: Path
) -> None:
    suite = write_suite(project, [NAPPING], epochs=12)
    (project / ".bench").symlink_to(small_disk / "home")
    (small_disk / "home").mkdir()
    scheduler = start("run", suite, "--device", "cpu", "--offline")
    wait_for(lambda: list(project.glob(".bench/cells/*/checkpoint-*.sha256")))
    fill(small_disk, but=0)
    _, errors = scheduler.communicate(timeout=120)
    assert scheduler.returncode == 3, errors
    assert "cannot be written" in errors
    assert "Traceback" not in errors
    (small_disk / "ballast").unlink()
    done = run(suite, "--offline")
    assert done.returncode == 0, done.stderr
    assert journal_has(project, '"resumed"')
    assert_same_bits(project, suite)


def test_a_full_disk_of_the_store_keeps_every_point_in_the_journals(
    project: Path, tiny_models: Path, small_disk: Path
) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=3)
    uri = f"sqlite:///{small_disk}/mlflow.db"
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", uri)
    wait_for(lambda: journal_has(project, '"step"'))
    fill(small_disk, but=0)
    output, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 3, errors
    assert "bench sync" in errors
    assert "Traceback" not in errors
    assert "| nets.py:Slow" in output, "the table is made from the journals"
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    synced = bench("sync", "--tracking-uri", uri)
    assert synced.returncode == 0, synced.stderr
    assert_whole(project, suite, uri)


def test_a_store_that_vanishes_is_noticed_and_the_runs_go_to_another_one(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=3)
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: journal_has(project, '"step"') and (project / "mlflow.db").stat().st_size)
    (project / "mlflow.db").unlink()
    _, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 3, errors
    assert "was removed or replaced" in errors
    assert bench("sync").returncode == 0
    assert_whole(project, suite)


def test_a_store_that_can_only_be_read_is_refused_before_anything_trains(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, [NAPPING])
    store = project / "store"
    store.mkdir()
    assert run(suite, "--max-cells", "0", "--tracking-uri", f"sqlite:///{store}/mlflow.db").returncode == 0
    if subprocess.run(["mount", "--bind", str(store), str(store)], check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(store)], check=True)
        done = run(suite, "--tracking-uri", f"sqlite:///{store}/mlflow.db")
    finally:
        subprocess.run(["umount", str(store)], check=True)
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(project.glob(".bench/cells/*/attempt-*"))


def test_a_damaged_checkpoint_is_passed_over_and_the_cell_ends_equal_to_the_bit(
    project: Path, tiny_models: Path
) -> None:
    suite = write_suite(project, [NAPPING], epochs=12)
    scheduler = start("run", suite, "--device", "cpu", "--offline")
    wait_for(lambda: len(list(project.glob(".bench/cells/*/checkpoint-*.sha256"))) == 2)
    scheduler.kill()
    scheduler.communicate()
    wait_for(lambda: not workers(project), timeout=10)
    newest = sorted(project.glob(".bench/cells/*/checkpoint-*.pt"))[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert run(suite, "--offline").returncode == 0
    assert journal_has(project, '"resumed"')
    assert_same_bits(project, suite)


def test_a_diverged_cell_shows_nan_and_the_others_go_on(project: Path, tiny_models: Path) -> None:
    (project / "tiny.yaml").write_text(
        "suite: tiny\nrecipe: {epochs: 2, batch_size: 64, optimizer: {lr: 0.05}}\ncells:\n"
        "  - {model: nets.py:net, dataset: digits, schedule: cosine, recipe: {optimizer: {lr: 1.0e+30}}}\n"
        "  - {model: nets.py:dropping, dataset: digits, schedule: cosine}\n"
    )
    done = run("tiny.yaml")
    assert done.returncode == 1
    assert "diverged" in done.stdout
    found = {each["params"]["model"]: each for each in runs(project)}
    assert found["nets.py:dropping"]["tags"]["bench.state"] == "complete"
    points = {value for points in found["nets.py:net"]["points"].values() for _, value in points}
    assert "nan" in points
    assert not any("e+308" in value for value in points)
    again = run("tiny.yaml")
    assert "started nets.py:net" in again.stderr, "a failed cell is tried again by the next run"


@pytest.mark.parametrize(("times", "code", "attempts"), [(1, 0, "2"), (9, 1, "2")])
def test_a_cell_out_of_memory_is_tried_once_more_and_its_batch_size_is_kept(
    project: Path, tiny_models: Path, times: int, code: int, attempts: str
) -> None:
    (project / "out-of-memory").write_text("x" * times)
    suite = write_suite(project, ["nets.py:Greedy"])
    done = run(suite)
    assert done.returncode == code, done.stderr
    assert "alone on its device: out of memory" in done.stderr
    assert ("failed: oom" in done.stdout) == (code == 1)
    (found,) = runs(project)
    assert (found["tags"]["bench.attempt"], found["params"]["batch_size"]) == (attempts, "64")


def test_a_crash_and_a_silent_exit_are_never_complete(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Crashing", "nets.py:Killed"])
    done = run(suite)
    assert done.returncode == 1
    assert done.stdout.count("failed: lost") == 2
    assert "killed by signal 11" in done.stderr
    assert "exit code 0 and no result" in done.stderr
    assert {each["status"] for each in runs(project)} == {"FAILED"}


def test_a_hang_is_ended_with_all_that_it_started_and_the_others_go_on(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Hanging", "nets.py:net"])
    done = run(suite, "--hang-timeout", "8")
    assert done.returncode == 1, done.stderr
    assert "failed: timeout" in done.stdout
    assert "no sign of life for 8 s" in done.stderr
    assert grandchildren() == []
    assert {each["tags"]["bench.state"] for each in runs(project)} == {"failed", "complete"}


def test_two_runs_of_twenty_cells_run_each_cell_once_and_print_the_same_table(project: Path, tiny_models: Path) -> None:
    (project / "tiny.yaml").write_text(
        "suite: tiny\nrecipe: {epochs: 1, batch_size: 64, optimizer: {lr: 0.05}}\n"
        f"grid: {{model: nets.py:net, dataset: digits, schedule: cosine, seed: {list(range(20))}}}\n"
    )
    both = [start("run", "tiny.yaml", "--device", "cpu", "--slots-per-device", "1") for _ in range(2)]
    outputs = [each.communicate(timeout=280) for each in both]
    assert [each.returncode for each in both] == [0, 0], outputs
    started = [text.count("started nets.py") for _, text in outputs]
    assert sum(started) == 20
    assert min(started) > 0, "the two share the work"
    assert outputs[0][0] == outputs[1][0]
    assert len(list(project.glob(".bench/cells/*/attempt-*"))) == 20


def test_variables_and_folders_of_somebody_else_change_nothing(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:net"])
    assert run(suite).returncode == 0
    (foreign,) = [each["id"] for each in runs(project)]
    (project / "sub").mkdir()
    (project / "sub" / "nets.py").write_text((project / "nets.py").read_text())
    (project / "sub" / "other.yaml").write_text((project / suite).read_text().replace("suite: tiny", "suite: other"))
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "other.yaml", "--device", "cpu"],
        cwd=project / "sub",
        env={
            **os.environ,
            "BENCH_HOME": str(project / "sub" / ".bench"),
            "MLFLOW_RUN_ID": foreign,
            "MLFLOW_EXPERIMENT_NAME": "tiny",
            "MLFLOW_TRACKING_URI": "sqlite:///../mlflow.db",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (project / "sub" / "mlflow.db").exists()
    assert len(runs(project)) == 1, "nothing was written into the run that the variable names"
    assert [each["tags"]["bench.state"] for each in runs(project, suite="other")] == ["complete"]


def widen(nets: Path) -> None:
    """Edit the net called ``net``."""
    text = nets.read_text().replace("nn.Linear(3 * 8 * 8, 32)", "nn.Linear(3 * 8 * 8, 48)", 1)
    nets.write_text(text.replace("nn.Linear(32, num", "nn.Linear(48, num", 1))


def test_a_result_of_a_net_whose_file_was_edited_is_stale_and_is_made_anew_when_asked(
    project: Path, tiny_models: Path
) -> None:
    suite = write_suite(project, ["nets.py:net"])
    assert run(suite).returncode == 0
    (before,) = runs(project)
    widen(tiny_models)
    assert "stale: the model's file changed" in bench("plan", suite).stdout
    assert bench("report", suite).stdout.count("(stale)") == 2, "a mark at the figure and the sentence that says why"
    quiet = run(suite)
    assert "started" not in quiet.stderr, "a stale result stays until it is asked for anew"
    assert "--rerun-stale" in quiet.stderr
    assert run(suite, "--rerun-stale").returncode == 0
    old, new = sorted(runs(project), key=lambda each: each["id"] != before["id"])
    assert (old["tags"]["bench.superseded"], old["tags"]["bench.state"]) == ("true", "complete"), "kept and labelled"
    assert "bench.superseded" not in new["tags"]
    assert "stale" not in bench("report", suite).stdout


def test_an_unfinished_cell_whose_net_was_edited_begins_anew_in_a_run_of_its_own(
    project: Path, tiny_models: Path
) -> None:
    suite = write_suite(project, [NAPPING], epochs=12)
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: list(project.glob(".bench/cells/*/checkpoint-*.sha256")))
    scheduler.send_signal(signal.SIGTERM)
    scheduler.communicate(timeout=60)
    widen(tiny_models)
    assert run(suite).returncode == 0
    assert not journal_has(project, '"resumed"')
    assert sorted("bench.superseded" in each["tags"] for each in runs(project)) == [False, True]


def test_images_that_are_added_make_a_result_stale(project: Path, tiny_models: Path) -> None:
    import numpy as np
    from PIL import Image

    def add(count: int, first: int = 0) -> None:
        generator = np.random.default_rng(first)
        for part in ("train", "test"):
            for name in ("dark", "light"):
                folder = project / "photos" / part / name
                folder.mkdir(parents=True, exist_ok=True)
                for number in range(first, first + count):
                    Image.fromarray(generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(
                        folder / f"{number}.png"
                    )

    add(16)
    (project / "photos.yaml").write_text(
        "suite: photos\nrecipe: {epochs: 1, batch_size: 8, input_size: 8, optimizer: {lr: 0.05}}\n"
        "grid: {model: nets.py:net, dataset: 'folder:photos', schedule: cosine}\n"
    )
    assert run("photos.yaml").returncode == 0
    assert "stale" not in bench("plan", "photos.yaml").stdout
    add(2, first=16)
    assert "stale: the data changed" in bench("plan", "photos.yaml").stdout


def without_mlflow(project: Path) -> dict[str, str]:
    """An environment in which mlflow cannot be imported, as on a machine that does not have it."""
    blocked = project / "blocked" / "mlflow"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'mlflow'\", name='mlflow')\n")
    return {"PYTHONPATH": str(blocked.parent)}


def test_an_offline_run_needs_no_mlflow_and_is_synced_later_any_number_of_times_from_anywhere(
    project: Path, tiny_models: Path
) -> None:
    suite = write_suite(project, ["nets.py:net", "nets.py:Failing"])
    done = run(suite, "--offline", env=without_mlflow(project))
    assert done.returncode == 1, done.stderr
    assert "| nets.py:net" in done.stdout
    assert not (project / "mlflow.db").exists()
    assert bench("report", suite).stdout == done.stdout, "a report needs no store"
    elsewhere = project / "elsewhere"
    shutil.copytree(project / ".bench", elsewhere / ".bench")
    for folder in (elsewhere, project, elsewhere / ".bench", project):
        synced = bench("sync", str(folder))
        assert synced.returncode == 0, synced.stderr
        assert "2 runs" in synced.stderr
    found = {each["params"]["model"]: each for each in runs(project)}
    assert len(runs(project)) == 2
    assert found["nets.py:net"]["steps"] == [1, 2]
    assert (found["nets.py:net"]["status"], found["nets.py:Failing"]["status"]) == ("FINISHED", "FAILED")
    assert "traceback.txt" in found["nets.py:Failing"]["artifacts"]
    assert "| nets.py:net" in found["nets.py:net"]["note"]
    assert table_of(bench("report", suite).stdout) == table_of(done.stdout)


def test_a_rerun_made_offline_is_synced_as_the_result_and_the_old_run_beside_it(
    project: Path, tiny_models: Path
) -> None:
    suite = write_suite(project, ["nets.py:net"])
    assert run(suite, "--offline").returncode == 0
    assert run(suite, "--offline", "--rerun").returncode == 0
    for _ in range(2):
        assert bench("sync").returncode == 0
    found = runs(project)
    assert sorted("bench.superseded" in each["tags"] for each in found) == [False, True]


def test_runs_of_a_scheduler_that_is_gone_are_settled_by_whoever_looks(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=4)
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: journal_has(project, '"epoch": 1'))
    running = json.loads(bench("status", "--json").stdout)["suites"][0]["cells"][0]
    assert (running["state"], running["epochs"]) == ("running", 4)
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
    assert "interrupted: lost" in status.stdout or "interrupted" in status.stdout
    assert run(suite).returncode == 0
    (whole,) = runs(project)
    assert (whole["status"], whole["steps"]) == ("FINISHED", [1, 2, 3, 4])


def test_retry_failed_starts_only_what_failed(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Failing", "nets.py:net"])
    assert run(suite, "--max-cells", "1").returncode == 1
    again = run(suite, "--retry-failed")
    assert "started nets.py:Failing" in again.stderr
    assert "started nets.py:net" not in again.stderr


@pytest.fixture
def server(project: Path) -> Iterator["Server"]:
    found = Server(project)
    yield found
    found.kill()


class Server:
    """A real MLflow server on a database of the test's own, whose process tree can be killed and come back."""

    def __init__(self, project: Path) -> None:
        self.project, self.port = project, free_port()
        self.uri = f"http://someone:topsecret@127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--workers=1", f"--port={self.port}",
             f"--backend-store-uri=sqlite:///{self.project}/server.db",
             f"--artifacts-destination={self.project}/artifacts"],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        import requests

        def answers() -> bool:
            try:
                return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=2).ok
            except requests.RequestException:
                return False

        wait_for(answers)

    def kill(self) -> None:
        if self.process is None:
            return
        with_children = [*psutil.Process(self.process.pid).children(recursive=True)]
        os.killpg(self.process.pid, signal.SIGKILL)
        for child in with_children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()
        self.process = None


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_a_server_that_is_killed_for_a_minute_slows_no_step_and_loses_no_point(
    project: Path, tiny_models: Path, server: Server
) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=20)  # 4.4 s of naps an epoch
    server.start()
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", server.uri)
    wait_for(lambda: journal_has(project, '"epoch": 3, "epoch_s"'))
    server.kill()
    time.sleep(60)
    server.start()
    output, errors = scheduler.communicate(timeout=200)
    assert scheduler.returncode == 0, errors
    (folder,) = cell_folders(project / ".bench")
    lines = (folder / "attempt-1" / "journal.jsonl").read_text().splitlines()
    seconds = [event["epoch_s"] for event in map(json.loads, lines) if event["event"] == "epoch"]
    # the quickest of each: a machine that is busy slows some epochs, waiting for a store would slow all of them
    normal, away = min(seconds[:3]), min(seconds[4:15])
    assert away < 1.05 * normal, f"{away:.3f} s an epoch without a server, {normal:.3f} s with it"
    assert_whole(project, suite, f"http://127.0.0.1:{server.port}")
    told = output + errors + "".join(path.read_text(errors="replace") for path in project.rglob("*.json*"))
    assert "topsecret" not in told, "credentials are neither printed nor kept"


def test_a_server_that_stays_away_is_exit_3_and_sync_brings_everything_later(
    project: Path, tiny_models: Path, server: Server
) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=2)
    server.start()
    scheduler = start("run", suite, "--device", "cpu", "--tracking-uri", server.uri)
    wait_for(lambda: journal_has(project, '"step"'))
    server.kill()
    output, errors = scheduler.communicate(timeout=250)
    assert scheduler.returncode == 3, errors
    assert "bench sync" in errors
    assert "| nets.py:Slow" in output
    assert run(suite, "--tracking-uri", server.uri).returncode == 3
    server.start()
    synced = bench("sync", "--tracking-uri", server.uri)
    assert synced.returncode == 0, synced.stderr
    assert_whole(project, suite, f"http://127.0.0.1:{server.port}")
