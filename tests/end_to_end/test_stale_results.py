"""A result whose net or data has changed since is stale: shown, kept, and made again only when asked for."""

import signal
from pathlib import Path

import pytest
from helpers.cli import bench, journal_has, run, runs, start, wait_for, write_suite
from helpers.faults import NAPPING

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def widen(nets: Path) -> None:
    """Edit the net called ``net``."""
    text = nets.read_text().replace("nn.Linear(3 * 8 * 8, 32)", "nn.Linear(3 * 8 * 8, 48)", 1)
    nets.write_text(text.replace("nn.Linear(32, num", "nn.Linear(48, num", 1))


def test_a_result_of_an_edited_net_is_stale_and_rerun_only_when_asked(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, ["nets.py:net"])
    assert run(suite).returncode == 0
    (before,) = runs(project)
    widen(tiny_models)
    assert "stale: the net's source changed" in bench("plan", suite).stdout
    assert bench("report", suite).stdout.count("(stale)") == 2, "a mark at the figure and the sentence that says why"
    quiet = run(suite)
    assert "started" not in quiet.stderr, "a stale result stays until it is asked for anew"
    assert "--rerun-stale" in quiet.stderr
    assert run(suite, "--rerun-stale").returncode == 0
    old, new = sorted(runs(project), key=lambda each: each["id"] != before["id"])
    assert (old["tags"]["bench.superseded"], old["tags"]["bench.state"]) == ("true", "superseded"), "kept and labelled"
    assert "bench.superseded" not in new["tags"]
    assert "stale" not in bench("report", suite).stdout


def test_an_unfinished_cell_of_an_edited_net_starts_again_in_its_own_run(project: Path, tiny_models: Path) -> None:
    suite = write_suite(project, [NAPPING], epochs=12)
    scheduler = start("run", suite, "--device", "cpu")
    wait_for(lambda: list(project.glob(".bench/cells/*/checkpoint-*.sha256")))
    scheduler.send_signal(signal.SIGTERM)
    scheduler.communicate(timeout=60)
    tiny_models.write_text(tiny_models.read_text().replace("nn.Dropout(0.5)", "nn.Dropout(0.25)"))
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
