"""The forwarder: one thread that replays journals into the store, so that training never waits for the store.

Created by a run for its own cells and by ``bench sync`` for journals of the past. It decides when to send;
:mod:`bench.tracking.sender` decides what.
"""

import threading
import time

from bench.errors import TrackingError
from bench.tracking.feed import Feed
from bench.tracking.runs import Store
from bench.tracking.sender import Sender
from bench.values import Cell
from bench.workspace.paths import CellFolder

TICK_S = 0.5
"""Shortest pause between two rounds."""

MAX_TICK_S = 10.0
"""Longest pause between two rounds while the store answers."""

CPU_SHARE = 0.01
"""Target CPU share of the forwarder, as a fraction of one core; it polls less often to stay below."""

MAX_PAUSE_S = 30.0
"""Longest pause between two rounds while the store does not answer."""


class Forwarder:
    """Follows the journals of watched cells until :meth:`close`.

    Args:
        store: Where they go.
        suite_name: Whose experiment they go to.
        live: Whether this process trains the cells, so that their leases are renewed; False for a replay.

    Raises:
        TrackingError: The store of a replay cannot be opened.
    """

    def __init__(self, store: Store, suite_name: str, *, live: bool) -> None:
        if not live:
            _ = store.client  # a replay into a store that cannot be opened fails at once, without retries
        self._sender = Sender(store, suite_name, live=live)
        self._feeds: dict[str, Feed] = {}
        self._lock = threading.Lock()
        """Guards the list of feeds; held for moments, so that the scheduler never waits for the store."""
        self._sending = threading.Lock()
        """Held while points are sent: one writer at a time, in whichever thread."""
        self._closing = threading.Event()
        self._error = ""
        self._thread = threading.Thread(target=self._follow, name="forwarder", daemon=True)
        self._thread.start()

    def watch(self, cell: Cell, folder: CellFolder) -> None:
        """Follow a cell's journals, from where the store has them."""
        with self._lock:
            self._feeds[str(folder.root)] = Feed(cell, folder)

    def drain(self, timeout_s: float) -> list[str]:
        """Wait until the store has everything. Returns what it did not take in time, as sentences."""
        deadline = time.monotonic() + timeout_s
        while True:
            incomplete = self._round()
            if not incomplete or time.monotonic() > deadline:
                break
            time.sleep(min(TICK_S, max(0.0, deadline - time.monotonic())))
        if not incomplete:
            return []
        return [
            f"{len(incomplete)} runs are incomplete in the store: {self._error}\n"
            "their journals are kept; when the store is back, send them with: "
            f"bench sync {incomplete[0].folder.home}"
        ]

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(timeout=30)

    def _follow(self) -> None:
        pause = TICK_S
        while not self._closing.wait(pause):
            began_s = time.thread_time()
            try:
                failed = bool(self._round(until_failure=True)) and bool(self._error)
            except Exception:
                return  # a defect of bench: drain meets it too, and raises it in the caller's thread
            pause = pause_after(pause, time.thread_time() - began_s, failed=failed)

    def _round(self, *, until_failure: bool = False) -> list[Feed]:
        """Send what is new of every feed. Returns the feeds that the store did not take."""
        with self._sending:
            with self._lock:
                feeds = list(self._feeds.values())
            incomplete = []
            for feed in feeds:
                try:
                    self._sender.send(feed)
                except (TrackingError, OSError) as error:
                    self._error = str(error)
                    incomplete.append(feed)
                    if until_failure:
                        break  # the other feeds would wait as long for the same answer
                else:
                    self._error = ""
            return incomplete


def pause_after(before_s: float, busy_s: float, *, failed: bool) -> float:
    """Seconds until the next round.

    Args:
        before_s: The pause before the last round.
        busy_s: CPU time of the last round in seconds.
        failed: Whether the store did not answer.
    """
    if failed:
        return min(before_s * 2, MAX_PAUSE_S)
    return min(max(TICK_S, busy_s / CPU_SHARE), MAX_TICK_S)
