"""Does training on a GPU compute what it should? Agreement with the CPU, captured steps, resuming, waits, memory."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, with_defaults
from bench.values import Mode
from bench.worker import models, train
from bench.worker.data.batches import TestBatches, TrainBatches
from bench.worker.data.pack import PackedDataset
from bench.worker.evaluate import Evaluator
from bench.worker.optim import build_optimizer
from bench.worker.speed import random_dataset
from bench.worker.step import CapturedStep, Step, Work, record_graph
from bench.worker.train import mean_loss
from bench.workspace.events import Resumed
from bench.workspace.journal import read_cell
from benchmarks.gpu.cells import Worker, ended_well, in_training, make_cell, make_mode, top1
from benchmarks.gpu.setup import Finding, Setup

AGREEMENT_POINTS = 3.0
"""Percentage points of top-1 that the same cell may differ by on CPU and GPU, whose sums round differently."""


def agreement(setup: Setup) -> Iterator[Finding]:
    """The same cell on the CPU and on the GPU."""
    cell = make_cell("shufflenet_v2_x0_5" if setup.dry else "resnet18", epochs=2 if setup.dry else 6)
    workers = {
        "CPU": Worker(setup, cell, "agreement-cpu", mode=Mode(threads=1 if setup.dry else 8), device="cpu"),
        setup.device.upper() + " captured": Worker(setup, cell, "agreement-gpu", mode=make_mode(setup, cell)),
    }
    outcomes = {name: worker.wait() for name, worker in workers.items()}
    for name, outcome in outcomes.items():
        if problem := ended_well(outcome, f"digits {cell.model}, {name}"):
            yield problem
            return
    accuracies = [top1(outcome) for outcome in outcomes.values()]
    yield Finding(
        name=f"digits {cell.model} fp32, top-1",
        value=", ".join(f"{name} {top1(outcome):.2f}%" for name, outcome in outcomes.items()),
        target=f"within {AGREEMENT_POINTS:g} points",
        holds=max(accuracies) - min(accuracies) <= AGREEMENT_POINTS,
    )


def captured(setup: Setup) -> Iterator[Finding]:
    """A captured step and a captured test against the plain ones, to the bit."""

    use_deterministic_algorithms(setup)
    record = repeat if setup.dry else record_graph
    nets = [("shufflenet_v2_x0_5", "fp32", "sgd")]
    if not setup.dry:
        # efficientnet draws on the device, for dropout and for stochastic depth
        nets += [("resnet18", "bf16", "sgd"), ("efficientnet_b0", "bf16", "adamw"), ("efficientnet_b0", "fp32", "sgd")]
    for model, precision, optimizer in nets:
        contents, scores = [], []
        for form in (Step, CapturedStep):
            options: dict[str, Any] = {"record": record} if form is CapturedStep else {}
            net, step, batches, data = side(setup, form, model, precision, optimizer, **options)
            for number, inputs in enumerate(batches.epoch_inputs(0)):
                step(inputs, number)
            mode = replace(step.mode, captured=form is CapturedStep)
            tests = TestBatches(data, batch_size=96, device=step.device)
            evaluator = Evaluator(net, tests, mode=mode, beat=lambda: None, record=record)
            evaluator()
            scores.append(evaluator()[1])
            states = [value for state in step.optimizer.state.values() for value in state.values()]
            contents.append([*net.parameters(), *net.buffers(), *states])
        pairs = list(zip(*contents, strict=True))
        unequal = sum(not torch.equal(one, other) for one, other in pairs)
        yield Finding(
            name=f"{model} {precision} {optimizer}: captured step as the plain one",
            value=f"{unequal} of {len(pairs)} tensors differ",
            target="equal to the bit",
            holds=unequal == 0,
        )
        yield Finding(
            name=f"{model} {precision}: captured test as the plain one",
            value="equal" if torch.equal(*scores) else f"differ by {(scores[0] - scores[1]).abs().max().item():.2g}",
            target="equal to the bit",
            holds=torch.equal(*scores),
        )


def repeat(work: Work, prepare: Work) -> Work:
    """In place of a CUDA graph on the CPU: a replay that repeats the work."""
    work()
    prepare()
    return work


def use_deterministic_algorithms(setup: Setup) -> None:
    """Allow only algorithms that give the same bits each time."""
    torch.set_num_threads(1 if setup.dry else 4)
    torch.use_deterministic_algorithms(not setup.dry)
    torch.backends.cudnn.benchmark = False


def side(
    setup: Setup, form: Callable[..., Step], model: str, precision: str, optimizer: str, **options: Any
) -> tuple[nn.Module, Step, TrainBatches, PackedDataset]:
    """A net in training on noise, in one form of step."""

    device, size = torch.device(setup.device), 8 if setup.dry else 32
    torch.manual_seed(0)
    net = models.build(model, stem="small", num_classes=10, input_size=size)
    net = net.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    augment = tuple(with_defaults(name, {}, spec.options) for name, spec in AUGMENTATIONS.items() if not spec.of_files)
    data = random_dataset(images=256, size=size, classes=10)
    batches = TrainBatches(data, batch_size=32, augment=augment, seed=0, device=device)
    mode = Mode(threads=4, precision="bf16" if precision == "bf16" else "fp32")
    choice = with_defaults(optimizer, {"lr": 0.01}, OPTIMIZERS[optimizer].options)
    step = form(
        net, build_optimizer(net.parameters(), choice), batches.assemble, mode=mode, device=device,
        label_smoothing=0.1, **options,
    )  # fmt: skip
    step.set_rate(0.01)
    return net, step, batches, data


def resume(setup: Setup) -> Iterator[Finding]:
    """A cell that is killed and resumed, against one that is not."""
    epochs = 3 if setup.dry else 150
    cell = make_cell("shufflenet_v2_x0_5", epochs=epochs)
    mode = make_mode(setup, cell)
    whole = Worker(setup, cell, "resume-whole", mode=mode, deterministic=True)
    disturbed = Worker(setup, cell, "resume-killed", mode=mode, deterministic=True)
    while disturbed.process.poll() is None and not list(disturbed.folder.root.glob("*.pt.sha256")):
        time.sleep(0.005)
    disturbed.process.kill()
    disturbed.process.wait()
    killed_at = disturbed.outcome().epochs_done
    if disturbed.folder.result.exists():
        yield Finding(name="resume", value="the cell ended before it could be killed", target="killed", holds=False)
        return
    again = Worker(setup, cell, "resume-killed", mode=mode, deterministic=True)
    for outcome in (again.wait(), whole.wait()):
        if problem := ended_well(outcome, "resume"):
            yield problem
            return
    resumed = any(isinstance(event, Resumed) for event in read_cell(again.folder))
    yield Finding(
        name=f"killed after {killed_at} of {epochs} epochs, deterministic",
        value="equal" if again.weights() == whole.weights() else "other weights",
        target="equal to the bit",
        holds=resumed and again.weights() == whole.weights(),
    )


def no_sync(setup: Setup) -> Iterator[Finding]:
    """An epoch in which the host waits for nothing, in both forms of step."""

    def at_the_end(losses: Tensor, epoch: int) -> float:
        """The one place of an epoch that may wait."""
        set_sync_mode(setup, "default")
        return mean_loss(losses, epoch)

    train.mean_loss = at_the_end
    for graph in (False,) if setup.dry else (False, True):
        cell = make_cell("shufflenet_v2_x0_5", epochs=3)
        with in_training(setup, cell, make_mode(setup, cell, captured=graph)) as (training, batches, step):
            train.train_epoch(training, batches, step)
            training.epochs_done, training.steps_done = 1, 0
            waits = "none"
            try:
                set_sync_mode(setup, "error")
                train.train_epoch(training, batches, step)
            except RuntimeError as error:
                waits = str(error).splitlines()[0]
            finally:
                set_sync_mode(setup, "default")
        yield Finding(
            name=f"waits in an epoch, {'captured' if graph else 'plain'} step",
            value=waits,
            target="none",
            holds=waits == "none",
        )


def set_sync_mode(setup: Setup, mode: str) -> None:
    """Make torch raise where the host waits for the GPU (``error``), or not (``default``)."""
    if not setup.dry:
        torch.cuda.set_sync_debug_mode(mode)


def out_of_memory(setup: Setup) -> Iterator[Finding]:
    """A cell that may use too little memory, plain and in a capture."""
    if setup.dry:
        yield Finding(name="out of memory", value="skipped: needs a GPU")
        return
    cell = replace(make_cell("resnet18"), seed=1)
    for graph in (False, True):
        mode = make_mode(setup, cell, captured=graph, memory_share=0.001)
        outcome = Worker(setup, cell, f"oom-{graph}", mode=mode).wait()
        yield Finding(
            name=f"resnet18 in 0.1% of the memory, {'captured' if graph else 'plain'}",
            value=f"{outcome.state}: {outcome.kind}",
            target="failed: oom",
            holds=outcome.kind == "oom",
        )
