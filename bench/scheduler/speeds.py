"""Measured speeds of nets on this machine: asked of workers once, then kept in the user's cache folder.

The key of a figure is everything that decides it: the hardware, the versions of the libraries, the net, its input, the
batch, the mode and the concurrency. The folder is the user's, because a speed belongs to the machine and not to the
project.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from bench.scheduler.calls import call_workers_together
from bench.scheduler.devices import Slot, device_name
from bench.scheduler.modes import Measurement
from bench.values import Cell, Failure, Mode, from_dict
from bench.workspace.cache import add_to_cache, read_cache
from bench.workspace.fingerprint import model_digest
from bench.workspace.requests import Trial, TrialSpeed

STEP_FORMAT = 2
"""Raised whenever the same mode computes a step in another way than before, so that its speed is measured again."""

Ask = Callable[..., list[TrialSpeed | Failure]]
"""As :func:`bench.scheduler.calls.call_workers_together`."""


class SpeedCache:
    """Speeds of nets on a machine; asks workers for those that are missing."""

    def __init__(self, path: Path, slot: Slot, *, deterministic: bool, ask: Ask = call_workers_together) -> None:
        """Open the cache file ``path`` for a slot; ``ask`` runs the trials."""
        self._path, self._slot, self._deterministic, self._ask = path, slot, deterministic, ask
        self._machine = " ".join([device_name(slot), *(f"{name} {_version(name)}" for name in ("torch", "timm"))])
        self._speeds: dict[str, TrialSpeed | None] = {
            # what failed may have failed for what else ran then: it is not in the file, and tried again in each run
            key: from_dict(TrialSpeed, entry)
            for key, entry in read_cache(path).items()
            if "error" not in entry
        }

    def has(self, cell: Cell, classes: int, mode: Mode, concurrency: int) -> bool:
        """Whether it was measured before."""
        return self._key(cell, classes, mode, concurrency) in self._speeds

    def get_or_measure(self, cell: Cell, classes: int, mode: Mode, concurrency: int) -> Measurement | None:
        """The speed of a mode; None where the mode cannot be used."""
        key = self._key(cell, classes, mode, concurrency)
        if key not in self._speeds:
            self._speeds[key] = speed = self._measure(cell, classes, mode, concurrency)
            if speed is not None:
                add_to_cache(self._path, {key: asdict(speed)})
        if (speed := self._speeds[key]) is None:
            return None
        return Measurement(mode=mode, concurrency=concurrency, **asdict(speed))

    def _measure(self, cell: Cell, classes: int, mode: Mode, concurrency: int) -> TrialSpeed | None:
        """The mean speed of cells that run together, with the longest warm-up and the largest peak; None: failed."""
        trial = Trial(
            cell=cell, num_classes=classes, mode=mode, device=self._slot.device, deterministic=self._deterministic
        )
        answers = self._ask(trial, concurrency=concurrency, threads=mode.threads, visible=self._slot.visible)
        speeds = [answer for answer in answers if isinstance(answer, TrialSpeed)]
        if len(speeds) < len(answers):
            return None
        return TrialSpeed(
            images_per_s=sum(speed.images_per_s for speed in speeds) / concurrency,
            warm_up_s=max(speed.warm_up_s for speed in speeds),
            peak_mb=max(speed.peak_mb for speed in speeds),
        )

    def _key(self, cell: Cell, classes: int, mode: Mode, concurrency: int) -> str:
        content = [STEP_FORMAT, self._machine, self._deterministic, workload(cell, classes), asdict(mode), concurrency]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def workload(cell: Cell, classes: int) -> str:
    """Everything about a cell that decides how fast it trains."""
    recipe = cell.recipe
    components = [recipe.optimizer.name, *(component.name for component in recipe.augment)]
    net = [cell.model, model_digest(cell.model), recipe.stem, recipe.input_size]
    return json.dumps([*net, recipe.batch_size, recipe.precision, classes, *components])


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "-"
