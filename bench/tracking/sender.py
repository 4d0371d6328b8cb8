"""Sends what is new in a cell's journals to its run, and ends the run when the journal has ended.

Called by the thread of :class:`bench.tracking.forward.Forwarder`, for one cell at a time. Everything may be sent again
at any time, from any machine that has the journals: points keep their original time, MLflow drops a point that it
already has, and a step that an earlier attempt logged with the same value is not logged again.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.tracking.encoding import ACCEPTED_TAG, outcome_tags
from bench.tracking.feed import Feed
from bench.tracking.points import Point, missing_points, new_points, stored_points
from bench.tracking.runs import Store
from bench.tracking.uri import redact
from bench.values import Outcome
from bench.workspace.events import ArtifactWritten, DataLoaded, Event, Started
from bench.workspace.foreign import is_own_file, line_of
from bench.workspace.host import LEASE_S, LEASE_TAG
from bench.workspace.journal import fold
from bench.workspace.locks import hold_lock

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

BATCH = 900
"""Points per request; MLflow takes 1,000."""

STATUS = {"complete": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's status of a run whose cell has ended, by the state of its outcome."""

MAX_DIGEST = 36
"""Characters of a data set's digest that MLflow takes."""


class Sender:
    """Sends cells of one suite to one store.

    Args:
        store: The store.
        suite_name: Whose experiment the runs are in.
        live: Whether this process trains the cells, so that their leases are renewed; False for a replay.
    """

    def __init__(self, store: Store, suite_name: str, *, live: bool) -> None:
        self._store, self._suite_name, self._live = store, suite_name, live
        self.refused: list[str] = []
        """Files that a journal names and that are not sent, as sentences."""
        self._ended: Mapping[str, str] | None = None
        """The states of the runs of the suite when a replay began, by id; None until they are asked for."""
        self._key = hashlib.sha256(f"{redact(store.uri)} {suite_name}".encode()).hexdigest()[:16]

    def open(self) -> None:
        """Open the store.

        Raises:
            TrackingError: It cannot be opened.
        """
        _ = self._store.client

    def send(self, feed: Feed) -> None:
        """Bring a cell's run up to date with its journals.

        Raises:
            TrackingError: The store does not take it.
            OSError: The journals cannot be read.
        """
        self._store.check_present()
        if feed.is_idle():
            return
        feed.complete, feed.size = False, feed.journal_size()
        if not self._live and not feed.run_id and self._is_ended(feed):
            feed.drop_events()
            return
        if not feed.run_id and not self._begin(feed):
            return
        if not self._send_new(feed):
            feed.drop_events()
            return
        outcome = fold(feed.cell.id, feed.events)
        if outcome.state in STATUS:
            self._finish(feed, outcome)
        else:
            self._renew_lease(feed)

    def _is_ended(self, feed: Feed) -> bool:
        """Whether the cell's folder says that the store has all of it, and the store that its run has ended so."""
        if self._ended is None:
            self._ended = self._store.ended_runs(self._suite_name)
        run_id, outcome = feed.sent_outcome(self._key)
        if outcome is None or outcome.state not in STATUS:
            return False
        return self._ended.get(run_id) in (outcome.state, "superseded")

    def _begin(self, feed: Feed) -> bool:
        """Find or create the run, and learn what it has. False while the journal is empty, and for a run that was
        deleted in the store."""
        series = feed.series()
        if series is None:
            return False
        with hold_lock(feed.folder.tracking_lock):  # two processes would each create a run
            run_id = self._store.begin(feed.cell, self._suite_name, *series, newest=self._live, title=feed.title())
        if not run_id:
            feed.drop_events()  # somebody deleted the run in the store: it is not sent again
            return False
        feed.resume(run_id, self._key)
        return True

    def _send_new(self, feed: Feed) -> bool:
        """Send what is new; False, and nothing is sent, where a rerun has archived the series meanwhile."""
        new = feed.read_new()
        if feed.is_replaced():
            return False
        events = [event for part in new for event in part.events]
        if events:
            with self._store.translated("cannot store metrics"):
                self._log(feed, events)
        if new:
            feed.add_sent(new, self._key)
        return True

    def _log(self, feed: Feed, events: Sequence[Event]) -> None:
        """Send events: files and the data set first, then everything else in as few requests as MLflow takes."""
        client, run_id = self._store.client, feed.run_id
        tags: dict[str, str] = {}
        for event in events:
            match event:
                case Started():
                    tags = {**event.context, "bench.state": "running"}
                    if event.attempt > 1:  # MLflow creates runs as running ones
                        client.update_run(run_id, status="RUNNING")
                case DataLoaded():
                    client.log_inputs(run_id, [dataset_input(event)])
                case ArtifactWritten():
                    self._log_artifact(feed, event)
        tags |= outcome_tags(fold(feed.cell.id, [*feed.events, *events]))
        self._log_points(run_id, new_points(events, stored_points(feed.events)), tags)

    def _log_artifact(self, feed: Feed, event: ArtifactWritten) -> None:
        path = feed.folder.root / event.path
        if is_own_file(path, feed.folder):
            self._store.client.log_artifact(feed.run_id, str(path))
        elif os.path.lexists(path):
            where = line_of(event, feed.folder)
            self.refused.append(f"{where}: {event.path!r} is no file of this cell's folder, so it was not sent")

    def _log_points(self, run_id: str, points: Sequence[Point], tags: Mapping[str, str] | None = None) -> None:
        """Send points, and tags with the first of them."""
        from mlflow.entities import Metric, RunTag

        rest = [RunTag(key, value) for key, value in self._store.folded(run_id, tags or {}).items()]
        for begin in range(0, max(len(points), bool(rest)), BATCH):
            batch = [Metric(*point) for point in points[begin : begin + BATCH]]
            self._store.client.log_batch(run_id, metrics=batch, tags=rest if begin == 0 else [])

    def _finish(self, feed: Feed, outcome: Outcome) -> None:
        """End the run: points counted, status, and ``bench.state`` last, in one request with the outcome's tags."""
        with self._store.translated("cannot end the cell's run"):
            self._send_missing(feed)
            if (accepted := feed.folder.accepted).exists():
                self._store.set_tags(feed.run_id, {ACCEPTED_TAG: accepted.read_text()})
            ended_ms = feed.events[-1].time_ms if feed.events else None
            self._store.client.set_terminated(feed.run_id, STATUS[outcome.state], end_time=ended_ms)
            self._store.set_tags(feed.run_id, {**outcome_tags(outcome), "bench.state": outcome.state})
        feed.drop_events()

    def _send_missing(self, feed: Feed) -> None:
        """Read back at which steps the store has points, and send the others again."""
        expected: dict[str, set[int]] = {}
        for key, step in stored_points(feed.events):
            expected.setdefault(key, set()).add(step)
        self._log_points(feed.run_id, missing_points(feed.events, self._store.steps(feed.run_id, expected)))

    def _renew_lease(self, feed: Feed) -> None:
        """Show readers on other hosts that the cell is alive, before they take it for dead."""
        until = LEASE_S + (time.time() if self._live else feed.alive_ms / 1000)
        if until - feed.leased_until > LEASE_S / 2:
            feed.leased_until = until
            with self._store.translated("cannot renew the lease of a cell"):
                self._store.set_tags(feed.run_id, {LEASE_TAG: str(int(until))})


def dataset_input(event: DataLoaded) -> "DatasetInput":
    """The data set that a cell is trained on, as MLflow's UI shows it."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    profile = {"classes": event.classes, "train_images": event.train_images, "test_images": event.test_images}
    dataset = Dataset(
        name=event.dataset,
        digest=event.digest[:MAX_DIGEST],
        source_type="bench",
        source=json.dumps({"dataset": event.dataset, "sha256": event.digest}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "train")])
