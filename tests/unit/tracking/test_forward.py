"""How often the forwarder looks for something new, and how long it waits for a store."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from helpers.fake_store import FakeStore
from helpers.journals import write_complete

from bench.errors import TrackingError
from bench.tracking.forward import MAX_PAUSE_S, Forwarder, pause_after
from bench.tracking.runs import Store
from bench.values import Cell
from bench.workspace.paths import CellFolder


@pytest.mark.parametrize(
    ("before_s", "busy_s", "failed", "pause_s"),
    [
        (0.5, 0.001, False, 0.5),
        (0.5, 0.02, False, 2.0),
        (2.0, 3.0, False, 10.0),
        (8.0, 0.0, True, 16.0),
        (20.0, 0.0, True, MAX_PAUSE_S),
        (16.0, 0.001, False, 0.5),
    ],
)
def test_pause_after_keeps_to_a_hundredth_of_a_core_and_grows_while_the_store_is_away(
    before_s: float, busy_s: float, failed: bool, pause_s: float
) -> None:
    assert pause_after(before_s, busy_s, failed=failed) == pytest.approx(pause_s)


class HangingStore(FakeStore):
    """A store that answers nothing from its second cell on, as a server that was stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.continued, self.begun = threading.Event(), 0

    def begin(self, *_: object, newest: bool, title: str) -> str:
        self.begun += 1
        if self.begun > 1:
            self.continued.wait()
        return "run"


class RefusingStore(FakeStore):
    def begin(self, *_: object, newest: bool, title: str) -> str:
        raise TrackingError("it takes nothing")


@pytest.fixture
def cells(project: Path, make_cell: Callable[..., Cell]) -> list[tuple[Cell, CellFolder]]:
    """Three cells that are complete."""
    found = []
    for seed in range(3):
        cell = make_cell(seed=seed)
        folder = CellFolder.of(project / ".bench", cell.id)
        write_complete(folder)
        found.append((cell, folder))
    return found


def forwarder_of(store: FakeStore, cells: list[tuple[Cell, CellFolder]]) -> Forwarder:
    forwarder = Forwarder(cast(Store, store), "a suite", live=True)
    for cell, folder in cells:
        forwarder.watch(cell, folder)
    return forwarder


class TestDrain:
    @pytest.fixture
    def hanging(self) -> Iterator[HangingStore]:
        store = HangingStore()
        yield store
        store.continued.set()

    def test_a_store_that_hangs_is_waited_for_no_longer_than_asked(
        self, hanging: HangingStore, cells: list[tuple[Cell, CellFolder]]
    ) -> None:
        forwarder = forwarder_of(hanging, cells)
        began = time.monotonic()
        (problem,) = forwarder.drain(0.2)
        forwarder.close()
        assert time.monotonic() - began < 60, "the store never answers"
        # the first is complete unless the machine is too busy to send it in that time
        assert re.match("[23] runs incomplete in the store: it does not answer", problem)
        assert f"bench sync {cells[0][1].home}" in problem

    def test_a_store_that_continues_gets_everything(
        self, hanging: HangingStore, cells: list[tuple[Cell, CellFolder]]
    ) -> None:
        forwarder = forwarder_of(hanging, cells)
        assert forwarder.drain(0.2)
        hanging.continued.set()
        assert forwarder.drain(60) == []
        forwarder.close()
        assert [tags["bench.state"] for name, tags in [call for call in hanging.calls if call[0] == "set_tags"]] == [
            "complete"
        ] * 3

    def test_a_store_that_refuses_is_asked_at_least_once_and_its_reason_is_said(
        self, cells: list[tuple[Cell, CellFolder]]
    ) -> None:
        forwarder = forwarder_of(RefusingStore(), cells)
        (problem,) = forwarder.drain(1)
        forwarder.close()
        assert "3 runs incomplete in the store: it takes nothing" in problem

    def test_nothing_to_send_asks_nothing(self) -> None:
        store = FakeStore()
        forwarder = forwarder_of(store, [])
        assert forwarder.drain(60) == []
        forwarder.close()
        assert store.names() == []
