"""The whole chain with real processes: suite file, workers, journals, MLflow, table; and every way to stop it."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import (
    Done,
    assert_equal_weights,
    bench,
    journal_has,
    runs,
    start,
    table_of,
    undisturbed,
    wait_for,
    weights_of,
    workers,
    write_suite,
)
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def finished(project: Path, tiny_models: Path) -> Done:
    """A run of two cells, one of which fails on purpose."""
    return bench("run", write_suite(project, ["nets.py:net", "nets.py:Failing"]), "--device", "cpu")


def test_a_run_ends_in_a_table_and_whole_mlflow_runs(finished: Done, project: Path) -> None:
    assert finished.returncode == 1, finished.stderr
    assert "| nets.py:net" in finished.stdout
    assert "failed: error" in finished.stdout
    found = {str(run["params"]["model"]): run for run in runs(project)}
    good, bad = found["nets.py:net"], found["nets.py:Failing"]
    assert (good["status"], good["tags"]["bench.state"]) == ("FINISHED", "complete")
    assert (bad["status"], bad["tags"]["bench.state"]) == ("FAILED", "failed")
    assert good["steps"] == [1, 2]
    assert {"cell.json", "environment.json", "predictions.npz", "weights.safetensors"} <= set(good["artifacts"])
    assert "traceback.txt" in bad["artifacts"]
    wanted = {"train/loss", "train/lr", "test/loss", "test/top1", "test/top5", "cost/params_m", "cost/flops_m"}
    assert wanted | {"speed/images_per_s", "speed/epoch_s", "memory/peak_mb", "time/total_s"} <= set(good["metrics"])
    assert good["inputs"] == ["digits"]
    assert "| nets.py:net" in str(good["note"])

    again = bench("report", "tiny.yaml")
    assert again.returncode == 0
    assert again.stdout == finished.stdout, "the same runs give the same bytes"
    assert bench("report").stdout == finished.stdout, "without a file, the suites in the store are reported"
    assert bench("report", "tiny.yaml", "--strict").returncode == 1

    (project / "R.md").write_text("<!-- bench report tiny.yaml -->\n<!-- end bench report -->\n")
    assert bench("report", "--update", "R.md").returncode == 0
    table = [line for line in finished.stdout.split("\n\n")[1].split("\n") if line]
    assert (project / "R.md").read_text().split("\n")[2 : 2 + len(table)] == table

    parsed = json.loads(bench("report", "tiny.yaml", "--format", "json").stdout)
    row = parsed["tables"][0]["rows"][0]
    assert parsed["schema"] == 1
    assert row["params"] == 3 * 8 * 8 * 32 + 32 + 32 * 10 + 10
    assert row["flops"] == 3 * 8 * 8 * 32 + 32 * 10
    assert row["runs"][0]["run_id"] == good["id"]

    folder = project / ".bench" / "cells" / row["runs"][0]["cell_id"]
    predictions = np.load(folder / "predictions.npz")
    accuracy = 100 * float((predictions["classes"][:, 0] == predictions["labels"]).mean())
    assert accuracy == pytest.approx(row["top1"]["mean"])
    assert set(load_file(folder / "weights.safetensors")) == {"1.weight", "1.bias", "3.weight", "3.bias"}


def test_a_second_run_starts_only_the_failed_cell_again(finished: Done, project: Path) -> None:
    again = bench("run", "tiny.yaml", "--device", "cpu")
    assert "started nets.py:Failing" in again.stderr
    assert "attempt 2" in again.stderr
    assert "started nets.py:net " not in again.stderr
    assert len(runs(project)) == 2, "a cell stays one run, whatever number of attempts"


@pytest.mark.slow
def test_a_cell_that_exits_without_a_word_is_failed_and_not_left_running(project: Path, tiny_models: Path) -> None:
    done = bench("run", write_suite(project, ["nets.py:Killed"]), "--device", "cpu")
    assert done.returncode == 1
    assert "failed: lost" in done.stdout
    assert [(run["status"], run["tags"]["bench.state"]) for run in runs(project)] == [("FAILED", "failed")]


@pytest.mark.slow
def test_a_diverged_cell_is_called_so(project: Path, tiny_models: Path) -> None:
    done = bench("run", write_suite(project, ["nets.py:net"], lr=1e30), "--device", "cpu")
    assert done.returncode == 1
    assert "diverged" in done.stdout
    assert "epoch" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_no_process_and_no_running_run_and_goes_on_to_the_bit(
    project: Path, tiny_models: Path, number: signal.Signals, code: int
) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=2)
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: journal_has(project, '"step": 5') or journal_has(project, '"step": 10'))
    scheduler.send_signal(number)
    scheduler.communicate(timeout=60)
    assert scheduler.returncode == code
    assert workers(project) == []
    assert [(run["status"], run["tags"]["bench.state"]) for run in runs(project)] == [("KILLED", "interrupted")]

    assert bench("run", suite, "--device", "cpu").returncode == 0
    (resumed,) = runs(project)
    assert resumed["steps"] == [1, 2]
    assert resumed["tags"]["bench.attempt"] == "2"
    assert_equal_weights(weights_of(project / ".bench"), weights_of(undisturbed(project, suite)))


def test_workers_die_with_a_scheduler_that_is_killed_and_the_next_run_goes_on(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:Slow"], epochs=1)
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: journal_has(project, '"step"'))
    scheduler.kill()
    scheduler.communicate(timeout=60)
    wait_for(lambda: not workers(project), timeout=5)
    done = bench("run", suite, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert [(run["status"], run["steps"]) for run in runs(project)] == [("FINISHED", [1])]


@pytest.mark.slow
def test_two_runs_started_together_run_every_cell_once(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:net", "nets.py:dropping"])
    bench("report", suite)
    both = [start("run", suite, "--device", "cpu"), start("run", suite, "--device", "cpu")]
    outputs = [each.communicate(timeout=200) for each in both]
    assert [each.returncode for each in both] == [0, 0], "\n".join(text for _, text in outputs)
    started = sum(text.count("started nets.py") for _, text in outputs)
    assert started == 2
    assert len(list(project.glob(".bench/cells/*/attempt-*"))) == 2


@pytest.mark.slow
def test_complete_cells_of_a_deleted_store_are_sent_again_and_not_trained_again(
    project: Path, tiny_models: Path
) -> None:
    suite = write_suite(project, ["nets.py:net"])
    first = bench("run", suite, "--device", "cpu")
    for path in project.glob("mlflow.db*"):
        path.unlink()
    again = bench("run", suite, "--device", "cpu")
    assert again.returncode == 0, again.stderr
    assert "started" not in again.stderr
    assert table_of(again.stdout) == table_of(first.stdout)


@pytest.mark.slow
def test_a_folder_of_images_is_trained_on(project: Path, tiny_models: Path) -> None:
    from PIL import Image

    generator = np.random.default_rng(0)
    for part, count in (("train", 64), ("test", 8)):
        for index, name in enumerate(("dark", "light")):
            folder = project / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 120, (10, 12, 3), dtype=np.uint8) + 120 * index
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    (project / "photos.yaml").write_text(
        "suite: photos\nrecipe: {epochs: 3, batch_size: 32, input_size: 8, optimizer: {lr: 0.05}}\n"
        "grid: {model: nets.py:net, dataset: 'folder:photos', schedule: cosine}\n"
    )
    done = bench("run", "photos.yaml", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    row = json.loads(bench("report", "photos.yaml", "--format", "json").stdout)["tables"][0]["rows"][0]
    assert row["top1"]["mean"] == 100.0


@pytest.mark.slow
def test_the_readmes_first_run_passes_97_percent(project: Path) -> None:
    (project / "digits.yaml").write_text((ROOT / "suites" / "digits.yaml").read_text())
    done = bench("run", "digits.yaml", "--device", "cpu", timeout=600)
    assert done.returncode == 0, done.stderr
    rows = json.loads(bench("report", "digits.yaml", "--format", "json").stdout)["tables"][0]["rows"]
    assert len({row["model"] for row in rows}) >= 4
    assert len({row["schedule"] for row in rows}) >= 2
    assert max(row["top1"]["mean"] for row in rows) > 97


@pytest.mark.slow
def test_suites_that_cannot_be_run_keep_no_other_from_running(project: Path, tiny_models: Path) -> None:
    good = write_suite(project, ["nets.py:net"], epochs=1)
    (project / "bad.yaml").write_text(
        (project / good).read_text().replace("suite: tiny", "suite: bad").replace("lr", "rl")
    )
    (project / "far.yaml").write_text((project / good).read_text().replace("tiny", "far").replace("digits", "imagenet"))
    done = bench("run", "bad.yaml", "far.yaml", good, "--device", "cpu")
    assert done.returncode == 3, done.stderr
    assert "| nets.py:net" in done.stdout
    assert "bad.yaml:2:" in done.stderr
    assert "far.yaml is left out" in done.stderr
    assert done.stderr.rstrip().splitlines()[-1].startswith("- imagenet"), "the faults are said again at the end"
    assert [each["tags"]["bench.state"] for each in runs(project)] == ["complete"]
