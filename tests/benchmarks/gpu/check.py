"""Check and time training on a GPU in one command of at most ten minutes, with a short table last.

    python tests/benchmarks/gpu/check.py [FOLDER] [--minutes 10] [--output DIR] [--only CHECK] [--suite] [--dry]

FOLDER is an ImageFolder tree of CIFAR-10 (train/CLASS/, test/CLASS/); without it the checks that need it are left out.
Every check runs in a process of its own, the most important first, as long as there is time; what one finds is written
to DIR/check.jsonl as it comes, and no failure stops the others. Exit code 1 if a check does not hold.

``--suite`` trains the nets of suites/cifar10-fast.yaml instead, for as long as there is time; the same command with the
same DIR goes on where it stopped, and the table is written to DIR/table.md. ``--dry`` runs what a CPU can run of every
check, on tiny data, to see that this script itself works; its speeds mean nothing and no target is judged.

It needs what a worker needs: torch, torchvision, timm's safetensors, scikit-learn, filelock, fvcore and simplejpeg, but
neither MLflow nor a network; ``--suite`` needs pydantic, PyYAML, pandas, Jinja2 and tabulate too. For a machine without
a network, ``pip wheel -w wheels fvcore simplejpeg pydantic tabulate`` where there is one, with the same Python, carry
the folder, and ``pip install --no-index --find-links wheels fvcore simplejpeg pydantic tabulate`` there.
"""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from bench.catalog.training import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, WARMUP, with_defaults  # noqa: E402
from bench.values import Attempt, Cell, Mode, OptionValue, Outcome, Recipe, to_json  # noqa: E402
from bench.workspace.events import EpochDone, Resumed  # noqa: E402
from bench.workspace.files import write_atomically  # noqa: E402
from bench.workspace.journal import fold, read_cell  # noqa: E402
from bench.workspace.paths import CellFolder  # noqa: E402
from bench.workspace.requests import Failure, Trial, TrialSpeed  # noqa: E402

if TYPE_CHECKING:
    from threading import Barrier

    from torch import Tensor, nn

    from bench.values import Suite
    from bench.worker.data.batches import TrainBatches
    from bench.worker.data.pack import PackedDataset
    from bench.worker.state import Training
    from bench.worker.step import Step, Work

NEEDED = ("torch", "torchvision", "numpy", "PIL", "sklearn", "filelock", "safetensors", "fvcore", "simplejpeg")
NEEDED_FOR_SUITE = ("pydantic", "yaml", "pandas", "jinja2", "tabulate")
AGREEMENT_POINTS = 3.0
"""Percentage points of top-1 that the same cell may differ by on CPU and GPU, whose sums round differently."""
LIMIT_RATIO = 0.9
EPOCH_S = 2.0
TOP1, TOP1_WITHIN_S = 94.0, 60.0
SMALL_NETS = ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "efficientnet_b0")
RESERVE_S = 10.0
"""What is kept of the time for the table."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the table."""

    name: str
    value: str
    target: str = ""
    holds: bool | None = None
    """None where nothing is asked of it."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a check is told."""

    folder: str
    """The ImageFolder tree; empty without one."""
    output: Path
    """What is kept: findings, logs, packed data, the cells of a suite."""
    runs: Path
    """What a check may leave for as long as it runs."""
    dry: bool

    @property
    def data(self) -> Path:
        """Where data sets are packed, once for all checks."""
        return self.output / "data"

    @property
    def device(self) -> str:
        """Where checks compute."""
        return "cpu" if self.dry else "cuda"

    @property
    def dataset(self) -> str:
        """What whole cells are trained on."""
        return f"folder:{self.folder}" if self.folder else "digits"

    def judged(self, holds: bool) -> bool | None:
        """A speed's judgement: none in a dry run."""
        return None if self.dry else holds


Check = Callable[[Setup], Iterator[Finding]]


# --- Cells and workers -----------------------------------------------------------------------------------------------


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
    """The mode of a cell; captured on a GPU unless it is said otherwise."""
    precision = "bf16" if cell.recipe.precision == "bf16" else "fp32"
    return Mode(**{"threads": 1 if setup.dry else 4, "precision": precision, "captured": not setup.dry, **options})


class Worker:
    """A worker process at a cell, in the cell's next attempt."""

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
        """Wait for its end. Returns what its journals say."""
        self.process.wait()
        return self.outcome()

    def outcome(self) -> Outcome:
        """What its journals say by now."""
        return fold(self.cell.id, read_cell(self.folder))

    def weights(self) -> dict[str, bytes]:
        """The weights of a complete cell, by name; the file's own digest also depends on the order in its header."""
        from safetensors.numpy import load_file

        return {name: value.tobytes() for name, value in load_file(self.folder.weights).items()}


def environment(threads: int = 0) -> dict[str, str]:
    """The environment of all processes here; cuBLAS gives the same bits every time only with its workspace fixed."""
    fixed = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if threads}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **fixed, "PYTHONPATH": path, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def ended_well(outcome: Outcome, what: str) -> Finding | None:
    """A finding where a cell did not end well."""
    if outcome.state == "complete":
        return None
    return Finding(name=what, value=f"{outcome.state}: {outcome.reason}"[:200], target="complete", holds=False)


# --- Correctness -----------------------------------------------------------------------------------------------------


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
    found = [top1(outcome) for outcome in outcomes.values()]
    yield Finding(
        name=f"digits {cell.model} fp32, top-1",
        value=", ".join(f"{name} {top1(outcome):.2f}%" for name, outcome in outcomes.items()),
        target=f"within {AGREEMENT_POINTS:g} points",
        holds=max(found) - min(found) <= AGREEMENT_POINTS,
    )


def top1(outcome: Outcome) -> float:
    """Top-1 in percent of a complete cell."""
    assert outcome.top1 is not None
    return outcome.top1


def captured(setup: Setup) -> Iterator[Finding]:
    """A captured step and a captured test against the plain ones, to the bit."""
    import torch

    from bench.worker.data.batches import TestBatches
    from bench.worker.evaluate import Evaluator
    from bench.worker.step import CapturedStep, Step, record_graph

    deterministic(setup)
    record = do_again if setup.dry else record_graph
    nets = [("shufflenet_v2_x0_5", "fp32", "sgd")]
    if not setup.dry:
        # efficientnet draws on the device, for dropout and for stochastic depth
        nets += [("resnet18", "bf16", "sgd"), ("efficientnet_b0", "bf16", "adamw"), ("efficientnet_b0", "fp32", "sgd")]
    for model, precision, optimizer in nets:
        contents, scores = [], []
        for form in (Step, CapturedStep):
            options: dict[str, Any] = {"record": record} if form is CapturedStep else {}
            net, step, batches, data = make_step(setup, form, model, precision, optimizer, **options)
            for number, inputs in enumerate(batches.epoch_inputs(0)):
                step(inputs, number)
            mode = replace(step.mode, captured=form is CapturedStep)
            tests = TestBatches(data, batch_size=96, device=step.device)
            tester = Evaluator(net, tests, mode=mode, beat=lambda: None, record=record)
            tester()
            scores.append(tester()[1])
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


def do_again(work: "Work", ready: "Work") -> "Work":
    """In place of a CUDA graph on the CPU: a replay that does the work anew."""
    work()
    ready()
    return work


def deterministic(setup: Setup) -> None:
    """Only algorithms that give the same bits every time."""
    import torch

    torch.set_num_threads(1 if setup.dry else 4)
    torch.use_deterministic_algorithms(not setup.dry)
    torch.backends.cudnn.benchmark = False


def make_step(
    setup: Setup, form: "Callable[..., Step]", model: str, precision: str, optimizer: str, **options: Any
) -> "tuple[nn.Module, Step, TrainBatches, PackedDataset]":
    """A net in training on noise."""
    import torch

    from bench.worker import models
    from bench.worker.data.batches import TrainBatches
    from bench.worker.optim import build_optimizer
    from bench.worker.speed import random_dataset

    device, size = torch.device(setup.device), 8 if setup.dry else 32
    torch.manual_seed(0)
    net = models.build(model, stem="small", num_classes=10)
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
    """A cell that is killed and goes on, against one that is not."""
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
    from bench.worker import train
    from bench.worker.train import mean_loss

    def at_the_end(losses: "Tensor", epoch: int) -> float:
        """The one place that may wait."""
        set_sync_mode(setup, "default")
        return mean_loss(losses, epoch)

    train.mean_loss = at_the_end
    for graph in (False,) if setup.dry else (False, True):
        cell = make_cell("shufflenet_v2_x0_5", epochs=3)
        with in_training(setup, cell, make_mode(setup, cell, captured=graph)) as (training, batches, step):
            train.train_epoch(training, batches, step)
            training.epochs_done, training.steps_done = 1, 0
            found = "none"
            try:
                set_sync_mode(setup, "error")
                train.train_epoch(training, batches, step)
            except RuntimeError as error:
                found = str(error).splitlines()[0]
            finally:
                set_sync_mode(setup, "default")
        yield Finding(
            name=f"waits in an epoch, {'captured' if graph else 'plain'} step",
            value=found,
            target="none",
            holds=found == "none",
        )


def set_sync_mode(setup: Setup, mode: str) -> None:
    """Have torch raise where the host waits for the GPU, or not."""
    import torch

    if not setup.dry:
        torch.cuda.set_sync_debug_mode(mode)


def out_of_memory(setup: Setup) -> Iterator[Finding]:
    """A cell that may use too little memory, plain and in a capture."""
    if setup.dry:
        yield Finding(name="out of memory", value="left out: needs a GPU")
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


# --- Speed -----------------------------------------------------------------------------------------------------------


@contextmanager
def in_training(setup: Setup, cell: Cell, mode: Mode) -> "Iterator[tuple[Training, TrainBatches, Step]]":
    """A cell's training in this process, without checkpoints."""
    from bench.worker import state
    from bench.worker.data.batches import TrainBatches
    from bench.worker.data.pack import pack
    from bench.worker.step import make_step as step_of
    from bench.workspace.journal import Journal

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
        step = step_of(
            training.net, training.optimizer, batches.assemble, mode=mode, device=device,
            label_smoothing=recipe.label_smoothing,
        )  # fmt: skip
        step.set_rate(0.01)
        yield training, batches, step


def limit(setup: Setup) -> Iterator[Finding]:
    """A cell's own training against the bare compiled loop, of the same net in the same process, taking turns."""
    from bench.worker import train

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


def bare_loop(setup: Setup, like: "nn.Module", cell: Cell, batches: "TrainBatches") -> Callable[[int], float]:
    """Forward, backward and step on one ready batch, compiled on a GPU; the function returns images a second."""
    import copy

    import torch
    from torch.nn import functional as F  # noqa: N812

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


def wait(setup: Setup) -> None:
    """Wait for the GPU."""
    import torch

    if not setup.dry:
        torch.cuda.synchronize()


def accuracy(setup: Setup) -> Iterator[Finding]:
    """A whole cell in the fast recipe: how long an epoch takes, and how long it is until 94%."""
    from bench.worker.data.pack import pack

    if not setup.folder and not setup.dry:
        yield Finding(name="epoch and accuracy", value="left out: needs FOLDER")
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
    settled = statistics.median(event.epoch_s for event in tested[1:])
    yield Finding(
        name=f"{model} bf16, median epoch with its test",
        value=f"{settled:.2f} s, {outcome.images_per_s:,.0f} images/s in training",
        target=f"under {EPOCH_S:g} s",
        holds=setup.judged(settled < EPOCH_S),
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


def trial_request(setup: Setup, model: str, **options: Any) -> Trial:
    """What a worker is asked to measure the speed of a net in a mode."""
    cell = make_cell(model, dataset="noise", precision="bf16", fast=True)
    size = 8 if setup.dry else 32
    cell = replace(cell, recipe=replace(cell.recipe, batch_size=16 if setup.dry else 128, input_size=size))
    mode = make_mode(setup, cell, **options)
    return Trial(cell=cell, num_classes=10, mode=mode, device=setup.device, deterministic=False)


def forms(setup: Setup) -> Iterator[Finding]:
    """Nets whose kernels are short: plain, captured, and compiled too, at batch 128."""
    from bench.worker.speed import measure

    kinds: dict[str, dict[str, bool]] = {"plain": {"captured": False}}
    if not setup.dry:
        kinds |= {"captured": {}, "compiled and captured": {"compiled": True}}
    for model in SMALL_NETS[2:3] if setup.dry else SMALL_NETS:
        found, failed = [], False
        for kind, options in kinds.items():
            answer = measure(trial_request(setup, model, **options), None)
            if isinstance(answer, Failure):
                failed = True
                found.append(f"{kind} {answer.error}")
            else:
                found.append(f"{kind} {answer.images_per_s:,.0f} (warm after {answer.warm_up_s:.0f} s)")
        yield Finding(name=f"{model} bf16, images/s", value=", ".join(found), target="all work", holds=not failed)


def beside(setup: Setup) -> Iterator[Finding]:
    """Cells side by side on one GPU, each fenced in its share of the memory."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    for model in SMALL_NETS[2:3] if setup.dry else ("shufflenet_v2_x0_5", "resnet18"):
        found, peaks, failed = [], [], False
        for count in (1, 2) if setup.dry else (1, 2, 4):
            share = 1.0 if count == 1 else round(0.95 / count, 3)
            request = trial_request(setup, model, memory_share=share)
            meet, answers = context.Barrier(count), context.SimpleQueue()
            workers = [context.Process(target=probe_beside, args=(request, meet, answers)) for _ in range(count)]
            for worker in workers:
                worker.start()
            told = [answers.get() for _ in workers]
            for worker in workers:
                worker.join()
            speeds = [answer for answer in told if isinstance(answer, TrialSpeed)]
            failed |= len(speeds) < len(told)
            found.append(f"{count}: {sum(speed.images_per_s for speed in speeds):,.0f}")
            peaks.append(max((speed.peak_mb for speed in speeds), default=0.0))
        yield Finding(
            name=f"{model} bf16 side by side, images/s together",
            value=f"{', '.join(found)}; peak {peaks[0]:,.0f} MB",
            target="all work",
            holds=not failed,
        )


def probe_beside(request: Trial, meet: "Barrier", answers: Any) -> None:
    """Measure in a process of its own, and answer."""
    from bench.worker.speed import measure

    answers.put(measure(request, meet))


def loading(setup: Setup) -> Iterator[Finding]:
    """From files to the device: decoding once, then uploads."""
    import torch

    from bench.worker.data.batches import TrainBatches
    from bench.worker.data.pack import pack

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


CHECKS: dict[str, Check] = {
    "captured": captured,
    "no_sync": no_sync,
    "resume": resume,
    "agreement": agreement,
    "accuracy": accuracy,
    "limit": limit,
    "out_of_memory": out_of_memory,
    "beside": beside,
    "loading": loading,
    "forms": forms,
}
"""The most important first."""


# --- A suite ---------------------------------------------------------------------------------------------------------


def train_suite(setup: Setup, deadline: float) -> list[Finding]:
    """Train the nets of the fast suite one after the other, as far as there is time, and write the table."""
    from bench.suite import load_suite

    suite = load_suite(str(ROOT / "suites" / "cifar10-fast.yaml"))
    cells = tuple(replace(cell, dataset=setup.dataset) for cell in suite.cells)
    if setup.dry:
        small = (cell for cell in cells if cell.model.startswith("shufflenet"))
        cells = tuple(
            replace(cell, recipe=replace(cell.recipe, epochs=1, batch_size=64, input_size=8)) for cell in small
        )[:2]
    suite = replace(suite, cells=cells, path="suites/cifar10-fast.yaml")
    setup = replace(setup, runs=setup.output)  # kept, so that the next call goes on
    left = list(cells)
    for cell in cells:
        folder = CellFolder.of(setup.output / "suite", cell.id)
        if not folder.result.exists() and time.monotonic() < deadline:
            worker = Worker(setup, cell, "suite", mode=make_mode(setup, cell))
            while worker.process.poll() is None:
                if time.monotonic() > deadline:
                    worker.process.send_signal(signal.SIGTERM)  # it saves its state and leaves
                    worker.process.wait()
                time.sleep(0.1)
            outcome = worker.outcome()
            print(f"{cell.model}: {outcome.state} {outcome.reason} {outcome.top1}% {outcome.total_s} s", flush=True)
        if folder.result.exists():
            left.remove(cell)
    outcomes = {cell.id: fold(cell.id, read_cell(CellFolder.of(setup.output / "suite", cell.id))) for cell in cells}
    write_table(setup, suite, outcomes)
    return [suite_finding(cells, outcomes, left)]


def suite_finding(cells: tuple[Cell, ...], outcomes: dict[str, Outcome], left: list[Cell]) -> Finding:
    """How far the suite is, and how long the rest takes if its nets take as long as the others did."""
    spent = [outcome.total_s for outcome in outcomes.values() if outcome.state == "complete" and outcome.total_s]
    rest = f", about {statistics.fmean(spent) * len(left) / 60:.0f} minutes left" if spent and left else ""
    failed = [cell.model for cell in cells if outcomes[cell.id].state == "failed"]
    return Finding(
        name="cifar10-fast",
        value=f"{len(cells) - len(left)} of {len(cells)} nets in {sum(spent) / 60:.1f} minutes of training{rest}"
        + (f"; failed: {', '.join(failed)}" if failed else ""),
        target="none failed",
        holds=not failed,
    )


def write_table(setup: Setup, suite: "Suite", outcomes: dict[str, Outcome]) -> None:
    """Write the suite's table to DIR/table.md."""
    from bench.report.render import render
    from bench.report.table import build_tables

    text = render(build_tables(suite, outcomes), "markdown", suite=suite)
    write_atomically(setup.output / "table.md", text)
    print(text, flush=True)


# --- The command -----------------------------------------------------------------------------------------------------


def main() -> int:
    """Run the checks, print the table and return the exit code."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", default="", help="ImageFolder tree of CIFAR-10")
    parser.add_argument("--minutes", type=float, default=10.0, help="time for all of it")
    parser.add_argument("--output", type=Path, default=Path("build/gpu"), help="where findings and cells are kept")
    parser.add_argument("--only", choices=list(CHECKS), help="one check, in this process")
    parser.add_argument("--suite", action="store_true", help="train suites/cifar10-fast.yaml instead")
    parser.add_argument("--dry", action="store_true", help="what a CPU can run, on tiny data")
    chosen = parser.parse_args()
    if problem := cannot_run(chosen.folder, dry=chosen.dry, suite=chosen.suite):
        print(problem, file=sys.stderr)
        return 2
    output = chosen.output.absolute()
    setup = Setup(folder=chosen.folder, output=output, runs=output / f"runs-{time.time_ns()}", dry=chosen.dry)
    output.mkdir(parents=True, exist_ok=True)
    if chosen.only:
        found = []
        for finding in CHECKS[chosen.only](setup):
            found.append(finding.holds)
            print(json.dumps(asdict(finding)), flush=True)
        if False not in found:  # else journals and logs stay for whoever looks
            shutil.rmtree(setup.runs, ignore_errors=True)
        return 0
    deadline = began + 60 * chosen.minutes - RESERVE_S
    rows = [("device", Finding(name="device", value=device_line(setup)))]
    with (setup.output / "check.jsonl").open("a") as log:
        if chosen.suite:
            rows += [("suite", finding) for finding in train_suite(setup, deadline - RESERVE_S)]
        for name in () if chosen.suite else CHECKS:
            for finding in run_check(name, setup, chosen.folder, deadline):
                rows.append((name, finding))
                print(f"{time.monotonic() - began:5.0f} s  {name}: {finding.name}: {finding.value}", flush=True)
                log.write(json.dumps({"check": name, "time": time.time(), **asdict(finding)}) + "\n")
                log.flush()
    print(table(rows))
    failed = sum(finding.holds is False for _, finding in rows)
    print(f"{failed} of {sum(finding.holds is not None for _, finding in rows)} checks do not hold")
    return 1 if failed else 0


def cannot_run(folder: str, *, dry: bool, suite: bool) -> str:
    """Why nothing can be run, in a sentence; else empty."""
    names = [*NEEDED, *(NEEDED_FOR_SUITE if suite else ())]
    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        return f"missing here: {', '.join(missing)}; the first lines of {Path(__file__).name} say how to bring them"
    if folder and not (Path(folder) / "train").is_dir():
        return f"{folder} has no folder train/; name an ImageFolder tree with train/CLASS/ and test/CLASS/"
    if suite and not folder and not dry:
        return "--suite needs FOLDER, an ImageFolder tree of CIFAR-10"
    import torch

    if not dry and not torch.cuda.is_available():
        return "no GPU is visible to torch; --dry runs what a CPU can run"
    return ""


def device_line(setup: Setup) -> str:
    """The hardware and the versions behind the figures."""
    import torch

    name = "CPU, dry run: no figure means anything" if setup.dry else torch.cuda.get_device_name(0)
    return f"{name}; torch {torch.__version__}, CUDA {torch.version.cuda}, Python {sys.version.split()[0]}"


def run_check(name: str, setup: Setup, folder: str, deadline: float) -> Iterator[Finding]:
    """Run a check in a process of its own, and hand on what it finds as it comes."""
    if (left := deadline - time.monotonic()) < 5:
        yield Finding(name=name, value="left out: no time left")
        return
    command = [sys.executable, str(Path(__file__)), *filter(None, [folder]), "--only", name]
    command += ["--output", str(setup.output), *(["--dry"] if setup.dry else [])]
    log = setup.output / f"{name}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(), start_new_session=True
        )
        assert process.stdout is not None
        stopped = []

        def stop(*_: object) -> None:
            stopped.append(1)
            os.killpg(process.pid, signal.SIGKILL)

        previous = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    yield Finding(**json.loads(line))
            code = process.wait()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
            if process.poll() is None:  # this process was interrupted
                stop()
    if stopped:
        yield Finding(name=name, value="cut off: no time left")
    elif code:
        last = (log.read_text(errors="replace").strip().splitlines() or ["no message"])[-1]
        yield Finding(name=name, value=f"failed: {last[:200]} ({log})", target="runs", holds=False)


def table(rows: list[tuple[str, Finding]]) -> str:
    """The findings as a Markdown table."""
    holds = {True: "yes", False: "NO", None: ""}
    lines = ["| Check | What | Found | Asked | Holds |", "| --- | --- | --- | --- | --- |"]
    for name, finding in rows:
        cells = (name, finding.name, finding.value, finding.target, holds[finding.holds])
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
