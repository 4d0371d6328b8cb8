"""The forwarder: replays journals into the store, in one thread, whatever the store does.

Training never waits for it. Every point keeps its original timestamp, MLflow drops a point that it already has, and a
step that an earlier attempt has logged is not logged again, so replaying is harmless at any time.
"""

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from filelock import FileLock

from bench.errors import StoreError
from bench.journal import Event, fold, read_from
from bench.paths import CellFolder, write_atomically
from bench.tracking.store import Store, outcome_tag
from bench.tracking.uri import redact
from bench.values import Cell, Outcome, Suite

TICK_S = 0.5
LONGEST_PAUSE_S = 30.0
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
    settled: Outcome | None = None
    """What became of the cell where its journal does not say."""
    finished_at: int = -1
    """Number of events when the run was last ended; more events open it again."""

    def seen(self) -> set[tuple[str, int]]:
        """Keys and steps that the store has."""
        return {(key, step) for event in self.events for key, _, step in points(event)}


class Forwarder:
    """Follows the journals of watched cells until :meth:`drain`."""

    def __init__(self, store: Store, suite: Suite, context: Mapping[str, str]) -> None:
        self._store, self._suite, self._context = store, suite, context
        self._key = hashlib.sha256(f"{redact(store.uri)} {suite.name}".encode()).hexdigest()[:16]
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
            self._feeds[cell.id] = Feed(cell, folder)

    def settle(self, cell: Cell, folder: CellFolder, outcome: Outcome) -> None:
        """Tell what became of a cell whose worker ended without an ``end`` event."""
        with self._lock:
            feed = self._feeds.setdefault(cell.id, Feed(cell, folder))
            feed.settled = outcome

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
            f"{len(left)} runs are not whole in the store ({self._error}); their journals are kept in "
            f"{left[0].folder.root.parent}, and the same command sends them again"
        ]

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=30)

    def _follow(self) -> None:
        pause = TICK_S
        while not self._wake.wait(pause):
            failed = bool(self._round(only_new=True)) and bool(self._error)
            pause = min(pause * 2, LONGEST_PAUSE_S) if failed else TICK_S

    def _round(self, *, only_new: bool = False) -> list[Feed]:
        """Send what is new of every feed. Returns the feeds that the store does not have whole."""
        with self._sending:
            with self._lock:
                feeds = list(self._feeds.values())
            left = []
            for feed in feeds:
                try:
                    self._pump(feed)
                except (StoreError, OSError) as error:
                    self._error = str(error)
                    left.append(feed)
                    if only_new:
                        break  # the store is away: the others would wait as long for the same answer
                else:
                    self._error = ""
            return left

    def _pump(self, feed: Feed) -> None:
        if not feed.run_id and not self._begin(feed):
            return
        fresh = self._read(feed)
        if fresh:
            self._send(feed, fresh)
        if feed.finished_at != len(feed.events):
            self._finish(feed)

    def _begin(self, feed: Feed) -> bool:
        """Find or make the run, and learn what it has. False while the journal is empty."""
        attempts = feed.folder.attempts()
        first, _ = read_from(attempts[0].journal) if attempts else ([], 0)
        if not first and feed.settled is None:
            return False
        first_ms = first[0]["time_ms"] if first else int(feed.folder.cell.stat().st_mtime * 1000)
        with FileLock(feed.folder.root / "tracking.lock"):  # another bench run may send the same cell
            run_id = self._store.begin(feed.cell, self._suite, first_ms, self._context)
        known = _read_state(feed.folder).get(self._key, {})
        if known.get("run_id") == run_id:
            feed.offsets = {int(number): offset for number, offset in known["offsets"].items()}
            for attempt in attempts:
                events, _ = read_from(attempt.journal, end=feed.offsets.get(attempt.number, 0))
                feed.events += [event for event in events if event["event"] != "progress"]
        feed.run_id = run_id
        return True

    def _read(self, feed: Feed) -> list[tuple[int, int, list[Event]]]:
        """What is new: attempt, offset behind it, and events."""
        fresh = []
        for attempt in feed.folder.attempts():
            before = feed.offsets.get(attempt.number, 0)
            events, offset = read_from(attempt.journal, before)
            if offset > before:
                kept = [event for event in events if event["event"] != "progress"]
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
            if event["event"] == "start":
                client.update_run(run_id, status="RUNNING")
                client.set_tag(run_id, "bench.state", "running")
            elif event["event"] == "data":
                client.log_inputs(run_id, [_dataset_input(event)])
            elif event["event"] == "artifact":
                path = feed.folder.root / event["path"]
                if path.exists():
                    client.log_artifact(run_id, str(path))
        self._log_points(run_id, events, feed.seen())
        self._tag(run_id, fold(feed.cell.id, feed.events + events))

    def _log_points(self, run_id: str, events: list[Event], seen: set[tuple[str, int]]) -> None:
        from mlflow.entities import Metric

        metrics = []
        for event in events:
            for key, value, step in points(event):
                if (key, step) not in seen:
                    seen.add((key, step))
                    metrics.append(Metric(key, value, event["time_ms"], step))
        for begin in range(0, len(metrics), BATCH):
            self._store.client.log_batch(run_id, metrics=metrics[begin : begin + BATCH])

    def _tag(self, run_id: str, outcome: Outcome) -> None:
        from mlflow.entities import RunTag

        tags = {
            "bench.outcome": outcome_tag(outcome),
            "bench.attempt": str(outcome.attempts),
            "bench.device": outcome.device,
            "bench.failure": outcome.kind,
            "bench.reason": outcome.reason[:1000],
        }
        self._store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def _finish(self, feed: Feed) -> None:
        """End the run once its journal has ended: points counted, tags, status, and ``bench.state`` last."""
        outcome = fold(feed.cell.id, feed.events)
        if feed.settled is not None:
            outcome = replace(
                outcome,
                state=feed.settled.state,
                kind=feed.settled.kind,
                reason=feed.settled.reason,
                attempts=feed.settled.attempts,
            )
        if outcome.state not in STATUS:
            return
        with self._store.translated("takes no end of a run"):
            self._verify(feed)
            self._tag(feed.run_id, outcome)
            client = self._store.client
            ended_ms = feed.events[-1]["time_ms"] if feed.events else None
            client.set_terminated(feed.run_id, STATUS[outcome.state], end_time=ended_ms)
            client.set_tag(feed.run_id, "bench.state", outcome.state)
        feed.finished_at = len(feed.events)

    def _verify(self, feed: Feed) -> None:
        """Read the points back and count them; what the store has lost is sent again."""
        expected: dict[str, set[int]] = defaultdict(set)
        for key, step in feed.seen():
            expected[key].add(step)
        for key, steps in expected.items():
            have = {metric.step for metric in self._store.client.get_metric_history(feed.run_id, key)}
            if steps - have:
                missing = steps - have
                others = {pair for pair in feed.seen() if pair[0] != key or pair[1] not in missing}
                self._log_points(feed.run_id, feed.events, others)


def points(event: Event) -> list[tuple[str, float, int]]:
    """The metric points of a journal event: key, value, step."""
    match event["event"]:
        case "epoch":
            return [(key, value, event["epoch"]) for key, value in event["metrics"].items()]
        case "summary":
            return [(key, value, 0) for key, value in event["metrics"].items()]
        case "cost":
            return [
                ("cost/params_m", event["params"] / 1e6, 0),
                ("cost/flops_m", event["flops"] / 1e6, 0),
                ("cost/conv_linear_m", event["conv_linear_macs"] / 1e6, 0),
            ]
    return []


def _dataset_input(event: Event) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    profile = {"classes": event["classes"], "train_images": event["train_images"], "test_images": event["test_images"]}
    dataset = Dataset(
        name=event["name"],
        digest=event["digest"][:36],
        source_type="bench",
        source=json.dumps({"dataset": event["name"]}),
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
    write_atomically(folder.tracking, json.dumps(state, sort_keys=True))
