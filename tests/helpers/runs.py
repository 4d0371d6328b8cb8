"""Running cells in tests with the fake launcher: how attempts end, and a quiet observer."""

import json
from pathlib import Path

from bench.scheduler.devices import Slot
from bench.values import Attempt, Cell, Mode, Outcome
from bench.workspace.events import Ended, EpochDone, Event
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

SLOT = Slot(name="cpu 0", device="cpu", visible="", threads=1)
METRICS = {"test/top1": 90.0, "test/top5": 99.0, "test/loss": 0.5, "train/loss": 0.4}


def attempt_of(cell: Cell, folder: CellFolder, data_home: Path, *, threads: int = 1) -> Attempt:
    """The first attempt at a cell, on the CPU."""
    return Attempt(
        cell=cell,
        number=1,
        folder=str(folder.root),
        data_home=str(data_home),
        device="cpu",
        mode=Mode(threads=threads),
        suite="test",
        series="test",
        created_ms=0,
    )


def well(attempt: Attempt, journal: Journal) -> int:
    journal.write(EpochDone(epoch=attempt.cell.recipe.epochs, metrics=METRICS, epoch_s=1.0, images_per_s=10.0))
    journal.write(Ended(state="complete", kind="", reason="", fingerprint={}))
    CellFolder(Path(attempt.folder)).result.write_text(json.dumps({"cell": attempt.cell.id}))
    return 0


def badly(attempt: Attempt, journal: Journal) -> int:
    journal.write(Ended(state="failed", kind="error", reason="it broke"))
    return 1


def silently(attempt: Attempt, journal: Journal) -> int:
    return 0


def killed(attempt: Attempt, journal: Journal) -> int:
    return -9


class Silent:
    """An observer and a forwarder that show nothing; the retries are remembered."""

    def __init__(self) -> None:
        self.again: list[tuple[str, str]] = []

    def watch(self, cell: Cell, folder: CellFolder) -> None: ...

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None: ...

    def event(self, cell: Cell, event: Event) -> None: ...

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        self.again.append((cell.model, outcome.kind))

    def finished(self, cell: Cell, outcome: Outcome) -> None: ...
