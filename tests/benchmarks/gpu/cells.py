"""Cells for a GPU's checks: made, trained by a real worker process, or trained in this process."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, WARMUP, with_defaults
from bench.values import Attempt, Cell, Mode, OptionValue, Outcome, Recipe, to_json
from bench.worker import state
from bench.worker.data.batches import TrainBatches
from bench.worker.data.pack import pack
from bench.worker.step import Step, make_step
from bench.workspace.files import write_atomically
from bench.workspace.journal import Journal, fold, read_cell
from bench.workspace.paths import CellFolder
from bench.workspace.requests import Trial
from benchmarks.gpu.setup import Finding, Setup, environment


def make_cell(
    model: str, *, dataset: str = "digits", epochs: int = 6, precision: str = "fp32", fast: bool = False
) -> Cell:
    """A cell: on digits, or with ``fast`` in the recipe of suites/cifar10-fast.yaml."""
    options: dict[str, OptionValue] = {"lr": 0.4 if fast else 0.05, "nesterov": True}
    names = ("random_crop", "horizontal_flip") if fast else ()
    warm_up: dict[str, OptionValue] = {"warmup_epochs": 2} if fast and epochs > 2 else {}
    return Cell(
        model=model,
        dataset=dataset,
        schedule=with_defaults("cosine", warm_up, {**SCHEDULES["cosine"].options, **WARMUP}),
        schedule_name="cosine",
        recipe=Recipe(
            epochs=epochs,
            batch_size=512 if fast else 64,
            optimizer=with_defaults("sgd", options, OPTIMIZERS["sgd"].options),
            augment=tuple(with_defaults(name, {}, AUGMENTATIONS[name].options) for name in names),
            label_smoothing=0.1 if fast else 0.0,
            precision=precision,  # type: ignore[arg-type]
            stem="small",
            input_size=8 if dataset == "digits" else 32,
        ),
        seed=0,
    )


def make_mode(setup: Setup, cell: Cell, **options: Any) -> Mode:
    """The mode of a cell; captured on a GPU unless the options say otherwise."""
    precision = "bf16" if cell.recipe.precision == "bf16" else "fp32"
    return Mode(**{"threads": 1 if setup.dry else 4, "precision": precision, "captured": not setup.dry, **options})


class Worker:
    """A worker process that trains a cell, in the cell's next attempt."""

    def __init__(
        self, setup: Setup, cell: Cell, name: str, *, mode: Mode, device: str = "", deterministic: bool = False
    ) -> None:
        self.cell, self.folder = cell, CellFolder.of(setup.runs / name, cell.id)
        number = len(self.folder.attempts()) + 1
        attempt = self.folder.attempt(number)
        attempt.root.mkdir(parents=True)
        request = Attempt(
            cell=cell,
            number=number,
            folder=str(self.folder.root),
            data_home=str(setup.data),
            device=device or setup.device,
            mode=mode,
            suite="gpu",
            series=name,
            created_ms=time.time_ns() // 1_000_000,
            deterministic=deterministic,
            keep_weights="last" if deterministic else "none",
        )
        write_atomically(attempt.request, to_json(request))
        self.began = time.time()
        with attempt.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bench.worker", "run", str(attempt.request)],
                stdout=log,
                stderr=log,
                env=environment(mode.threads),
            )

    def wait(self) -> Outcome:
        """Wait for its end and return the outcome."""
        self.process.wait()
        return self.outcome()

    def outcome(self) -> Outcome:
        """The outcome that its journals show by now."""
        return fold(self.cell.id, read_cell(self.folder))

    def weights(self) -> dict[str, bytes]:
        """The weights of a complete cell, by name; the file's own digest also depends on the order in its header."""
        from safetensors.numpy import load_file

        return {name: value.tobytes() for name, value in load_file(self.folder.weights).items()}


def ended_well(outcome: Outcome, what: str) -> Finding | None:
    """The finding about a cell that did not end well; else None."""
    if outcome.state == "complete":
        return None
    return Finding(name=what, value=f"{outcome.state}: {outcome.reason}"[:200], target="complete", holds=False)


def top1(outcome: Outcome) -> float:
    """Top-1 in percent of a complete cell."""
    assert outcome.top1 is not None
    return outcome.top1


@contextmanager
def in_training(setup: Setup, cell: Cell, mode: Mode) -> Iterator[tuple[state.Training, TrainBatches, Step]]:
    """A cell's training in this process, without checkpoints."""
    folder = setup.runs / "in-process" / f"{cell.id}-{time.time_ns()}"
    attempt = Attempt(
        cell=cell, number=1, folder=str(folder), data_home=str(setup.data), device=setup.device, mode=mode,
        suite="gpu", series="", created_ms=0,
    )  # fmt: skip
    device = state.prepare_device(mode, setup.device, deterministic=attempt.deterministic)
    recipe = cell.recipe
    data = pack(cell.dataset, recipe.input_size, setup.data)
    with Journal(CellFolder(folder).attempt(1).journal) as journal:
        training = state.build(attempt, data, device, journal, stop=lambda: False)
        training.save_after = float("inf")
        batches = TrainBatches(data, batch_size=recipe.batch_size, augment=recipe.augment, seed=0, device=device)
        step = make_step(
            training.net, training.optimizer, batches.assemble, mode=mode, device=device,
            label_smoothing=recipe.label_smoothing,
        )  # fmt: skip
        step.set_rate(0.01)
        yield training, batches, step


def trial_request(setup: Setup, model: str, **options: Any) -> Trial:
    """The request for the speed of a net in a mode."""
    cell = make_cell(model, dataset="noise", precision="bf16", fast=True)
    size = 8 if setup.dry else 32
    cell = replace(cell, recipe=replace(cell.recipe, batch_size=16 if setup.dry else 128, input_size=size))
    mode = make_mode(setup, cell, **options)
    return Trial(cell=cell, num_classes=10, mode=mode, device=setup.device, deterministic=False)


def wait(setup: Setup) -> None:
    """Wait for the GPU."""
    if not setup.dry:
        torch.cuda.synchronize()
