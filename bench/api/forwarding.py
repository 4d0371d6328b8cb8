"""Sending journals to the store: while cells run, and afterwards for runs that were offline or cut off."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.outcomes import open_store
from bench.api.publish import publish
from bench.errors import DiskError, UsageError

if TYPE_CHECKING:
    from bench.tracking import Forwarder, Store
    from bench.values import Cell
    from bench.workspace.paths import CellFolder

SHORT_S, DRAIN_S = 5.0, 60.0
"""How long a run waits at its end for the store to take everything, before it says so and before it gives up."""

Journals = dict[str, "list[tuple[Cell, CellFolder]]"]
"""Cells with the folders of their attempts, by the name of the suite that they ran for."""


class NoForwarder:
    """Stands in for the forwarder where there is no store: the journals are kept, and that is all."""

    def watch(self, cell: "Cell", folder: "CellFolder") -> None:
        """Nothing is sent."""

    def drain(self, timeout_s: float) -> list[str]:  # noqa: ARG002 - the forwarder's signature
        """Nothing is missing anywhere."""
        return []

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def forwarding(store: "Store | None", suite_name: str) -> "Iterator[Forwarder | NoForwarder]":
    """The forwarder of a suite's journals, open; when the disk is full the store still gets what was written."""
    forwarder = make_forwarder(store, suite_name)
    try:
        yield forwarder
    except DiskError:
        forwarder.drain(SHORT_S)
        raise
    finally:
        forwarder.close()


def make_forwarder(store: "Store | None", suite_name: str) -> "Forwarder | NoForwarder":
    """What takes journals to the store, if there is one."""
    if store is None:
        return NoForwarder()
    from bench.tracking import Forwarder

    return Forwarder(store, suite_name, live=True)


def drain(forwarder: "Forwarder | NoForwarder", note: Callable[[str], None]) -> list[str]:
    """Wait until the store has everything; say so if that takes long. Returns what it did not take, as sentences."""
    if not forwarder.drain(SHORT_S):
        return []
    note(f"waiting up to {DRAIN_S:.0f} s for the store (Ctrl-C stops waiting; the journals are kept)")
    return forwarder.drain(DRAIN_S)


def sync(
    folders: Sequence[Path], *, tracking_uri: str | None = None, wait_s: float = 60, note: Callable[[str], None]
) -> list[str]:
    """Send the journals below BENCH_HOMEs to the store, any number of times. Returns what it did not take.

    Args:
        folders: Each a BENCH_HOME or a folder that holds ``.bench``; none: the one in use.
        tracking_uri: The store; None: the default one.
        wait_s: How long to try again, in seconds.
        note: Takes a sentence per suite.

    Raises:
        UsageError: A folder holds no journals.
        TrackingError: The store cannot be used.
    """
    from bench.workspace.paths import bench_home

    homes = [find_home(path) for path in dict.fromkeys(folders)] or [find_home(bench_home())]
    work = [(home, name, cells) for home in homes for name, cells in journals_of(home).items()]
    if not work:
        raise UsageError(f"there are no journals in {', '.join(map(str, homes))}")
    store = open_store(tracking_uri)
    return [problem for home, name, cells in work for problem in replay(store, home, name, cells, wait_s, note)]


def find_home(path: Path) -> Path:
    """The BENCH_HOME that a path names.

    Raises:
        UsageError: There is none.
    """
    for home in (path, path / ".bench"):
        if (home / "cells").is_dir():
            return home.absolute()
    raise UsageError(f"{path} holds no journals: name a BENCH_HOME, or the folder in which bench run --offline ran")


def journals_of(home: Path) -> Journals:
    """Every series of attempts below a BENCH_HOME, older ones first, by the suite that it was run for."""
    from bench.values import Cell, from_json
    from bench.workspace.cells import kept_suites, series_of
    from bench.workspace.paths import CellFolder

    named: dict[str, list[str]] = {}
    for suite in kept_suites(home):
        for cell in suite.cells:
            named.setdefault(cell.id, []).append(suite.name)
    journals: Journals = {}
    for root in sorted((home / "cells").iterdir()):
        for folder in series_of(CellFolder(root)):
            try:
                cell = from_json(Cell, folder.cell.read_text())
            except (OSError, ValueError):
                continue  # its scheduler died before anything was started
            for name in dict.fromkeys([*requested_for(folder), *named.get(cell.id, [])]):
                journals.setdefault(name, []).append((cell, folder))
    return journals


def requested_for(folder: "CellFolder") -> list[str]:
    """The suites that a cell's attempts were started for."""
    names = []
    for attempt in folder.attempts():
        try:
            names.append(json.loads(attempt.request.read_text())["suite"])
        except (OSError, ValueError, KeyError):
            continue
    return names


def replay(
    store: "Store",
    home: Path,
    name: str,
    cells: "Sequence[tuple[Cell, CellFolder]]",
    wait_s: float,
    note: Callable[[str], None],
) -> list[str]:
    """Send a suite's journals and its tables. Returns what the store did not take, as sentences."""
    from bench.report.table import build_tables
    from bench.tracking import Forwarder, redact
    from bench.workspace.cells import kept_suites, mark_lost

    suite = next((suite for suite in kept_suites(home) if suite.name == name), None)
    if suite:
        mark_lost(suite, home)
    forwarder = Forwarder(store, name, live=False)
    try:
        for cell, folder in cells:
            forwarder.watch(cell, folder)
        problems = forwarder.drain(wait_s)
    finally:
        forwarder.close()
    if problems:
        return problems
    store.mark_orphans_lost(name)
    outcomes = store.outcomes(name)
    if suite:
        publish(store, suite, build_tables(suite, outcomes), home)
    counts = Counter(outcomes[cell_id].state for cell_id in {cell.id for cell, _ in cells} if cell_id in outcomes)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    note(f"{name}: {sum(counts.values())} runs in {redact(store.uri)} ({states})")
    return []
