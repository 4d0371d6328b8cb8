"""Fixtures that every test file may use: a project folder of its own, and hand-made cells and suites."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from bench.catalog.training import DEFAULT_RECIPE, OPTIMIZERS, SCHEDULES, WARMUP, with_defaults
from bench.values import Cell, Recipe, Suite


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with BENCH_HOME and BENCH_DATA inside it and no tracking server named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / ".bench"))
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "BENCH_OFFLINE", "BENCH_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


settings.register_profile("bench", deadline=None, max_examples=50)
settings.load_profile("bench")

MakeCell = Callable[..., Cell]


@pytest.fixture
def make_cell() -> MakeCell:
    """A function that makes a small cell on digits; keywords change the cell or its recipe."""

    def make(
        model: str = "shufflenet_v2_x0_5",
        dataset: str = "digits",
        schedule: str = "cosine",
        seed: int = 0,
        **recipe: object,
    ) -> Cell:
        content = {**DEFAULT_RECIPE, "epochs": 2, "batch_size": 64, "stem": "small", "input_size": 8, **recipe}
        lr = content.pop("lr", 0.05)
        content["optimizer"] = with_defaults("sgd", {"lr": lr}, OPTIMIZERS["sgd"].options)  # type: ignore[dict-item]
        options = with_defaults(schedule, {}, {**SCHEDULES[schedule].options, **WARMUP})
        return Cell(
            model=model,
            dataset=dataset,
            schedule=options,
            schedule_name=schedule,
            recipe=Recipe(**content),  # type: ignore[arg-type]
            seed=seed,
        )

    return make


@pytest.fixture
def make_suite() -> Callable[..., Suite]:
    """A function that makes a suite of cells."""

    def make(*cells: Cell, name: str = "test") -> Suite:
        return Suite(name=name, description="", path=f"{name}.yaml", source=f"suite: {name}\n", cells=cells)

    return make


TINY_MODEL = '''
import torch
from torch import nn


def net(num_classes):
    """Two layers, quick to train and to count."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 32), nn.ReLU(), nn.Linear(32, num_classes))


def dropping(num_classes):
    """The same with dropout, whose randomness must be resumed too."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 8 * 8, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, num_classes)
    )


class Failing(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(3 * 8 * 8, num_classes)

    def forward(self, images):
        if self.training:
            raise RuntimeError("the net fails on purpose")
        return self.layer(images.flatten(1))


class Killed(Failing):
    def forward(self, images):
        if self.training:
            import os
            os._exit(0)
        return self.layer(images.flatten(1))


class Slow(Failing):
    def forward(self, images):
        if self.training:
            import time
            time.sleep(0.2)
        return self.layer(images.flatten(1))


class Napping(nn.Module):
    """Dropout, and a nap a step: long enough to be killed in, without a load on the machine."""

    def __init__(self, num_classes, nap=0.02):
        super().__init__()
        self.nap = nap
        self.layers = dropping(num_classes)

    def forward(self, images):
        if self.training:
            import time
            time.sleep(self.nap)
        return self.layers(images)


def napping_too(num_classes):
    return Napping(num_classes, nap=0.021)


class Crashing(Failing):
    def forward(self, images):
        if self.training:
            import ctypes
            ctypes.string_at(0)
        return self.layer(images.flatten(1))


class Greedy(Failing):
    """Out of memory as often as the file ``out-of-memory`` has letters."""

    def forward(self, images):
        if self.training:
            import pathlib
            left = pathlib.Path("out-of-memory")
            if text := left.read_text():
                left.write_text(text[1:])
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.layer(images.flatten(1))


class Hanging(Failing):
    """Waits for ever, with a child that does not listen to SIGTERM."""

    def forward(self, images):
        if self.training:
            import subprocess, sys, time
            script = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); time.sleep(1000)  # grandchild"
            subprocess.Popen([sys.executable, "-c", script])
            while True:
                time.sleep(1000)
        return self.layer(images.flatten(1))
'''


@pytest.fixture
def tiny_models(project: Path) -> Path:
    """A file of nets in the project folder, some of which fail in a way of their own."""
    path = project / "nets.py"
    path.write_text(TINY_MODEL)
    return path


@pytest.fixture
def small_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the catalog say that ImageNet was published with the counts of the small trees."""
    from helpers.tiny_imagenet import TEST, TRAIN, shrink

    shrink(monkeypatch, "imagenet", train=3 * TRAIN, test=3 * TEST, classes=3)


@pytest.fixture
def imagenet_home(tmp_path: Path, small_imagenet: None) -> Path:
    """A data folder with a complete small ImageNet."""
    from helpers.tiny_imagenet import write_imagenet

    write_imagenet(tmp_path, "folders")
    return tmp_path


def suite_text(
    models: list[str], *, epochs: int = 2, schedules: str = "cosine", name: str = "tiny", lr: float = 0.05
) -> str:
    """A suite of nets on digits, as a file's text."""
    return (
        f"suite: {name}\n"
        f"recipe: {{epochs: {epochs}, batch_size: 64, optimizer: {{name: sgd, lr: {lr}}}}}\n"
        f"grid: {{model: {json.dumps(models)}, dataset: digits, schedule: {schedules}}}\n"
    )
