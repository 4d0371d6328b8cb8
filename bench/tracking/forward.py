"""The forwarder: replays journals into the store, in one thread, whatever the store does.

Training never waits for it. Every point keeps its original timestamp, MLflow drops a point that it already has, and a
step that an earlier attempt has logged with the same value is not logged again, so replaying is harmless at any time,
from any machine that has the journals.
"""

import hashlib
import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import TrackingError
from bench.tracking.encoding import outcome_tags
from bench.tracking.runs import Store
from bench.tracking.uri import redact
from bench.values import Cell, Outcome
from bench.workspace.events import (
    ArtifactWritten,
    CostMeasured,
    DataLoaded,
    Diverged,
    EpochDone,
    Event,
    Progress,
    Started,
    Summarised,
)
from bench.workspace.files import write_atomically
from bench.workspace.host import LEASE_S, LEASE_TAG
from bench.workspace.journal import fold, read_from
from bench.workspace.locks import hold_lock
from bench.workspace.paths import AttemptFolder, CellFolder

TICK_S = 0.5
LONGEST_TICK_S = 10.0
SHARE = 0.01
"""Of one core, what following may take from the cells that run beside it, as long as ticks may grow for it."""
LONGEST_PAUSE_S = 30.0
"""While the store is away."""
BATCH = 900
"""Points a request; MLflow takes 1,000."""
STATUS = {"complete": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


@dataclass
class Feed:
    """One cell's journals on their way to the store."""

    cell: Cell
    folder: CellFolder
    run_id: str = ""
    offsets: dict[int, int] = field(default_factory=dict)
    """Bytes of each attempt's journal that the store has."""
    events: list[Event] = field(default_factory=list)
    """Events that the store has, without progress."""
    alive_ms: int = 0
    """Time of the last event that was read: the last sign of life that a replay knows of."""
    leased_until: float = 0.0
    """Unix time until which the store has been told that the cell is alive."""
    size: int = 0
    """Bytes of all journals when they were last read."""
    whole: bool = False
    """Whether the store has everything and the run was ended; a journal that grows after that opens it again."""

    def rests(self) -> bool:
        """Whether there is nothing to do, as a look at the sizes of the journals tells."""
        return self.whole and self.size == self.journal_size()

    def journal_size(self) -> int:
        """Bytes of all journals now."""
        return sum(size_of(attempt.journal) for attempt in self.folder.attempts())

    def rest(self) -> None:
        """Forget what is in the store, of which a suite of ten thousand cells has more than fits into memory."""
        self.whole, self.run_id = True, ""
        self.offsets, self.events = {}, []

    def seen(self) -> dict[tuple[str, int], float]:
        """Values that the store has, by key and step."""
        return {(key, step): value for event in self.events for key, value, step in points(event)}


class Forwarder:
    """Follows the journals of watched cells until :meth:`drain`.

    Args:
        store: Where they go.
        suite_name: Whose experiment they go to.
        live: Whether the cells run in this process's care, so that their leases are renewed; False for a replay.

    Raises:
        TrackingError: The store of a replay cannot be opened.
    """

    def __init__(self, store: Store, suite_name: str, *, live: bool) -> None:
        if not live:
            _ = store.client  # a replay into a store that cannot be opened fails at once, and is not tried again
        self._store, self._suite_name, self._live = store, suite_name, live
        self._key = hashlib.sha256(f"{redact(store.uri)} {suite_name}".encode()).hexdigest()[:16]
        self._feeds: dict[str, Feed] = {}
        self._lock = threading.Lock()
        """Guards the list of feeds; held for moments, so that the scheduler never waits for the store."""
        self._sending = threading.Lock()
        """Held while points are sent: one writer at a time, whichever thread asks."""
        self._wake, self._closing = threading.Event(), threading.Event()
        self._error = ""
        self._thread = threading.Thread(target=self._follow, name="forwarder", daemon=True)
        self._thread.start()

    def watch(self, cell: Cell, folder: CellFolder) -> None:
        """Follow a cell's journals from where the store has them."""
        with self._lock:
            self._feeds[str(folder.root)] = Feed(cell, folder)

    def drain(self, timeout_s: float) -> list[str]:
        """Wait until the store has everything. Returns what it did not take in time, as sentences."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = self._round()
            if not left or time.monotonic() > deadline:
                break
            time.sleep(min(TICK_S, max(0.0, deadline - time.monotonic())))
        if not left:
            return []
        return [
            f"{len(left)} runs are not whole in the store: {self._error}\n"
            f"their journals are kept; when the store is back, send them with: bench sync {left[0].folder.home}"
        ]

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=30)

    def _follow(self) -> None:
        pause = TICK_S
        while not self._wake.wait(pause):
            began_s = time.thread_time()
            failed = bool(self._round(only_new=True)) and bool(self._error)
            pause = pause_after(pause, time.thread_time() - began_s, failed=failed)

    def _round(self, *, only_new: bool = False) -> list[Feed]:
        """Send what is new of every feed. Returns the feeds that the store does not have whole."""
        with self._sending:
            with self._lock:
                feeds = list(self._feeds.values())
            left = []
            for feed in feeds:
                try:
                    self._store.check_present()
                    self._pump(feed)
                except (TrackingError, OSError) as error:
                    self._error = str(error)
                    left.append(feed)
                    if only_new:
                        break  # the store is away: the others would wait as long for the same answer
                else:
                    self._error = ""
            return left

    def _pump(self, feed: Feed) -> None:
        if feed.rests():
            return
        feed.whole, feed.size = False, feed.journal_size()
        if not feed.run_id and not self._begin(feed):
            return
        fresh = self._read(feed)
        if fresh:
            self._send(feed, fresh)
        outcome = fold(feed.cell.id, feed.events)
        if outcome.state in STATUS:
            self._finish(feed, outcome)
        else:
            self._renew(feed)

    def _begin(self, feed: Feed) -> bool:
        """Find or make the run, and learn what it has. False while the journal is empty."""
        attempts = feed.folder.attempts()
        first = next((events[0] for each in attempts if (events := read_from(each.journal)[0])), None)
        if first is None:
            return False
        series, created_ms = _series(attempts, first)
        with hold_lock(feed.folder.tracking_lock):  # or two processes would create a run each
            run_id = self._store.begin(feed.cell, self._suite_name, series, created_ms)
        known = _read_state(feed.folder).get(self._key, {})
        if known.get("run_id") == run_id:
            feed.offsets = {int(number): offset for number, offset in known["offsets"].items()}
            for attempt in attempts:
                events, _ = read_from(attempt.journal, end=feed.offsets.get(attempt.number, 0), skip_progress=True)
                feed.events += events
        feed.run_id = run_id
        return True

    def _renew(self, feed: Feed) -> None:
        """Tell readers on other hosts that a cell is still alive, before they take it for dead."""
        until = LEASE_S + (time.time() if self._live else feed.alive_ms / 1000)
        if until - feed.leased_until > LEASE_S / 2:
            feed.leased_until = until
            with self._store.translated("takes no lease"):
                self._store.client.set_tag(feed.run_id, LEASE_TAG, str(int(until)))

    def _read(self, feed: Feed) -> list[tuple[int, int, list[Event]]]:
        """What is new: attempt, offset behind it, and events."""
        fresh = []
        for attempt in feed.folder.attempts():
            before = feed.offsets.get(attempt.number, 0)
            events, offset = read_from(attempt.journal, before)
            if offset > before:
                feed.alive_ms = max([feed.alive_ms, *(event.time_ms for event in events)])
                kept = [event for event in events if not isinstance(event, Progress)]
                fresh.append((attempt.number, offset, kept))
        return fresh

    def _send(self, feed: Feed, fresh: list[tuple[int, int, list[Event]]]) -> None:
        events = [event for _, _, part in fresh for event in part]
        if events:
            with self._store.translated("takes no points"):
                self._log(feed, events)
        feed.events += events
        feed.offsets.update({number: offset for number, offset, _ in fresh})
        _write_state(feed.folder, self._key, feed.run_id, feed.offsets)

    def _log(self, feed: Feed, events: list[Event]) -> None:
        client, run_id = self._store.client, feed.run_id
        for event in events:
            match event:
                case Started():
                    self._log_start(run_id, event)
                case DataLoaded():
                    client.log_inputs(run_id, [_dataset_input(event)])
                case ArtifactWritten() if (path := feed.folder.root / event.path).exists():
                    client.log_artifact(run_id, str(path))
        self._log_points(run_id, events, feed.seen())
        self._tag(run_id, fold(feed.cell.id, feed.events + events))

    def _log_start(self, run_id: str, event: Started) -> None:
        """Open the run (again) and say who runs it."""
        from mlflow.entities import RunTag

        tags = {**event.context, "bench.state": "running"}
        self._store.client.update_run(run_id, status="RUNNING")
        self._store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def _log_points(self, run_id: str, events: list[Event], seen: dict[tuple[str, int], float]) -> None:
        from mlflow.entities import Metric

        metrics = []
        for event in events:
            for key, value, step in points(event):
                # an attempt that went on repeats steps: to the bit on a CPU, and within rounding on a GPU, where the
                # later value is the one that the weights at the end belong to
                told = (key, step) in seen and isinstance(event, Summarised)  # how long it took differs every time
                if not told and not _same(seen.get((key, step)), value):
                    seen[key, step] = value
                    metrics.append(Metric(key, value, event.time_ms, step))
        for begin in range(0, len(metrics), BATCH):
            self._store.client.log_batch(run_id, metrics=metrics[begin : begin + BATCH])

    def _tag(self, run_id: str, outcome: Outcome) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(key, value) for key, value in outcome_tags(outcome).items()]
        self._store.client.log_batch(run_id, tags=tags)

    def _finish(self, feed: Feed, outcome: Outcome) -> None:
        """End the run once its journal has ended: points counted, tags, status, and ``bench.state`` last."""
        with self._store.translated("takes no end of a run"):
            self._verify(feed)
            self._tag(feed.run_id, outcome)
            client = self._store.client
            ended_ms = feed.events[-1].time_ms if feed.events else None
            client.set_terminated(feed.run_id, STATUS[outcome.state], end_time=ended_ms)
            client.set_tag(feed.run_id, "bench.state", outcome.state)
        feed.rest()

    def _verify(self, feed: Feed) -> None:
        """Read the points back and count them; what the store has lost is sent again."""
        seen = feed.seen()
        stored = self._store.steps(feed.run_id, {key for key, _ in seen})
        for key in {key for key, _ in seen}:
            have = stored.get(key, set())
            if {step for other, step in seen if other == key} - have:
                there = {pair: value for pair, value in seen.items() if pair[0] != key or pair[1] in have}
                self._log_points(feed.run_id, feed.events, there)


def pause_after(before_s: float, busy_s: float, *, failed: bool) -> float:
    """Seconds until the next round, after one that took ``busy_s`` of a processor.

    Args:
        before_s: The pause before that round.
        busy_s: What the round took.
        failed: Whether the store was away.
    """
    if failed:
        return min(before_s * 2, LONGEST_PAUSE_S)
    return min(max(TICK_S, busy_s / SHARE), LONGEST_TICK_S)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def points(event: Event) -> list[tuple[str, float, int]]:
    """The metric points of a journal event: key, value, step. Infinity, of which MLflow makes 1.8e308, becomes NaN."""
    match event:
        case EpochDone() | Diverged():
            found = [(key, value, event.epoch) for key, value in event.metrics.items()]
        case Summarised():
            found = [(key, value, 0) for key, value in event.metrics.items()]
        case CostMeasured(cost=cost):
            found = [
                ("cost/params_m", cost.params / 1e6, 0),
                ("cost/flops_m", cost.flops / 1e6, 0),
                ("cost/conv_linear_m", cost.conv_linear_macs / 1e6, 0),
            ]
        case _:
            found = []
    return [(key, value if math.isfinite(value) else math.nan, step) for key, value, step in found]


def _same(before: float | None, now: float) -> bool:
    return before is not None and (before == now or (math.isnan(before) and math.isnan(now)))


def _series(attempts: Sequence[AttemptFolder], first: Event) -> tuple[str, int]:
    """What names the journals of a cell, and when they began; of old journals their first event."""
    for attempt in attempts:
        try:
            request = json.loads(attempt.request.read_text())
            return request["series"], request["created_ms"]
        except (OSError, ValueError, KeyError):
            continue  # its scheduler died before it was whole
    return str(first.time_ms), first.time_ms


def _dataset_input(event: DataLoaded) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    profile = {"classes": event.classes, "train_images": event.train_images, "test_images": event.test_images}
    dataset = Dataset(
        name=event.dataset,
        digest=event.digest[:36],  # as many as MLflow takes
        source_type="bench",
        source=json.dumps({"dataset": event.dataset, "sha256": event.digest}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "train")])


def _read_state(folder: CellFolder) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(folder.tracking.read_text())
    except (OSError, ValueError):
        return {}  # sending everything again is harmless
    return state


def _write_state(folder: CellFolder, key: str, run_id: str, offsets: Mapping[int, int]) -> None:
    state = _read_state(folder)
    state[key] = {"run_id": run_id, "offsets": {str(number): offset for number, offset in offsets.items()}}
    with suppress(OSError):  # without it everything is sent again, which is harmless
        write_atomically(folder.tracking, json.dumps(state, sort_keys=True))
