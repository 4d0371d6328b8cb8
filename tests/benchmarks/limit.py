"""Print how close a cell's training comes to the bare loop of forward, backward and step on a ready batch.

    python tests/benchmarks/limit.py FOLDER [THREADS]

FOLDER has train/CLASS/ and test/CLASS/ of 32-pixel images. The cell's side is bench's own epoch: loading, crop and
flip, journal, progress and checkpoints, but no test. Both sides have the same settings and a worker's environment, and
take turns; the median of their ratios is printed.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional as F  # noqa: N812

from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, WARMUP, with_defaults
from bench.scheduler.launcher import SERVER_ENVIRONMENT
from bench.values import Attempt, Cell, Mode, Recipe
from bench.worker import models, state, train
from bench.worker.data.batches import TrainBatches
from bench.worker.data.pack import pack
from bench.worker.step import Step, make_step
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

NETS = (("resnet18", 1, 3), ("shufflenet_v2_x0_5", 3, 5))
"""Net, epochs a turn, turns."""


def make_cell(model: str, folder: str) -> Cell:
    """A cell with the usual CIFAR recipe."""
    return Cell(
        model=model,
        dataset=f"folder:{folder}",
        schedule=with_defaults("cosine", {}, {**SCHEDULES["cosine"].options, **WARMUP}),
        schedule_name="cosine",
        recipe=Recipe(
            epochs=1,
            batch_size=128,
            optimizer=with_defaults("sgd", {"nesterov": True}, OPTIMIZERS["sgd"].options),
            augment=tuple(
                with_defaults(name, {}, AUGMENTATIONS[name].options) for name in ("random_crop", "horizontal_flip")
            ),
            label_smoothing=0.0,
            precision="fp32",
            stem="standard",
            input_size=32,
        ),
        seed=0,
    )


def cell_rate(training: state.Training, batches: TrainBatches, step: Step, epochs: int) -> float:
    """Images per second of a cell's own training."""
    began = time.perf_counter()
    for _ in range(epochs):
        train.train_epoch(training, batches, step)
        training.epochs_done, training.steps_done = training.epochs_done + 1, 0
    return epochs * len(batches) * batches.batch_size / (time.perf_counter() - began)


def bare_rate(model: str, classes: int, steps: int) -> float:
    """Images per second of the bare loop."""
    net = models.build(model, stem="standard", num_classes=classes, input_size=32)
    net = models.place(net, torch.device("cpu"), torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)
    images = torch.randn(128, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (128,))
    began = time.perf_counter()
    for _ in range(steps):
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return 128 * steps / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    if missing := SERVER_ENVIRONMENT.items() - os.environ.items():  # some of it is read when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict(missing)})
    folder = str(Path(sys.argv[1]).absolute())
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else torch.get_num_threads()
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} thread(s), batch 128, 32x32, fp32, standard stem")
    print(f"{'net':<22}{'bare images/s':>14}{'cell images/s':>14}{'ratio':>8}   (range)")
    with tempfile.TemporaryDirectory() as name:
        data = pack(f"folder:{folder}", 32, Path(name) / "data")
        for model, epochs, turns in NETS:
            cell = make_cell(model, folder)
            attempt = Attempt(
                cell=cell, number=1, folder=f"{name}/cells/{cell.id}", data_home=f"{name}/data", device="cpu",
                mode=Mode(threads=threads), suite="limit", series="limit", created_ms=0,
            )  # fmt: skip
            journal_path = CellFolder(Path(attempt.folder)).attempt(1).journal
            with Journal(journal_path) as journal:
                training = state.build(attempt, data, torch.device("cpu"), journal, stop=lambda: False)
                batches = TrainBatches(
                    data, batch_size=128, augment=cell.recipe.augment, seed=0, device=torch.device("cpu")
                )
                step = make_step(
                    training.net, training.optimizer, batches.assemble, mode=attempt.mode,
                    device=torch.device("cpu"), label_smoothing=0.0,
                )  # fmt: skip
                step.set_rate(0.01)
                cell_rate(training, batches, step, 1)  # the first epoch chooses kernels and reads the pack from disk
                pairs = [
                    (
                        bare_rate(model, len(data.classes), epochs * len(batches)),
                        cell_rate(training, batches, step, epochs),
                    )
                    for _ in range(turns)
                ]
            ratios = sorted(own / bare for bare, own in pairs)
            bare, own = (statistics.median(side) for side in zip(*pairs, strict=True))
            print(
                f"{model:<22}{bare:>14.0f}{own:>14.0f}{statistics.median(ratios):>8.2f}"
                f"   ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )


if __name__ == "__main__":
    main()
