"""The fake launcher: attempts end as a test says, without a process and without waiting.

It keeps the contract of :class:`bench.scheduler.launcher.Launcher`: it writes the request file and the journal of each
attempt, so that everything that reads them is real.
"""

from collections.abc import Callable
from pathlib import Path

from bench.scheduler.devices import Slot
from bench.values import Attempt, to_json
from bench.workspace.events import Started
from bench.workspace.files import write_atomically
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

Ending = Callable[[Attempt, Journal], int]
"""What a worker would do: writes into its journal and returns its exit code, negative for a signal."""


class FakeHandle:
    """An attempt that ends when a test says so, or when it is killed."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        self.asked: list[str] = []
        """The calls of ``stop`` and ``kill``, in order."""

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self.code

    def stop(self) -> None:
        """Remember the request; the attempt does not follow it by itself."""
        self.asked.append("stop")

    def kill(self) -> None:
        """End as by SIGKILL, unless it has ended."""
        self.asked.append("kill")
        self.code = -9 if self.code is None else self.code


class FakeLauncher:
    """Ends every attempt at once, by the name of its model; an attempt without an ending runs until it is ended."""

    def __init__(self, **endings: Ending) -> None:
        """``endings`` are by name of the cell's model."""
        self.endings = endings
        self.started: list[tuple[str, int]] = []
        """Model and number of every attempt, in order."""
        self.handles: list[FakeHandle] = []
        self.attempts: list[Attempt] = []

    def start(self, attempt: Attempt, slot: Slot) -> FakeHandle:  # noqa: ARG002 - the launcher's
        """Write the request and the first event, and end if the model has an ending."""
        self.started.append((attempt.cell.model, attempt.number))
        self.attempts.append(attempt)
        ending = self.endings.get(attempt.cell.model)
        paths = CellFolder(Path(attempt.folder)).attempt(attempt.number)
        with Journal(paths.journal) as journal:
            write_atomically(paths.request, to_json(attempt))
            journal.write(Started(attempt=attempt.number, epochs=attempt.cell.recipe.epochs, device=attempt.device))
            self.handles.append(FakeHandle(ending(attempt, journal) if ending else None))
        return self.handles[-1]

    def running(self) -> list[tuple[FakeHandle, Attempt]]:
        """Attempts that have not ended."""
        pairs = zip(self.handles, self.attempts, strict=True)
        return [(handle, attempt) for handle, attempt in pairs if handle.code is None]

    def end(self, running: tuple[FakeHandle, Attempt], ending: Ending) -> None:
        """End one of them."""
        handle, attempt = running
        with Journal(CellFolder(Path(attempt.folder)).attempt(attempt.number).journal) as journal:
            handle.code = ending(attempt, journal)
