"""Speeds of a suite's nets on the control side: asked of workers once, then kept for this machine.

The key of a kept figure is everything that decides it: the hardware, the versions of the libraries, the net, its input,
the batch, how the cell is computed and how many are computed beside it. Kept in the user's cache folder, since it is
the machine's and not the project's.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench.devices import GPU_USABLE, Slot, device_name, gpu_memory_mb
from bench.launch import ask_side_by_side
from bench.modes import COMPILE_LEAST_S, Arrangement, Speed, arrange, candidates, fits, levels
from bench.paths import write_atomically
from bench.values import Cell, Execution, Mode, to_json

STEP_FORMAT = 2
"""Raised whenever the same mode computes a step in another way than before, so that its speed is measured again."""
LEAST_IMAGES = 100_000
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
    beside: int | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Arrangement | None:
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
        groups.setdefault(_workload(cell, classes[cell.id]), []).append(cell)
    long = {key: group for key, group in groups.items() if sum(images[cell.id] for cell in group) >= LEAST_IMAGES}
    if not long:
        return None
    speeds = Speeds(cache, slot, deterministic=execution.deterministic)
    choices = [beside] if beside else levels(slot.device, most=1 if execution.timed else most)
    asked = [
        (group[0], classes[group[0].id], mode, count)
        for group in long.values()
        for count in choices
        for mode in candidates(group[0], shared(slot, count), execution)
    ]
    if unknown := sum(not speeds.knows(*each) for each in asked):
        note(f"measuring how {len(long)} nets run fastest on this machine ({unknown} short trials, kept for next time)")
    found: dict[str, list[Speed]] = {key: [] for key in long}
    for cell, count_classes, mode, count in asked:
        key = _workload(cell, count_classes)
        alone = next((each for each in found[key] if each.beside == 1 and _alike(each.mode, mode)), None)
        if slot.device == "cuda" and alone and not fits(count, alone.peak_mb, gpu_memory_mb(slot.visible)):
            continue
        if speed := speeds.of(cell, count_classes, mode, count):
            found[key].append(speed)
    work = {cell.id: (images[cell.id], found[key]) for key, group in long.items() for cell in group}
    arranged = arrange(work, choices=choices, devices=devices)
    if arranged is None or execution.compile != "auto":
        return arranged
    for key, group in long.items():
        longest = max(group, key=lambda cell: images[cell.id])
        if arranged.seconds[longest.id] >= COMPILE_LEAST_S:
            note(f"trying torch.compile on {longest.model}")
            mode = replace(arranged.modes[longest.id], compiled=True)
            if speed := speeds.of(longest, classes[longest.id], mode, arranged.beside):
                found[key].append(speed)
    return arrange(work, choices=[arranged.beside], devices=devices)


def _alike(mode: Mode, other: Mode) -> bool:
    """Whether two modes differ in no more than in their share of the machine, so that they need the same memory."""
    return replace(mode, threads=other.threads, memory_share=other.memory_share) == other


def shared(slot: Slot, beside: int) -> Slot:
    """A slot's part where so many cells share its device."""
    return replace(
        slot,
        threads=max(1, slot.threads // beside),
        memory_share=1.0 if beside == 1 or slot.device == "cpu" else round(GPU_USABLE / beside, 3),
    )


class Speeds:
    """What is known of speeds on a machine; asks workers for the rest."""

    def __init__(self, cache: Path, slot: Slot, *, deterministic: bool) -> None:
        self._cache, self._slot, self._deterministic = cache, slot, deterministic
        self._machine = " ".join([device_name(slot), *(f"{name} {_version(name)}" for name in ("torch", "timm"))])
        self._known = self._read()

    def knows(self, cell: Cell, classes: int, mode: Mode, beside: int) -> bool:
        """Whether it has been measured before."""
        return self._key(cell, classes, mode, beside) in self._known

    def of(self, cell: Cell, classes: int, mode: Mode, beside: int) -> Speed | None:
        """The speed of a mode, measured now if need be; None where it cannot be used."""
        key = self._key(cell, classes, mode, beside)
        if key not in self._known:
            self._keep(key, self._measure(cell, classes, mode, beside))
        answer = self._known[key]
        return None if "error" in answer else Speed(mode=mode, beside=beside, **answer)

    def _measure(self, cell: Cell, classes: int, mode: Mode, beside: int) -> dict[str, Any]:
        request = {
            "cell": json.loads(to_json(cell)),
            "num_classes": classes,
            "mode": asdict(mode),
            "device": self._slot.device,
            "deterministic": self._deterministic,
        }
        answers = ask_side_by_side("probe", request, beside=beside, threads=mode.threads, visible=self._slot.visible)
        errors = [answer for answer in answers if "error" in answer]
        if errors:
            return errors[0]
        return {
            "images_per_s": sum(answer["images_per_s"] for answer in answers) / beside,
            "warm_up_s": max(answer["warm_up_s"] for answer in answers),
            "peak_mb": max(answer["peak_mb"] for answer in answers),
        }

    def _key(self, cell: Cell, classes: int, mode: Mode, beside: int) -> str:
        content = [STEP_FORMAT, self._machine, self._deterministic, _workload(cell, classes), asdict(mode), beside]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            known: dict[str, dict[str, Any]] = json.loads(self._cache.read_text())
        except (OSError, ValueError):
            return {}  # a cache: whatever is wrong with it, measuring again mends it
        return known

    def _keep(self, key: str, answer: dict[str, Any]) -> None:
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._cache.with_suffix(".lock")):
            self._known = {**self._read(), **self._known, key: answer}
            # what failed may have failed for what else ran then: it is tried again the next time
            kept = {name: each for name, each in self._known.items() if "error" not in each}
            write_atomically(self._cache, json.dumps(kept, sort_keys=True))


def _workload(cell: Cell, classes: int) -> str:
    """Everything about a cell that decides how fast it trains."""
    recipe = cell.recipe
    file = cell.model.rpartition(":")[0]
    content = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file.endswith(".py") else ""
    choices = [recipe.optimizer.name, *(choice.name for choice in recipe.augment)]
    return json.dumps(
        [cell.model, content, recipe.stem, recipe.input_size, recipe.batch_size, recipe.precision, classes, *choices]
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "-"
