"""Modes: how cells are computed and how many run side by side, chosen from measured speeds. Measures nothing itself.

A mode is left for another only where that one is measured to be clearly faster, so that noise moves no cell from the
default and the same machine gives the same roundings.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import get_args

from bench.scheduler.devices import GPU_USABLE, Slot
from bench.scheduler.estimates import makespan
from bench.values import Cell, Execution, MemoryFormat, Mode, Precision

MIN_SPEEDUP = 1.1
"""How many times faster a mode must be measured to be than the one it replaces."""
MIN_COMPILE_S = 1200.0
"""Training time above which it is tried whether compiling pays; to try it takes a minute a net."""
MAX_ON_A_GPU = 4
"""Cells that are tried side by side on a GPU."""
GPU_CONTEXT_MB = 600.0
"""Memory of a process on a GPU beside its tensors: context and libraries."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured of a mode."""

    mode: Mode
    concurrency: int
    """Cells on the device at the same time, all in this mode."""
    images_per_s: float
    """Training images a second of each of them."""
    warm_up_s: float
    """From building the net to the first step that counts: kernels are chosen, graphs captured or compiled."""
    peak_mb: float
    """Most memory of one, of the GPU's allocator or of the process on the CPU."""

    def seconds(self, images: float) -> float:
        """How long one of the cells takes for so many images."""
        return self.warm_up_s + images / self.images_per_s


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """How many cells run side by side on a device, and how each is computed."""

    concurrency: int
    modes: Mapping[str, Mode]
    """By cell id, of the cells whose speed was measured."""
    seconds: Mapping[str, float]
    """Predicted training time of those, by cell id."""


def default_mode(cell: Cell, slot: Slot, execution: Execution | None = None) -> Mode:
    """How a cell is computed where nothing was measured: the way that is faster for most nets on most machines."""
    execution = execution or Execution()
    precision = cell.recipe.precision
    if precision == "auto":
        precision = "bf16" if slot.device == "cuda" else "fp32"
    return Mode(
        threads=slot.threads,
        memory_format="channels_last" if execution.memory_format == "auto" else execution.memory_format,
        precision=precision,
        compiled=execution.compile == "always",
        memory_share=slot.memory_share,
    )


def candidates(cell: Cell, slot: Slot, execution: Execution) -> list[Mode]:
    """The modes worth measuring for a cell on a slot, the default first; ``torch.compile`` is tried apart."""
    default = default_mode(cell, slot, execution)
    formats = get_args(MemoryFormat) if execution.memory_format == "auto" else (execution.memory_format,)
    precisions = get_args(Precision) if cell.recipe.precision == "auto" else (default.precision,)
    captured = (False, True) if slot.device == "cuda" else (False,)
    made = [
        replace(default, memory_format=layout, precision=precision, captured=capture)
        for capture, precision, layout in product(captured, precisions, formats)
    ]
    return sorted(made, key=lambda mode: mode != default)


def levels(device: str, *, max_concurrency: int) -> list[int]:
    """Numbers of cells side by side that are worth measuring, powers of two; the default first.

    The default is one a GPU, and on the CPU as many as can be: a thread alone waits for no other.
    """
    powers = [2**power for power in range(max(1, max_concurrency).bit_length())]
    return powers if device == "cuda" else powers[::-1]


def fits(concurrency: int, peak_mb: float, total_mb: float) -> bool:
    """Whether so many cells of a peak fit on a GPU at once."""
    return concurrency * (peak_mb + GPU_CONTEXT_MB) <= GPU_USABLE * total_mb


def best(speeds: Iterable[Measurement], images: float) -> Measurement | None:
    """The speed that ends sooner; the first, which is the default's, unless another is clearly faster."""
    chosen: Measurement | None = None
    for speed in speeds:
        if chosen is None or MIN_SPEEDUP * speed.seconds(images) < chosen.seconds(images):
            chosen = speed
    return chosen


def allocate(
    work: Mapping[str, tuple[float, Sequence[Measurement]]], *, choices: Sequence[int], devices: int
) -> Allocation | None:
    """Choose how many cells run side by side and in which mode each, so that the last one ends soonest.

    Args:
        work: By cell id: images that are left to train on, and what was measured for its net, each level's default
            first.
        choices: Numbers of cells side by side on a device, the default first.
        devices: Devices that there are.

    Returns None where a number has no measured cell.
    """
    found: Allocation | None = None
    least = float("inf")
    for concurrency in choices:
        chosen: dict[str, Measurement] = {}
        for cell_id, (images, speeds) in work.items():
            if speed := best((each for each in speeds if each.concurrency == concurrency), images):
                chosen[cell_id] = speed
        if not chosen or len(chosen) < len(work):
            continue
        seconds = {cell_id: speed.seconds(work[cell_id][0]) for cell_id, speed in chosen.items()}
        last = makespan(seconds.values(), concurrency * devices)
        if found is None or MIN_SPEEDUP * last < least:
            least = last
            found = Allocation(
                concurrency=concurrency,
                modes={cell_id: speed.mode for cell_id, speed in chosen.items()},
                seconds=seconds,
            )
    return found
