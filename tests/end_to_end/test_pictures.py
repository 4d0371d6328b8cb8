"""Pictures, as people get them."""

from pathlib import Path

import pytest
from helpers.cli import bench

REPORT = Path(__file__).parents[2] / "reports" / "digits.json"
PNG = b"\x89PNG"


@pytest.mark.slow
def test_the_same_runs_give_the_same_pictures(project: Path) -> None:
    for folder in ("a", "b"):
        done = bench("report", "--from", str(REPORT), "--plots", folder)
        assert (done.returncode, "10 pictures of 5 charts written" in done.stderr) == (0, True), done.stderr
    names = sorted(path.name for path in (project / "a").iterdir())
    assert len(names) == 10
    for name in names:
        content = (project / "a" / name).read_bytes()
        assert content == (project / "b" / name).read_bytes()
        assert content.startswith(PNG if name.endswith(".png") else b"<svg")


@pytest.mark.slow
def test_schedules_are_drawn_from_the_schedulers_that_train(project: Path) -> None:
    options = ("--kind", "step", "--epochs", "8", "--step-size", "4", "--gamma", "0.1,0.5", "--warmup-epochs", "2")
    for name in ("a.svg", "b.png"):
        done = bench("schedules", "--plot", name, *options)
        assert (done.returncode, done.stderr) == (0, f"written to {name}\n")
    text = (project / "a.svg").read_text()
    assert "step, gamma 0.5, step size 4" in text
    assert "lr 0.1, 8 epochs, 2 epochs of warm-up" in text
    assert (project / "b.png").read_bytes().startswith(PNG)
