"""The values that flow through bench, one way: Suite -> Cell -> Plan -> Attempt -> Outcome -> Table.

All are frozen and keyword-only. This module is imported by both process kinds and imports nothing but the standard
library, so that a worker runs where pydantic and mlflow are not installed. It is longer than other files because it
documents every field.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, get_args

from bench.codec import from_dict as from_dict
from bench.codec import from_json as from_json
from bench.codec import to_json as to_json
from bench.recipe import Component as Component
from bench.recipe import Execution as Execution
from bench.recipe import MemoryFormat as MemoryFormat
from bench.recipe import OptionValue as OptionValue
from bench.recipe import Precision as Precision
from bench.recipe import Recipe as Recipe
from bench.recipe import Stem as Stem
from bench.recipe import recipe_identity

State = Literal["complete", "failed", "interrupted", "running", "missing"]


FailureKind = Literal["", "oom", "diverged", "error", "timeout", "lost", "deleted"]
"""``deleted``: of a missing cell, whose run was deleted in the store."""


class DataKey(NamedTuple):
    """What decides which images, at which size, a cell sees. Computed by :func:`bench.datasets.prepared.data_key`."""

    dataset: str
    input_size: int
    max_images_per_class: int | None = None
    streamed: bool = False
    """Whether the recipe needs image files: the same folder may be packed for one recipe and streamed for another."""
    test_resize: int = 0
    """What test images are resized to before their centre is packed; 0: the input size, or nothing is packed."""


PROTOCOL_VERSION = 1
"""Version of the training protocol: raised whenever the same cell would give other numbers than before. Cells that a
change does not reach keep their version, see :func:`protocol_version`."""
REVISED = re.compile(r"mnasnet|mobilenet_v3|efficientnet_b[567]$")
"""Nets whose small form got another momentum of batch norm with version 2."""


@lru_cache(maxsize=4096)
def _canonical(value: Recipe | Component) -> str:
    """Canonical JSON; cached, because the ten thousand cells of a suite share a few recipes."""
    content = recipe_identity(value) if isinstance(value, Recipe) else asdict(value)
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One (model, data set, schedule, recipe, seed). ``id`` is a hash of these and of nothing else."""

    model: str
    dataset: str
    schedule: Component
    """Kind and options of the learning-rate decay."""
    schedule_name: str
    """The name the suite gave this schedule; a label, not part of the id."""
    recipe: Recipe
    seed: int

    @cached_property
    def id(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the canonical JSON of everything but labels."""
        text = (
            f'{{"dataset":{json.dumps(self.dataset)},"model":{json.dumps(self.model)},'
            f'"recipe":{_canonical(self.recipe)},"schedule":{_canonical(self.schedule)},"seed":{self.seed}}}'
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """How the cell is called in progress lines and in the tracking UI."""
        dataset = self.dataset.removeprefix("folder:").rstrip("/").rpartition("/")[2]
        return f"{self.model} · {dataset} · {self.schedule_name} · s{self.seed}"


def protocol_version(cell: Cell) -> int:
    """Version of the training protocol that a cell is trained by.

    2 for cells with warm-up, in which the learning rate rises per step since, and for the small forms of
    :data:`REVISED`; all others are trained as before.
    """
    warms_up = bool(cell.schedule.as_dict().get("warmup_epochs"))
    revised = cell.recipe.stem == "small" and REVISED.match(cell.model) is not None
    return 2 if warms_up or revised else PROTOCOL_VERSION


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How a cell's arithmetic is carried out: one choice for all its attempts.

    Another choice rounds differently. Training amplifies that: accuracies of short recipes have differed by tens of
    points.
    """

    threads: int
    """CPU threads of the worker."""
    memory_format: MemoryFormat = "channels_last"
    precision: Precision = "fp32"
    """The recipe's, or what was chosen where the recipe leaves it open."""
    compiled: bool = False
    """Forward and backward are compiled by ``torch.compile``."""
    captured: bool = False
    """A step is replayed as one CUDA graph."""
    memory_share: float = 1.0
    """Share of the GPU's memory that the cell may use."""

    def __str__(self) -> str:
        words: list[str] = [self.memory_format, self.precision]
        words += ["compiled"] if self.compiled else []
        words += ["CUDA graph"] if self.captured else []
        words += [f"{self.memory_share:.0%} of the GPU's memory"] if self.memory_share < 1 else []
        return ", ".join([*words, f"{self.threads} thread{'s' if self.threads > 1 else ''}"])

    @classmethod
    def from_words(cls, text: str) -> "Mode | None":
        """The mode that ``str`` wrote, without its share of the GPU's memory; None if the text is not one."""
        words = text.split(", ")
        memory_format = next((known for known in get_args(MemoryFormat) if known in words), None)
        precision = next((known for known in get_args(Precision) if known in words), None)
        threads, _, unit = words[-1].partition(" ")
        if memory_format is None or precision is None or not threads.isdecimal() or not unit.startswith("thread"):
            return None
        return cls(
            threads=int(threads),
            memory_format=memory_format,
            precision=precision,
            compiled="compiled" in words,
            captured="CUDA graph" in words,
        )


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A suite file, read and resolved: every cell with all defaults spelled out, in the file's order."""

    name: str
    description: str
    path: str
    """The file it came from, as the user named it."""
    source: str
    """The file's text."""
    cells: tuple[Cell, ...]
    execution: Execution = field(default_factory=Execution)
    overrides: tuple[str, ...] = ()
    """The ``recipe.KEY=VALUE`` strings that changed every cell."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a net costs at one input size, for one image in eval mode. One multiply-add counts as one flop."""

    params: int
    """Trainable parameters, with the head for this data set."""
    flops: int | None
    """``fvcore.nn.FlopCountAnalysis(...).total()``; None if the net cannot be traced, see ``unmeasured``."""
    conv_linear_macs: int | None
    """The part of ``flops`` in convolutions and matrix products; comparable with published figures."""
    torch_macs: int | None
    """``torch.utils.flop_counter.FlopCounterMode`` / 2 of the same forward pass; None if that counter fails."""
    uncounted: tuple[str, ...] = ()
    """Operators that compute and that fvcore skipped, sorted, as ``name x count``."""
    unmeasured: str = ""
    """Why ``flops`` is None, in a sentence."""

    @property
    def agrees(self) -> bool:
        """Whether the two counters agree on convolutions and matrix products to 0.1%, as far as both could count."""
        if self.conv_linear_macs is None or self.torch_macs is None:
            return True
        return abs(self.conv_linear_macs - self.torch_macs) <= 0.001 * self.torch_macs


@dataclass(frozen=True, kw_only=True)
class NetSpeed:
    """How fast a finished net answers, in eval mode and alone on its device. Figures are medians of repeats."""

    latency_ms: float
    """Of one image."""
    latency_iqr_ms: float
    """Interquartile range of the repeats."""
    images_per_s: float
    """In batches of ``batch``."""
    images_per_s_iqr: float
    """Interquartile range of the repeats."""
    batch: int
    repeats: int
    """How often the batch was computed; one image was at least as often."""
    device: str
    """Name of the hardware."""
    precision: Precision
    threads: int
    """CPU threads."""

    @property
    def conditions(self) -> str:
        """Where it was measured, e.g. ``Intel(R) Xeon(R), 2 cores, 1 thread, fp32``."""
        return f"{self.device}, {self.threads} thread{'s' * (self.threads != 1)}, {self.precision}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a worker could not answer a request; of a net: why it cannot be trained."""

    error: str
    """One sentence."""
    kind: FailureKind = "error"
    traceback: str = ""
    """What the worker knew: a traceback, or the end of its log."""
    file: str = ""
    """Where that is kept."""

    def __str__(self) -> str:
        return f"{self.error} (traceback: {self.file})" if self.file else self.error


@dataclass(frozen=True, kw_only=True)
class Task:
    """A cell in a plan, with what is known of it and what will be done."""

    cell: Cell
    outcome: "Outcome"
    runs: bool
    """Whether ``bench run`` would start it."""
    cost: Cost | None
    estimate_s: float | None
    """Seconds on one slot for the epochs still to do; None where nothing comparable has been measured."""
    failure: Failure | None = None
    """Why its net could not be built or measured: its attempt fails with this, without a try."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What ``bench run`` would do with a suite, in the suite's order."""

    suite: Suite
    tasks: tuple[Task, ...]

    @property
    def to_run(self) -> tuple[Task, ...]:
        """The tasks that would be started, longest first; those without an estimate keep the suite's order, first."""
        waiting = [task for task in self.tasks if task.runs]
        return tuple(sorted(waiting, key=lambda task: -(task.estimate_s or float("inf"))))


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at a cell: what a worker process is told."""

    cell: Cell
    number: int
    """1 for the first attempt."""
    folder: str
    """The cell's folder, absolute; see :class:`bench.workspace.paths.CellFolder`."""
    data_home: str
    """Folder of downloaded and packed data sets, absolute."""
    data_folder: str = ""
    """Where its data set lies ready, absolute; empty: the worker looks for it."""
    device: str
    """``cpu`` or ``cuda``; which GPU is set by CUDA_VISIBLE_DEVICES."""
    mode: Mode
    """How it is computed."""
    suite: str
    """Name of the suite that it is run for."""
    series: str
    """Names the journals of attempts that go on from each other; a rerun begins another series, and another run."""
    created_ms: int
    """Unix time at which the series began."""
    cost: Cost | None = None
    """What the net was measured to cost; None lets the worker measure it."""
    failure: Failure | None = None
    """Why the attempt fails before it begins, see :class:`Task`."""
    deterministic: bool = False
    """See :class:`Execution`."""
    keep_weights: Literal["last", "none"] = "last"
    context: Mapping[str, str] = field(default_factory=dict)
    """Tags that say who runs it: host, process, user, commit."""
    title: str = ""
    """What its run in MLflow is called; empty: :attr:`Cell.title`."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is known of a cell, from its journal or from the tracking store."""

    cell_id: str
    state: State
    kind: FailureKind = ""
    reason: str = ""
    """One sentence: why it failed, with where to look."""
    epochs_done: int = 0
    epochs: int = 0
    top1: float | None = None
    """Percent of test images, last epoch."""
    top5: float | None = None
    test_loss: float | None = None
    train_loss: float | None = None
    """Mean over the steps of the last epoch."""
    classes: int | None = None
    """Of the data set; this and the next two are None before the data is open."""
    train_images: int | None = None
    test_images: int | None = None
    best_top1: float | None = None
    """Best epoch on the test set; only for ``--best``, never the result."""
    cost: Cost | None = None
    images_per_s: float | None = None
    """Training images a second, evaluation and start-up excluded."""
    epoch_s: float | None = None
    """Median wall time of an epoch, evaluation included."""
    peak_mb: float | None = None
    total_s: float | None = None
    attempts: int = 0
    device: str = ""
    mode: str = ""
    """How it was computed, the words of :class:`Mode`."""
    commit: str = ""
    weights_sha256: str = ""
    """Of the kept weights' file; empty where none were kept, and for runs of older versions in a store."""
    run_id: str = ""
    """MLflow run, empty while it has none."""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    """What else the result depends on: data digest, protocol, torch, device kind; see
    :mod:`bench.workspace.fingerprint`."""
    accepted: Mapping[str, str] = field(default_factory=dict)
    """The fingerprint under which a stale result was kept knowingly."""
    stale: str = ""
    """What has changed since the result was made, in words; empty while it holds. Never stored."""

    @property
    def threads(self) -> int | None:
        """CPU threads that it was computed with; None if it has not begun."""
        mode = Mode.from_words(self.mode)
        return mode.threads if mode else None
