"""One cell's journals on their way to a store: what is new in them, and how much of them the store has.

Used by :class:`bench.tracking.sender.Sender`. Nothing here talks to a store. What the store has is written to the
cell's folder; without that file everything is sent again, which is harmless.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.codec import JsonObject
from bench.values import Cell, Outcome
from bench.workspace.cells import series_name
from bench.workspace.events import Event, Progress
from bench.workspace.files import write_atomically
from bench.workspace.journal import fold, read_cell, read_from
from bench.workspace.paths import AttemptFolder, CellFolder


class NewEvents(NamedTuple):
    """What an attempt's journal has that the store does not have."""

    attempt: int
    offset: int
    """Bytes of the journal up to the end of these events."""
    events: list[Event]
    """Without progress."""


@dataclass
class Feed:
    """One cell's journals and how much of them the store has."""

    cell: Cell
    folder: CellFolder
    run_id: str = ""
    """Empty until the run is found or created."""
    offsets: dict[int, int] = field(default_factory=dict)
    """Bytes of each attempt's journal that the store has."""
    events: list[Event] = field(default_factory=list)
    """Events that the store has, without progress."""
    alive_ms: int = 0
    """Unix time in milliseconds of the last event that was read: the last sign of life that a replay has."""
    leased_until: float = 0.0
    """Unix time in seconds until which readers of the store take the cell for alive."""
    series_name: str = ""
    """The series that the run is of."""
    size: int = 0
    """Bytes of all journals when they were last read."""
    complete: bool = False
    """Whether the store has everything and the run was ended. A journal that grows later opens the run again."""

    def is_idle(self) -> bool:
        """Whether there is nothing to do, judged by the sizes of the journals."""
        return self.complete and self.size == self.journal_size()

    def journal_size(self) -> int:
        """Bytes of all journals now."""
        return sum(_size(attempt.journal) for attempt in self.folder.attempts())

    def drop_events(self) -> None:
        """Forget the events, once the store has all: those of ten thousand cells would not fit in memory."""
        self.complete, self.run_id = True, ""
        self.offsets, self.events = {}, []

    def series(self) -> tuple[str, int] | None:
        """The name of the cell's series of attempts and the Unix time in ms at which it began; None while it is empty.

        Journals without a readable request are named by the time of their first event.
        """
        attempts = self.folder.attempts()
        first = next((events[0] for attempt in attempts if (events := read_from(attempt.journal)[0])), None)
        if first is None:
            return None
        return _requested_series(attempts) or (str(first.time_ms), first.time_ms)

    def sent_outcome(self, key: str) -> tuple[str, Outcome | None]:
        """The run that has all of the journals, as far as the folder's note knows, and the outcome that they end with.

        None for the outcome where something is not noted as sent. ``key`` names store and suite in the note.
        """
        state = _read_state(self.folder).get(key, {})
        offsets, attempts = state.get("offsets", {}), self.folder.attempts()
        if not attempts or any(offsets.get(str(each.number)) != _size(each.journal) for each in attempts):
            return "", None
        return state.get("run_id", ""), fold(self.cell.id, read_cell(self.folder))

    def title(self) -> str:
        """What the cell's run is called; empty if no request says it."""
        return _title(self.folder.attempts())

    def resume(self, run_id: str, key: str) -> None:
        """Set the run, and continue after the events that it is noted to have.

        Args:
            run_id: The run's id.
            key: Names store and suite in the note.
        """
        state = _read_state(self.folder).get(key, {})
        if state.get("run_id") == run_id:
            self.offsets = {int(number): offset for number, offset in state["offsets"].items()}
            for attempt in self.folder.attempts():
                end = self.offsets.get(attempt.number, 0)
                self.events += read_from(attempt.journal, end=end, skip_progress=True)[0]
        self.run_id, self.series_name = run_id, series_name(self.folder)

    def is_replaced(self) -> bool:
        """Whether the folder holds another series by now, whose events belong to another run."""
        return bool(self.series_name) and series_name(self.folder) != self.series_name

    def read_new(self) -> list[NewEvents]:
        """What is new in the journals."""
        new = []
        for attempt in self.folder.attempts():
            before = self.offsets.get(attempt.number, 0)
            events, offset = read_from(attempt.journal, before)
            if offset > before:
                self.alive_ms = max([self.alive_ms, *(event.time_ms for event in events)])
                without_progress = [event for event in events if not isinstance(event, Progress)]
                new.append(NewEvents(attempt.number, offset, without_progress))
        return new

    def add_sent(self, new: Sequence[NewEvents], key: str) -> None:
        """Note that the store has taken events."""
        for attempt, offset, events in new:
            self.events += events
            self.offsets[attempt] = offset
        state = _read_state(self.folder)
        state[key] = {"run_id": self.run_id, "offsets": {str(number): end for number, end in self.offsets.items()}}
        with suppress(OSError):
            write_atomically(self.folder.tracking, json.dumps(state, sort_keys=True))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _title(attempts: Sequence[AttemptFolder]) -> str:
    for attempt in attempts:
        with suppress(OSError, ValueError, AttributeError):  # as for the series
            if title := json.loads(attempt.request.read_text()).get("title"):
                return str(title)
    return ""


def _requested_series(attempts: Sequence[AttemptFolder]) -> tuple[str, int] | None:
    for attempt in attempts:
        try:
            request = json.loads(attempt.request.read_text())
            return str(request["series"]), int(request["created_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # its scheduler died before the request was complete
    return None


def _read_state(folder: CellFolder) -> JsonObject:
    try:
        state: JsonObject = json.loads(folder.tracking.read_text())
    except (OSError, ValueError):
        return {}
    return state
