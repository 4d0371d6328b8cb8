"""SpeedCache of a suite's nets on the control side: asked of workers once, then kept for this machine.

The key of a kept figure is everything that decides it: the hardware, the versions of the libraries, the net, its input,
the batch, how the cell is computed and how many are computed beside it. Kept in the user's cache folder, since it is
the machine's and not the project's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.scheduler.devices import GPU_USABLE, Slot, gpu_memory_mb
from bench.scheduler.modes import MIN_COMPILE_S, Allocation, Measurement, allocate, candidates, fits, levels
from bench.scheduler.speeds import SpeedCache, workload
from bench.values import Cell, Execution, Mode

MIN_IMAGES = 100_000
"""Training images that the cells of a net must have left together before its speed is measured: to measure takes a few
thousand images, which must stay a small share. A count and no time, so that the same suite is treated alike always."""


def choose(
    cells: Sequence[Cell],
    images: Mapping[str, float],
    classes: Mapping[str, int],
    *,
    slot: Slot,
    devices: int,
    execution: Execution,
    cache: Path,
    most: int,
    concurrency: int | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Allocation | None:
    """Choose how many cells run side by side and how each is computed, from speeds that are measured now or known.

    Args:
        cells: What will run.
        images: Training images left, by cell id.
        classes: Outputs of the head, by cell id.
        slot: A slot of the kind that the cells will get, with the whole device.
        devices: Devices that there are.
        execution: What the suite says of it.
        cache: The file of speeds that are known.
        most: Cells side by side on a device, at most.
        beside: Cells side by side on a device, where that is decided already.
        note: Called with a sentence before measuring.

    Returns None where there is too little to train to make measuring worth its time.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(workload(cell, classes[cell.id]), []).append(cell)
    long = {key: group for key, group in groups.items() if sum(images[cell.id] for cell in group) >= MIN_IMAGES}
    if not long:
        return None
    speeds = SpeedCache(cache, slot, deterministic=execution.deterministic)
    choices = [concurrency] if concurrency else levels(slot.device, most=1 if execution.timed else most)
    asked = [
        (group[0], classes[group[0].id], mode, count)
        for group in long.values()
        for count in choices
        for mode in candidates(group[0], shared(slot, count), execution)
    ]
    if unknown := sum(not speeds.knows(*each) for each in asked):
        note(f"measuring how {len(long)} nets run fastest on this machine ({unknown} short trials, kept for next time)")
    found: dict[str, list[Measurement]] = {key: [] for key in long}
    for cell, count_classes, mode, count in asked:
        key = workload(cell, count_classes)
        alone = next((each for each in found[key] if each.concurrency == 1 and _alike(each.mode, mode)), None)
        if slot.device == "cuda" and alone and not fits(count, alone.peak_mb, gpu_memory_mb(slot.visible)):
            continue
        if speed := speeds.of(cell, count_classes, mode, count):
            found[key].append(speed)
    work = {cell.id: (images[cell.id], found[key]) for key, group in long.items() for cell in group}
    allocated = allocate(work, choices=choices, devices=devices)
    if allocated is None or execution.compile != "auto":
        return allocated
    for key, group in long.items():
        longest = max(group, key=lambda cell: images[cell.id])
        if allocated.seconds[longest.id] >= MIN_COMPILE_S:
            note(f"trying torch.compile on {longest.model}")
            mode = replace(allocated.modes[longest.id], compiled=True)
            if speed := speeds.of(longest, classes[longest.id], mode, allocated.concurrency):
                found[key].append(speed)
    return allocate(work, choices=[allocated.concurrency], devices=devices)


def _alike(mode: Mode, other: Mode) -> bool:
    """Whether two modes differ in no more than in their share of the machine, so that they need the same memory."""
    return replace(mode, threads=other.threads, memory_share=other.memory_share) == other


def shared(slot: Slot, concurrency: int) -> Slot:
    """A slot's part where so many cells share its device."""
    return replace(
        slot,
        threads=max(1, slot.threads // concurrency),
        memory_share=1.0 if concurrency == 1 or slot.device == "cpu" else round(GPU_USABLE / concurrency, 3),
    )
