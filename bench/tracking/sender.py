"""Sends what is new in a cell's journals to its run, and ends the run when the journal has ended.

Called by the thread of :class:`bench.tracking.forward.Forwarder`, for one cell at a time. Everything may be sent again
at any time, from any machine that has the journals: points keep their original time, MLflow drops a point that it
already has, and a step that an earlier attempt logged with the same value is not logged again.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.tracking.encoding import outcome_tags
from bench.tracking.feed import Feed
from bench.tracking.points import Point, missing_points, new_points, stored_points
from bench.tracking.runs import Store
from bench.tracking.uri import redact
from bench.values import Outcome
from bench.workspace.events import ArtifactWritten, DataLoaded, Event, Started
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
        self._key = hashlib.sha256(f"{redact(store.uri)} {suite_name}".encode()).hexdigest()[:16]

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
        if not feed.run_id and not self._begin(feed):
            return
        self._send_new(feed)
        outcome = fold(feed.cell.id, feed.events)
        if outcome.state in STATUS:
            self._finish(feed, outcome)
        else:
            self._renew_lease(feed)

    def _begin(self, feed: Feed) -> bool:
        """Find or create the run, and learn what it has. False while the journal is empty."""
        series = feed.series()
        if series is None:
            return False
        with hold_lock(feed.folder.tracking_lock):  # two processes would each create a run
            run_id = self._store.begin(feed.cell, self._suite_name, *series)
        feed.resume(run_id, self._key)
        return True

    def _send_new(self, feed: Feed) -> None:
        new = feed.read_new()
        events = [event for part in new for event in part.events]
        if events:
            with self._store.translated("cannot store metrics"):
                self._log(feed, events)
        if new:
            feed.add_sent(new, self._key)

    def _log(self, feed: Feed, events: Sequence[Event]) -> None:
        client, run_id = self._store.client, feed.run_id
        for event in events:
            match event:
                case Started():
                    client.update_run(run_id, status="RUNNING")
                    self._store.set_tags(run_id, {**event.context, "bench.state": "running"})
                case DataLoaded():
                    client.log_inputs(run_id, [dataset_input(event)])
                case ArtifactWritten() if (path := feed.folder.root / event.path).exists():
                    client.log_artifact(run_id, str(path))
        self._log_points(run_id, new_points(events, stored_points(feed.events)))
        self._store.set_tags(run_id, outcome_tags(fold(feed.cell.id, [*feed.events, *events])))

    def _log_points(self, run_id: str, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        for begin in range(0, len(points), BATCH):
            batch = [Metric(*point) for point in points[begin : begin + BATCH]]
            self._store.client.log_batch(run_id, metrics=batch)

    def _finish(self, feed: Feed, outcome: Outcome) -> None:
        """End the run: points counted, tags, status, and ``bench.state`` last."""
        with self._store.translated("cannot end the cell's run"):
            self._send_missing(feed)
            self._store.set_tags(feed.run_id, outcome_tags(outcome))
            client = self._store.client
            ended_ms = feed.events[-1].time_ms if feed.events else None
            client.set_terminated(feed.run_id, STATUS[outcome.state], end_time=ended_ms)
            client.set_tag(feed.run_id, "bench.state", outcome.state)
        feed.drop_events()

    def _send_missing(self, feed: Feed) -> None:
        """Read back at which steps the store has points, and send the others again."""
        keys = {key for key, _ in stored_points(feed.events)}
        self._log_points(feed.run_id, missing_points(feed.events, self._store.steps(feed.run_id, keys)))

    def _renew_lease(self, feed: Feed) -> None:
        """Show readers on other hosts that the cell is alive, before they take it for dead."""
        until = LEASE_S + (time.time() if self._live else feed.alive_ms / 1000)
        if until - feed.leased_until > LEASE_S / 2:
            feed.leased_until = until
            with self._store.translated("cannot renew the lease of a cell"):
                self._store.client.set_tag(feed.run_id, LEASE_TAG, str(int(until)))


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
