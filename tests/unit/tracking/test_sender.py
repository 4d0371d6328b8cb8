"""What the sender asks of a store, and when it asks nothing."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from helpers.fake_store import FakeStore
from helpers.journals import write_complete, write_epoch, write_start

from bench.tracking.feed import Feed
from bench.tracking.runs import Store
from bench.tracking.sender import BATCH, Sender, dataset_input
from bench.values import Cell
from bench.workspace.events import ArtifactWritten, DataLoaded, Ended, EpochDone
from bench.workspace.host import LEASE_S, LEASE_TAG
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder


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
    assert store.calls[-1][1]["bench.state"] == "complete"
    assert store.names()[-2:] == ["set_terminated", "set_tags"]
    sender(store).send(feed)
    assert store.names() == []


class TestEndedRuns:
    """A replay of folders whose journals the store has."""

    @pytest.fixture
    def again(self, store: FakeStore, feed: Feed) -> Feed:
        """The feed of another process, after everything was sent."""
        write_complete(feed.folder)
        sender(store, live=False).send(feed)
        store.ended = {"run": "complete"}
        assert store.names()
        return Feed(feed.cell, feed.folder)

    def test_a_cell_that_the_store_has_is_not_sent_again(self, store: FakeStore, again: Feed) -> None:
        sender(store, live=False).send(again)
        assert store.names() == []
        assert again.is_idle()

    @pytest.mark.parametrize("ended", [{}, {"run": "running"}, {"run": "failed"}, {"another": "complete"}])
    def test_a_run_that_was_deleted_or_has_another_state_is_sent_again(
        self, store: FakeStore, again: Feed, ended: dict[str, str]
    ) -> None:
        store.ended = ended
        sender(store, live=False).send(again)
        assert store.names()[-1] == "set_tags"

    def test_a_journal_that_has_grown_since_is_sent(self, store: FakeStore, again: Feed) -> None:
        with Journal(again.folder.attempt(1).journal) as journal:
            journal.write(Ended(state="failed", kind="lost", reason="its result was not written"))
        sender(store, live=False).send(again)
        assert store.calls[-1][1]["bench.state"] == "failed"


class TestArtifacts:
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        path = tmp_path / "outside.txt"
        path.write_text("a secret")
        return path

    @pytest.mark.parametrize(
        "name", ["{outside}", "../../../outside.txt", "link", "linked/outside.txt", "pipe", "", "attempt-1"]
    )
    def test_nothing_outside_the_cells_folder_is_sent_and_the_line_is_named(
        self, store: FakeStore, feed: Feed, outside: Path, name: str
    ) -> None:
        (feed.folder.root / "link").symlink_to(outside)
        (feed.folder.root / "linked").symlink_to(outside.parent)
        os.mkfifo(feed.folder.root / "pipe")
        path = name.format(outside=outside)
        with Journal(feed.folder.attempt(1).journal) as journal:
            write_start(journal)
            journal.write(ArtifactWritten(path=path))
        one = sender(store)
        one.send(feed)
        assert "log_artifact" not in store.names()
        (sentence,) = one.refused
        assert sentence.startswith(f"{feed.folder.attempt(1).journal}:4: {path!r} is no file of this cell's folder")

    def test_a_file_of_the_folder_is_sent_and_one_that_was_removed_is_no_fault(
        self, store: FakeStore, feed: Feed
    ) -> None:
        with Journal(feed.folder.attempt(1).journal) as journal:
            for path in ("predictions.npz", "removed.npz"):
                journal.write(ArtifactWritten(path=path))
        feed.folder.predictions.write_text("scores")
        one = sender(store)
        one.send(feed)
        assert [call for call in store.calls if call[0] == "log_artifact"] == [
            ("log_artifact", str(feed.folder.predictions))
        ]
        assert one.refused == []


def test_a_journal_that_did_not_grow_asks_nothing_until_half_its_lease_is_over(store: FakeStore, feed: Feed) -> None:
    with Journal(feed.folder.attempt(1).journal) as journal:
        write_start(journal)
        write_epoch(journal, 1)
    one = sender(store)
    one.send(feed)
    assert store.calls[-1][-1].keys() == {LEASE_TAG}, "the first lease"
    store.calls.clear()
    one.send(feed)
    assert store.names() == []
    feed.leased_until -= LEASE_S / 2 + 1
    one.send(feed)
    ((_, tags),) = store.calls
    assert float(tags[LEASE_TAG]) == pytest.approx(time.time() + LEASE_S, abs=60)


def test_the_lease_of_a_replay_begins_with_the_last_event(store: FakeStore, feed: Feed) -> None:
    journal = feed.folder.attempt(1).journal
    with Journal(journal) as writer:
        write_start(writer)
    events = [{**json.loads(line), "time_ms": 5_000_000} for line in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
    sender(store, live=False).send(feed)
    assert store.calls[-1] == ("set_tags", {LEASE_TAG: str(5_000 + int(LEASE_S))})


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
