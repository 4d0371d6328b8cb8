"""A cell's journals on their way to a store: what is new, what is noted, what is forgotten."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.journals import write_complete, write_end, write_epoch, write_start

from bench.tracking.feed import Feed
from bench.values import Cell
from bench.workspace.cells import archive_attempts
from bench.workspace.events import Ended, EpochDone, Progress
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

KEY = "store and suite"


@pytest.fixture
def folder(project: Path, make_cell: Callable[..., Cell]) -> CellFolder:
    folder = CellFolder.of(project / ".bench", make_cell().id)
    folder.root.mkdir(parents=True)
    return folder


@pytest.fixture
def feed(make_cell: Callable[..., Cell], folder: CellFolder) -> Feed:
    return Feed(make_cell(), folder)


def epochs(feed: Feed) -> list[int]:
    return [event.epoch for part in feed.read_new() for event in part.events if isinstance(event, EpochDone)]


class TestSeries:
    def test_a_feed_without_events_has_none(self, feed: Feed, folder: CellFolder) -> None:
        assert feed.series() is None
        Journal(folder.attempt(1).journal).close()
        assert feed.series() is None

    def test_it_is_that_of_the_first_readable_request(self, feed: Feed, folder: CellFolder) -> None:
        write_complete(folder)
        folder.attempt(1).request.write_text('{"series": ')
        folder.attempt(2).request.parent.mkdir(parents=True, exist_ok=True)
        folder.attempt(2).request.write_text(json.dumps({"series": "second", "created_ms": 5}))
        assert feed.series() == ("second", 5)

    def test_it_is_the_time_of_the_first_event_where_no_request_can_be_read(
        self, feed: Feed, folder: CellFolder
    ) -> None:
        first_ms = json.loads(write_complete(folder).read_text().splitlines()[0])["time_ms"]
        assert feed.series() == (str(first_ms), first_ms)


class TestReadNew:
    def test_events_are_new_until_they_were_sent(self, feed: Feed, folder: CellFolder) -> None:
        with Journal(folder.attempt(1).journal) as journal:
            write_start(journal)
            write_epoch(journal, 1)
            assert epochs(feed) == [1]
            assert epochs(feed) == [1]
            feed.add_sent(feed.read_new(), KEY)
            write_epoch(journal, 2)
        assert epochs(feed) == [2]

    def test_progress_is_left_out_but_is_a_sign_of_life(self, feed: Feed, folder: CellFolder) -> None:
        with Journal(folder.attempt(1).journal) as journal:
            journal.write(Progress(epoch=1, step=1, steps=2, images_per_s=1.0))
        ((attempt, offset, events),) = feed.read_new()
        assert (attempt, offset, events) == (1, folder.attempt(1).journal.stat().st_size, [])
        assert feed.alive_ms > 0

    def test_a_torn_last_line_waits_for_its_rest(self, feed: Feed, folder: CellFolder) -> None:
        journal = write_complete(folder)
        content = journal.read_bytes()
        journal.write_bytes(content[:-10])
        feed.add_sent(feed.read_new(), KEY)
        assert feed.read_new() == []
        journal.write_bytes(content)
        ((_, _, events),) = feed.read_new()
        assert [type(event) for event in events] == [Ended]


class TestResume:
    def test_a_feed_continues_after_the_events_that_the_run_has(self, feed: Feed, folder: CellFolder) -> None:
        with Journal(folder.attempt(1).journal) as journal:
            write_start(journal)
            write_epoch(journal, 1)
            feed.resume("run", KEY)
            feed.add_sent(feed.read_new(), KEY)
            write_epoch(journal, 2)
        again = Feed(feed.cell, folder)
        again.resume("run", KEY)
        assert again.events == feed.events
        assert epochs(again) == [2]

    @pytest.mark.parametrize(("run_id", "key"), [("another run", KEY), ("run", "another store")])
    def test_another_run_or_store_gets_everything(self, feed: Feed, folder: CellFolder, run_id: str, key: str) -> None:
        write_complete(folder)
        feed.resume("run", KEY)
        feed.add_sent(feed.read_new(), KEY)
        again = Feed(feed.cell, folder)
        again.resume(run_id, key)
        assert epochs(again) == [1, 2]

    def test_a_damaged_note_means_that_everything_is_sent_again(self, feed: Feed, folder: CellFolder) -> None:
        write_complete(folder)
        folder.tracking.write_text('{"store')
        feed.resume("run", KEY)
        assert epochs(feed) == [1, 2]


def test_is_idle_until_a_journal_of_a_complete_feed_grows(feed: Feed, folder: CellFolder) -> None:
    path = write_complete(folder)
    assert not feed.is_idle()
    feed.size = feed.journal_size()
    feed.drop_events()
    assert feed.is_idle()
    assert (feed.events, feed.offsets, feed.run_id) == ([], {}, "")
    with Journal(path) as journal:
        write_end(journal)
    assert not feed.is_idle()


def test_is_replaced_when_a_rerun_has_archived_the_series(feed: Feed, folder: CellFolder) -> None:
    def begin(series: str) -> None:
        write_complete(folder)
        folder.attempt(1).request.write_text(json.dumps({"series": series, "created_ms": 1}))

    begin("first")
    feed.resume("run", KEY)
    assert not feed.is_replaced()
    archive_attempts(folder)
    assert feed.is_replaced()
    begin("second")
    assert feed.is_replaced()
