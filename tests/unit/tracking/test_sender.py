"""What the sender asks of a store, and when it asks nothing."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from helpers.journals import write_complete, write_epoch, write_start

from bench.tracking.feed import Feed
from bench.tracking.runs import Store
from bench.tracking.sender import BATCH, Sender, dataset_input
from bench.values import Cell
from bench.workspace.events import DataLoaded, EpochDone
from bench.workspace.host import LEASE_S, LEASE_TAG
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder


class FakeStore:
    """A store, and its client, that keeps the calls that write."""

    uri = "sqlite:////fake.db"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.points: dict[str, set[int]] = {}
        self.client = self

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda run_id, *arguments, **options: self.calls.append((name, *arguments, *options.values()))

    def check_present(self) -> None:
        pass

    def translated(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    def begin(self, *_: object) -> str:
        return "run"

    def steps(self, *_: object) -> dict[str, set[int]]:
        return self.points

    def log_batch(self, _: str, *, metrics: list[Any]) -> None:
        self.calls.append(("log_batch", len(metrics)))
        for metric in metrics:
            self.points.setdefault(metric.key, set()).add(metric.step)

    def names(self) -> list[str]:
        """The names of the calls since the last time."""
        names, self.calls = [name for name, *_ in self.calls], []
        return names


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def feed(project: Path, make_cell: Callable[..., Cell]) -> Feed:
    folder = CellFolder.of(project / ".bench", make_cell().id)
    folder.root.mkdir(parents=True)
    return Feed(make_cell(), folder)


def sender(store: FakeStore, *, live: bool = True) -> Sender:
    return Sender(cast(Store, store), "a suite", live=live)


def test_an_empty_journal_asks_nothing(store: FakeStore, feed: Feed) -> None:
    sender(store).send(feed)
    assert store.names() == []


def test_a_complete_journal_is_sent_once_and_its_state_last(store: FakeStore, feed: Feed) -> None:
    write_complete(feed.folder)
    sender(store).send(feed)
    assert store.calls[-1] == ("set_tag", "bench.state", "complete")
    assert store.names()[-3:] == ["set_tags", "set_terminated", "set_tag"]
    sender(store).send(feed)
    assert store.names() == []


def test_a_journal_that_did_not_grow_asks_nothing_until_half_its_lease_is_over(store: FakeStore, feed: Feed) -> None:
    with Journal(feed.folder.attempt(1).journal) as journal:
        write_start(journal)
        write_epoch(journal, 1)
    one = sender(store)
    one.send(feed)
    assert store.names()[-1] == "set_tag", "the first lease"
    one.send(feed)
    assert store.names() == []
    feed.leased_until -= LEASE_S / 2 + 1
    one.send(feed)
    ((_, tag, until),) = store.calls
    assert tag == LEASE_TAG
    assert float(until) == pytest.approx(time.time() + LEASE_S, abs=60)


def test_the_lease_of_a_replay_begins_with_the_last_event(store: FakeStore, feed: Feed) -> None:
    journal = feed.folder.attempt(1).journal
    with Journal(journal) as writer:
        write_start(writer)
    events = [{**json.loads(line), "time_ms": 5_000_000} for line in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
    sender(store, live=False).send(feed)
    assert store.calls[-1] == ("set_tag", LEASE_TAG, str(5_000 + int(LEASE_S)))


def test_points_are_sent_in_batches(store: FakeStore, feed: Feed) -> None:
    with Journal(feed.folder.attempt(1).journal) as journal:
        write_start(journal)
        metrics = {**{f"m{number}": 1.0 for number in range(BATCH + 1)}, "test/top1": 1.0, "test/loss": 1.0}
        journal.write(EpochDone(epoch=1, metrics=metrics, epoch_s=1.0, images_per_s=1.0))
    sender(store).send(feed)
    assert [count for name, count, *_ in store.calls if name == "log_batch"] == [BATCH, 6]


def test_dataset_input_has_the_whole_digest_in_its_source_and_what_mlflow_takes_of_it() -> None:
    event = DataLoaded(dataset="digits", digest="d" * 64, classes=10, train_images=5, test_images=4)
    dataset = dataset_input(event).dataset
    assert (dataset.name, dataset.digest) == ("digits", "d" * 36)
    assert json.loads(dataset.source)["sha256"] == "d" * 64
    assert dataset.profile is not None
    assert json.loads(dataset.profile) == {"classes": 10, "train_images": 5, "test_images": 4}
