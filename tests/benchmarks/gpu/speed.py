"""How fast is training on a GPU? Against the bare loop, whole cells, forms of a step, concurrent cells, loading."""

import copy
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Barrier
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from bench.values import Cell, Failure
from bench.worker import train
from bench.worker.data.batches import TrainBatches
from bench.worker.data.pack import pack
from bench.worker.speed import measure
from bench.workspace.events import EpochDone
from bench.workspace.journal import read_cell
from bench.workspace.requests import Trial, TrialSpeed
from benchmarks.gpu.cells import Worker, ended_well, in_training, make_cell, make_mode, top1, trial_request, wait
from benchmarks.gpu.setup import Finding, Setup

LIMIT_RATIO = 0.9
EPOCH_S = 2.0
TOP1, TOP1_WITHIN_S = 94.0, 60.0
SMALL_NETS = ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "efficientnet_b0")


def limit(setup: Setup) -> Iterator[Finding]:
    """A cell's own training against the bare compiled loop, of the same net in the same process, taking turns."""
    model = "shufflenet_v2_x0_5" if setup.dry else "resnet18"
    cell = make_cell(model, dataset=setup.dataset, epochs=9, precision="bf16", fast=True)
    cell = replace(cell, recipe=replace(cell.recipe, batch_size=64 if setup.dry else 512))
    forms: dict[str, dict[str, bool]] = {"plain": {"captured": False}}
    if not setup.dry:
        forms |= {"captured": {}, "compiled": {"captured": False, "compiled": True}}
        forms |= {"compiled and captured": {"compiled": True}}
    bare: Callable[[int], float] | None = None
    best = 0.0
    for name, options in forms.items():
        with in_training(setup, cell, make_mode(setup, cell, **options)) as (training, batches, step):
            if bare is None:
                bare = bare_loop(setup, training.net, cell, batches)
                bare(len(batches))
            train.train_epoch(training, batches, step)
            ratios, rates = [], []
            for _ in range(1 if setup.dry else 3):
                training.epochs_done, training.steps_done = training.epochs_done + 1, 0
                began = time.perf_counter()
                train.train_epoch(training, batches, step)  # ends by reading the losses, so by waiting for the GPU
                rates.append(len(batches) * batches.batch_size / (time.perf_counter() - began))
                ratios.append(rates[-1] / bare(len(batches)))
        best = max(best, statistics.median(ratios))
        yield Finding(
            name=f"{model} bf16, cell, {name} step",
            value=f"{statistics.median(rates):,.0f} images/s, {statistics.median(ratios):.2f} of the bare loop",
        )
    yield Finding(
        name=f"{model} bf16, fastest form over the bare compiled loop",
        value=f"{best:.2f}",
        target=f"at least {LIMIT_RATIO}",
        holds=setup.judged(best >= LIMIT_RATIO),
    )


def bare_loop(setup: Setup, like: nn.Module, cell: Cell, batches: TrainBatches) -> Callable[[int], float]:
    """Forward, backward and step on one ready batch, compiled on a GPU; the function returns images a second."""

    net = copy.deepcopy(like).train()
    forward = net if setup.dry else torch.compile(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)
    images, labels = batches.assemble(next(iter(batches.epoch_inputs(0))))
    images = images.contiguous(memory_format=torch.channels_last)

    def run(steps: int) -> float:
        wait(setup)
        began = time.perf_counter()
        for _ in range(steps):
            with torch.autocast(setup.device, torch.bfloat16):
                loss = F.cross_entropy(forward(images), labels, label_smoothing=cell.recipe.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        wait(setup)
        return steps * batches.batch_size / (time.perf_counter() - began)

    return run


def accuracy(setup: Setup) -> Iterator[Finding]:
    """A whole cell in the fast recipe: how long an epoch takes, and how long it is until 94%."""
    if not setup.folder and not setup.dry:
        yield Finding(name="epoch and accuracy", value="skipped: needs FOLDER")
        return
    epochs = 2 if setup.dry else 24
    model = "shufflenet_v2_x0_5" if setup.dry else "resnet18"
    cell = make_cell(model, dataset=setup.dataset, epochs=epochs, precision="bf16", fast=True)
    pack(cell.dataset, cell.recipe.input_size, setup.data)  # files are decoded once a machine, not once a cell
    worker = Worker(setup, cell, "accuracy", mode=make_mode(setup, cell))
    outcome = worker.wait()
    if problem := ended_well(outcome, f"{model} in the fast recipe"):
        yield problem
        return
    tested = [event for event in read_cell(worker.folder) if isinstance(event, EpochDone)]
    epoch_s = statistics.median(event.epoch_s for event in tested[1:])
    yield Finding(
        name=f"{model} bf16, median epoch with its test",
        value=f"{epoch_s:.2f} s, {outcome.images_per_s:,.0f} images/s in training",
        target=f"under {EPOCH_S:g} s",
        holds=setup.judged(epoch_s < EPOCH_S),
    )
    # from the start of the process: imports, reading the pack and capturing count
    reached = [event.time_ms / 1e3 - worker.began for event in tested if event.metrics["test/top1"] >= TOP1]
    yield Finding(
        name=f"{model} bf16, {epochs} epochs, from the start of its process",
        value=(f"{TOP1:g}% after {reached[0]:.1f} s" if reached else f"never {TOP1:g}%")
        + f", {top1(outcome):.2f}% at its end after {tested[-1].time_ms / 1e3 - worker.began:.1f} s",
        target=f"{TOP1:g}% within {TOP1_WITHIN_S:g} s",
        holds=setup.judged(bool(reached) and reached[0] <= TOP1_WITHIN_S),
    )


def step_forms(setup: Setup) -> Iterator[Finding]:
    """Nets whose kernels are short: plain, captured, and compiled too, at batch 128."""
    kinds: dict[str, dict[str, bool]] = {"plain": {"captured": False}}
    if not setup.dry:
        kinds |= {"captured": {}, "compiled and captured": {"compiled": True}}
    for model in SMALL_NETS[2:3] if setup.dry else SMALL_NETS:
        results, failed = [], False
        for kind, options in kinds.items():
            answer = measure(trial_request(setup, model, **options), None)
            if isinstance(answer, Failure):
                failed = True
                results.append(f"{kind} {answer.error}")
            else:
                results.append(f"{kind} {answer.images_per_s:,.0f} (warm after {answer.warm_up_s:.0f} s)")
        yield Finding(name=f"{model} bf16, images/s", value=", ".join(results), target="all work", holds=not failed)


def concurrent(setup: Setup) -> Iterator[Finding]:
    """Concurrent cells on one GPU, each limited to its share of the memory."""
    context = multiprocessing.get_context("spawn")
    for model in SMALL_NETS[2:3] if setup.dry else ("shufflenet_v2_x0_5", "resnet18"):
        totals, peaks, failed = [], [], False
        for count in (1, 2) if setup.dry else (1, 2, 4):
            share = 1.0 if count == 1 else round(0.95 / count, 3)
            request = trial_request(setup, model, memory_share=share)
            barrier, answers = context.Barrier(count), context.SimpleQueue()
            workers = [
                context.Process(target=measure_in_process, args=(request, barrier, answers)) for _ in range(count)
            ]
            for worker in workers:
                worker.start()
            reported = [answers.get() for _ in workers]
            for worker in workers:
                worker.join()
            speeds = [answer for answer in reported if isinstance(answer, TrialSpeed)]
            failed |= len(speeds) < count
            totals.append(f"{count}: {sum(speed.images_per_s for speed in speeds):,.0f}")
            peaks.append(max((speed.peak_mb for speed in speeds), default=0.0))
        yield Finding(
            name=f"{model} bf16 concurrent, images/s together",
            value=f"{', '.join(totals)}; peak {peaks[0]:,.0f} MB",
            target="all work",
            holds=not failed,
        )


def measure_in_process(request: Trial, barrier: Barrier, answers: Any) -> None:
    """Measure in a process of its own and send the answer."""
    answers.put(measure(request, barrier))


def loading(setup: Setup) -> Iterator[Finding]:
    """From files to the device: decoding once, then uploads."""

    cell = make_cell("resnet18", dataset=setup.dataset, fast=True)
    began = time.perf_counter()
    data = pack(setup.dataset, cell.recipe.input_size, setup.runs / "data")
    seconds = time.perf_counter() - began
    count = len(data.train_labels) + len(data.test_labels)
    yield Finding(name=f"{count:,} files decoded and packed", value=f"{seconds:.1f} s, {count / seconds:,.0f} images/s")
    device = torch.device(setup.device)
    wait(setup)
    began = time.perf_counter()
    batches = TrainBatches(data, batch_size=64, augment=cell.recipe.augment, seed=0, device=device)
    wait(setup)
    megabytes = data.train_images.nbytes / 1e6
    yield Finding(name="training set to the device", value=f"{time.perf_counter() - began:.3f} s, {megabytes:,.0f} MB")
    batches.draw(0)
    wait(setup)
    began = time.perf_counter()
    batches.draw(1)
    wait(setup)
    yield Finding(name="an epoch's random choices", value=f"{time.perf_counter() - began:.4f} s, uploaded at once")
