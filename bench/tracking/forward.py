"""The forwarder: one thread that replays journals into the store, so that training never waits for the store.

Created by a run for its own cells and by ``bench sync`` for journals of the past. It decides when to send;
:mod:`bench.tracking.sender` decides what.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from bench.errors import TrackingError
from bench.text import counted
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

OPEN_S = 120.0
"""How long MLflow may take to be imported and to open a store; a server was asked before whether it answers."""

CLOSE_S = 5.0
"""How long the thread gets to finish a request when nothing waits for it any more."""

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
        """Wait until the store has everything. Returns what it did not take, as sentences.

        The points are sent in another thread, because a server that hangs would hold up this one for as long as it
        likes.

        Args:
            timeout_s: Give up when the store has taken no cell for this long, in seconds.
        """
        with self._lock:
            left = dict(self._feeds)
        if not left:
            return []
        taken: SimpleQueue[str | Exception] = SimpleQueue()
        stop = threading.Event()
        threading.Thread(target=self._send_all, args=(taken, stop), name="drain", daemon=True).start()
        try:
            _wait_for(taken, OPEN_S)
            deadline = time.monotonic() + timeout_s
            while left:
                if left.pop(_wait_for(taken, max(0.0, deadline - time.monotonic())), None):
                    deadline = time.monotonic() + timeout_s
        except Empty:
            pass
        finally:
            stop.set()
        if not left:
            return []
        first = next(iter(left.values()))
        return [
            f"{counted(len(left), 'run')} incomplete in the store: {self._error or 'it does not answer'}\n"
            "their journals are kept; when the store is back, send them with: "
            f"bench sync {first.folder.home}"
        ]

    def _send_all(self, taken: "SimpleQueue[str | Exception]", stop: threading.Event) -> None:
        """Send until the store has everything. Puts the name of each feed that it has into ``taken``, or a defect.

        The first name is empty: it says that the store is open, which takes seconds where MLflow is imported for it.
        """
        try:
            with self._lock:
                idle = all(feed.is_idle() for feed in self._feeds.values())
            if not idle:
                with suppress(TrackingError):  # sending meets it again, and keeps its sentence
                    self._sender.open()
            taken.put("")
            while self._round(taken.put) and not stop.wait(TICK_S):
                pass
        except Exception as defect:
            taken.put(defect)

    @property
    def refused(self) -> list[str]:
        """Files that a journal names and that were not sent, as sentences."""
        return list(dict.fromkeys(self._sender.refused))

    def close(self) -> None:
        """End the thread; one that waits for a server is left behind, and ends with the process."""
        self._closing.set()
        self._thread.join(timeout=CLOSE_S)

    def _follow(self) -> None:
        pause = TICK_S
        while not self._closing.wait(pause):
            began_s = time.thread_time()
            try:
                failed = bool(self._round(until_failure=True)) and bool(self._error)
            except Exception:
                return  # a defect of bench: drain meets it too, and raises it in the caller's thread
            pause = pause_after(pause, time.thread_time() - began_s, failed=failed)

    def _round(self, on_taken: Callable[[str], None] = lambda _: None, *, until_failure: bool = False) -> list[Feed]:
        """Send what is new of every feed. Returns the feeds that the store did not take.

        Args:
            on_taken: Gets the name of each feed of which the store has everything.
            until_failure: Leave the rest to the next round when one is not taken.
        """
        with self._sending:
            with self._lock:
                feeds = dict(self._feeds)
            incomplete = []
            for name, feed in feeds.items():
                try:
                    self._sender.send(feed)
                except (TrackingError, OSError) as error:
                    self._error = str(error)
                    incomplete.append(feed)
                    if until_failure:
                        break  # the other feeds would wait as long for the same answer
                else:
                    self._error = ""
                    on_taken(name)
            return incomplete


def _wait_for(taken: "SimpleQueue[str | Exception]", timeout_s: float) -> str:
    """The next name of a queue. A defect of bench is raised here, in the caller's thread.

    Raises:
        Empty: There is none in time.
    """
    found = taken.get(timeout=timeout_s)
    if isinstance(found, Exception):
        raise found
    return found


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
