"""What a worker process can be asked besides training, and what it answers: one dataclass each, JSON on the wire.

:mod:`bench.scheduler.calls` sends requests, :mod:`bench.worker.main` answers them. A request that fails with a
:class:`bench.errors.BenchError` is answered with a :class:`Failure`; anything else ends the worker. The file is longer
than others, so that every request stands beside its answer.

========= ================ =============================================================================
command   request          answer
========= ================ =============================================================================
measure   Measure          :class:`bench.values.Cost`
prepare   Prepare          :class:`Prepared`: the data set is packed or indexed
import    Import           :class:`Imported`: a copy that lies elsewhere was imported
inspect   Inspect          :class:`Inspected`: classes, repeated and contradicting images of a data set
trial     Trial            :class:`TrialSpeed`: how fast a net trains in a mode
rates     Schedule         :class:`Rates`: the learning rates of a schedule
time      TimeNet          :class:`bench.values.NetSpeed`: how fast a finished net answers
export    Export           :class:`Exported`: a trained net was written in a format of other programs
========= ================ =============================================================================
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

from bench.values import Cell, Component, Cost, Failure, Mode, NetSpeed, Stem, from_dict

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, kw_only=True)
class Request(Generic[AnswerT]):
    """Something to ask a worker."""

    command: ClassVar[str]
    answer: ClassVar[type[Any]]
    """The class of its answer, the argument of ``Request[...]``."""
    limit_s: ClassVar[float | None] = None
    """How long one may take, in seconds, before its worker is ended; None for work whose length depends on the data."""


@dataclass(frozen=True, kw_only=True)
class Measure(Request[Cost]):
    """Count params and FLOPs of a net."""

    command = "measure"
    answer = Cost
    limit_s = 300.0

    model: str
    stem: Stem
    input_size: int
    """Height and width in pixels."""
    num_classes: int


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The data set is ready; :mod:`bench.datasets.prepared` finds it."""

    digest: str
    """SHA-256 of its pixels and labels."""


@dataclass(frozen=True, kw_only=True)
class Prepare(Request[Prepared]):
    """Pack or index a data set, so that all cells share it."""

    command = "prepare"
    answer = Prepared

    dataset: str
    input_size: int
    max_images_per_class: int | None = None
    streamed: bool = False
    test_resize: int = 0
    """See :class:`bench.values.DataKey`, whose fields these are."""
    data_home: str


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A data set was imported."""

    card: Mapping[str, Any]
    """What was recorded of it: format, numbers of images, digest."""


@dataclass(frozen=True, kw_only=True)
class Import(Request[Imported]):
    """Import an existing copy of a data set."""

    command = "import"
    answer = Imported

    dataset: str
    path: str
    """Folder or archive."""
    data_home: str


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What a data set contains."""

    contents: Mapping[str, Any]
    """See :func:`bench.worker.data.contents.inspect`."""


@dataclass(frozen=True, kw_only=True)
class Inspect(Request[Inspected]):
    """Count classes, repeated and contradicting images of a data set."""

    command = "inspect"
    answer = Inspected

    dataset: str
    data_home: str


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished cell and the file of its weights."""

    cell: Cell
    title: str
    """What messages call it."""
    weights: str
    """Path of its weights."""
    sha256: str = ""
    """Of that file, as recorded; empty where it was not."""
    top1: float | None = None
    """Recorded percent of the test images."""
    data: str = ""
    """Recorded digest of the data set."""


@dataclass(frozen=True, kw_only=True)
class TrialSpeed:
    """How fast a net trained in a trial."""

    images_per_s: float
    """Training images per second."""
    warm_up_s: float
    """From building the net to the first step that counts."""
    peak_mb: float
    """Peak memory, of the GPU's allocator or of the process on the CPU."""


@dataclass(frozen=True, kw_only=True)
class Trial(Request[TrialSpeed]):
    """Train a net on random images for a moment, as a cell would in this mode."""

    command = "trial"
    answer = TrialSpeed
    limit_s = 300.0

    cell: Cell
    num_classes: int
    mode: Mode
    device: str
    """``cpu`` or ``cuda``."""
    deterministic: bool


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The learning rates of a schedule."""

    epochs: tuple[tuple[float, ...], ...]
    """Of each epoch: one rate for the whole epoch or, during warm-up, one per step."""


@dataclass(frozen=True, kw_only=True)
class Schedule(Request[Rates]):
    """Step through a schedule as a training does."""

    command = "rates"
    answer = Rates
    limit_s = 300.0

    schedule: Component
    lr: float
    epochs: int
    steps: int
    """Steps per epoch."""


@dataclass(frozen=True, kw_only=True)
class TimeNet(Request[NetSpeed]):
    """Time a net in eval mode: one image, and a batch."""

    command = "time"
    answer = NetSpeed
    limit_s = 900.0

    model: str
    stem: Stem
    input_size: int
    """Height and width in pixels."""
    num_classes: int
    mode: Mode
    device: str
    """``cpu`` or ``cuda``."""
    hardware: str
    """Name of the device, which the answer repeats."""


ExportFormat = Literal["onnx", "torchscript", "folder"]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A trained net was written, and gives the classes that it should."""

    input_size: int
    classes: int
    images: int
    """Test images that the written net was tried on."""
    test_images: int
    """Images of the whole test set."""
    ties: int
    """Those of them on which two classes have almost equal scores and the other one won."""
    top1: float
    """Percent of the tried images that it classifies rightly."""
    needs: str
    """What a program needs to load it, in words."""


@dataclass(frozen=True, kw_only=True)
class Export(Request[Exported]):
    """Write a trained net in a format of other programs, and try what was written."""

    command = "export"
    answer = Exported

    trained: Trained
    to: ExportFormat
    output: str
    """Where it is written, absolute; a file, or a folder that is missing or empty."""
    data_home: str


REQUESTS: dict[str, type[Request[Any]]] = {
    cls.command: cls for cls in (Measure, Prepare, Import, Inspect, Trial, Schedule, TimeNet, Export)
}


def encode_all(values: Sequence[Any]) -> bytes:
    """Requests of one class, or answers, as JSON."""
    return json.dumps([asdict(value) for value in values], sort_keys=True).encode()


def decode_requests(command: str, content: bytes) -> list[Request[Any]]:
    """The requests of a command.

    Raises:
        ValueError: The command is unknown, or the content is not a list of its requests.
    """
    if command not in REQUESTS:
        raise ValueError(f"unknown command {command!r}; known: {', '.join(REQUESTS)}")
    return [from_dict(REQUESTS[command], fields) for fields in json.loads(content)]


def decode_answers(command: str, content: bytes) -> list[Any]:
    """The answers to the requests of a command, each of its class or a :class:`Failure`.

    Raises:
        ValueError: The content is not a list of such answers.
    """
    answer = REQUESTS[command].answer
    return [from_dict(Failure if "error" in fields else answer, fields) for fields in json.loads(content)]
