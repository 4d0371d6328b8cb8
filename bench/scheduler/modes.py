"""Choose modes and the number of concurrent cells from measured throughput. Pure functions; measures nothing.

A mode replaces the default only if it was measured to be clearly faster, so that noise moves no cell from the default.
Which cells are measured depends on the cell alone: all others get the default, whatever runs beside them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import get_args

from bench.scheduler.devices import GPU_USABLE, Slot
from bench.scheduler.estimates import makespan
from bench.values import Cell, Execution, MemoryFormat, Mode, Precision

MIN_SPEEDUP = 1.1
"""Minimum speed-up before a mode replaces the default."""
MIN_COMPILE_S = 1200.0
"""Minimum training time (seconds) before ``torch.compile`` is tried, which takes a minute per net."""
CPU_THREADS = 1
"""Threads of a cell on the CPU when nothing was measured. A constant: sums over another number of threads round
differently, so a share of the machine would make a cell's figures depend on what runs beside it."""
MAX_ON_A_GPU = 4
"""Maximum number of concurrent cells that is tried on a GPU."""
GPU_CONTEXT_MB = 600.0
"""Memory (MB) of a process on a GPU besides its tensors: context and libraries."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measured speed of a mode."""

    mode: Mode
    concurrency: int
    """Cells on the device at the same time, all in this mode."""
    images_per_s: float
    """Training images per second of each of them."""
    warm_up_s: float
    """From building the net to the first step that counts: kernels are chosen, graphs captured or compiled."""
    peak_mb: float
    """Peak memory of one of them, of the GPU's allocator or of the process on the CPU."""

    def seconds(self, images: float) -> float:
        """Seconds that one of the cells takes for a number of images."""
        return self.warm_up_s + images / self.images_per_s


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """How many cells run at a time on a device, and in which mode each."""

    concurrency: int
    modes: Mapping[str, Mode]
    """By cell id."""
    seconds: Mapping[str, float]
    """Predicted training time, by cell id."""


def default_mode(cell: Cell, slot: Slot, execution: Execution | None = None) -> Mode:
    """The mode of a cell when nothing was measured: the one that is faster for most nets on most machines."""
    execution = execution or Execution()
    precision = cell.recipe.precision
    if precision == "auto":
        precision = "bf16" if slot.device == "cuda" else "fp32"
    return Mode(
        threads=slot.threads if slot.device == "cuda" else CPU_THREADS,  # a GPU's cell computes nothing on its threads
        memory_format="channels_last" if execution.memory_format == "auto" else execution.memory_format,
        precision=precision,
        compiled=execution.compile == "always",
        memory_share=slot.memory_share,
    )


def candidates(cell: Cell, slot: Slot, execution: Execution) -> list[Mode]:
    """The modes worth measuring for a cell with a slot's threads, the default first.

    ``torch.compile`` is tried separately.
    """
    default = replace(default_mode(cell, slot, execution), threads=slot.threads)
    formats = get_args(MemoryFormat) if execution.memory_format == "auto" else (execution.memory_format,)
    precisions = get_args(Precision) if cell.recipe.precision == "auto" else (default.precision,)
    captured = (False, True) if slot.device == "cuda" else (False,)
    modes = [
        replace(default, memory_format=format_, precision=precision, captured=capture)
        for capture, precision, format_ in product(captured, precisions, formats)
    ]
    return sorted(modes, key=lambda mode: mode != default)


def is_allowed(mode: Mode, execution: Execution) -> bool:
    """Whether a mode that was chosen before is one that the suite's execution settings still leave open."""
    compiled = {"always": True, "never": False}.get(execution.compile, mode.compiled)
    return execution.memory_format in ("auto", mode.memory_format) and mode.compiled == compiled


def levels(device: str, *, max_concurrency: int) -> list[int]:
    """Numbers of concurrent cells worth measuring, powers of two; the default first.

    The default is one per GPU, and on the CPU as many as possible: a single thread never waits for another.
    """
    powers = [2**power for power in range(max(1, max_concurrency).bit_length())]
    return powers if device == "cuda" else powers[::-1]


def fits(concurrency: int, peak_mb: float, total_mb: float) -> bool:
    """Whether that many cells with this peak fit on a GPU at once."""
    return concurrency * (peak_mb + GPU_CONTEXT_MB) <= GPU_USABLE * total_mb


def best(speeds: Iterable[Measurement], images: float) -> Measurement | None:
    """The measurement that finishes first; the first one, the default's, unless another is clearly faster."""
    fastest: Measurement | None = None
    for speed in speeds:
        if fastest is None or MIN_SPEEDUP * speed.seconds(images) < fastest.seconds(images):
            fastest = speed
    return fastest


def allocate(
    work: Mapping[str, tuple[float, Sequence[Measurement]]], *, choices: Sequence[int], devices: int
) -> Allocation | None:
    """Choose how many cells run at a time and in which mode each, so that the last one ends soonest.

    Args:
        work: By cell id: the images left to train on, and the measurements of its net, each level's default first.
        choices: Numbers of concurrent cells per device, the default first.
        devices: Number of devices.

    Returns None if no number has a measurement for every cell.
    """
    allocation: Allocation | None = None
    min_s = float("inf")
    for concurrency in choices:
        fastest: dict[str, Measurement] = {}
        for cell_id, (images, speeds) in work.items():
            if speed := best((speed for speed in speeds if speed.concurrency == concurrency), images):
                fastest[cell_id] = speed
        if not fastest or len(fastest) < len(work):
            continue
        seconds = {cell_id: speed.seconds(work[cell_id][0]) for cell_id, speed in fastest.items()}
        last_s = makespan(seconds.values(), concurrency * devices)
        if allocation is None or MIN_SPEEDUP * last_s < min_s:
            min_s = last_s
            allocation = Allocation(
                concurrency=concurrency,
                modes={cell_id: speed.mode for cell_id, speed in fastest.items()},
                seconds=seconds,
            )
    return allocation
