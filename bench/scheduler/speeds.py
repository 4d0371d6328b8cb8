"""scheduler.speeds."""

import hashlib
import json
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench.scheduler.calls import call_workers_together
from bench.scheduler.devices import Slot, device_name
from bench.scheduler.modes import Measurement
from bench.values import Cell, Mode, to_json
from bench.workspace.files import write_atomically

STEP_FORMAT = 2
"""Raised whenever the same mode computes a step in another way than before, so that its speed is measured again."""


class SpeedCache:
    """What is known of speeds on a machine; asks workers for the rest."""

    def __init__(self, cache: Path, slot: Slot, *, deterministic: bool) -> None:
        self._cache, self._slot, self._deterministic = cache, slot, deterministic
        self._machine = " ".join([device_name(slot), *(f"{name} {_version(name)}" for name in ("torch", "timm"))])
        self._known = self._read()

    def knows(self, cell: Cell, classes: int, mode: Mode, concurrency: int) -> bool:
        """Whether it has been measured before."""
        return self._key(cell, classes, mode, concurrency) in self._known

    def of(self, cell: Cell, classes: int, mode: Mode, concurrency: int) -> Measurement | None:
        """The speed of a mode, measured now if need be; None where it cannot be used."""
        key = self._key(cell, classes, mode, concurrency)
        if key not in self._known:
            self._keep(key, self._measure(cell, classes, mode, concurrency))
        answer = self._known[key]
        return None if "error" in answer else Measurement(mode=mode, concurrency=concurrency, **answer)

    def _measure(self, cell: Cell, classes: int, mode: Mode, concurrency: int) -> dict[str, Any]:
        request = {
            "cell": json.loads(to_json(cell)),
            "num_classes": classes,
            "mode": asdict(mode),
            "device": self._slot.device,
            "deterministic": self._deterministic,
        }
        answers = call_workers_together(
            "probe", request, concurrency=concurrency, threads=mode.threads, visible=self._slot.visible
        )
        errors = [answer for answer in answers if "error" in answer]
        if errors:
            return errors[0]
        return {
            "images_per_s": sum(answer["images_per_s"] for answer in answers) / concurrency,
            "warm_up_s": max(answer["warm_up_s"] for answer in answers),
            "peak_mb": max(answer["peak_mb"] for answer in answers),
        }

    def _key(self, cell: Cell, classes: int, mode: Mode, concurrency: int) -> str:
        content = [STEP_FORMAT, self._machine, self._deterministic, workload(cell, classes), asdict(mode), concurrency]
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


def workload(cell: Cell, classes: int) -> str:
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
