"""Sending journals to the store: while cells run, and afterwards for runs that were offline or cut off."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.options import store_wait_s
from bench.api.outcomes import open_store
from bench.api.publish import publish
from bench.errors import DiskError, UsageError

if TYPE_CHECKING:
    from bench.tracking import Forwarder, Store
    from bench.values import Cell, Suite
    from bench.workspace.paths import CellFolder

SHORT_S = 5.0
"""How long a run waits at its end for a store that takes nothing, before it says that it waits."""

Journals = dict[str, "list[tuple[Cell, CellFolder]]"]
"""Cells with the folders of their attempts, by the name of the suite that they ran for."""


class NoForwarder:
    """Stands in for the forwarder where there is no store: the journals are kept, and that is all."""

    refused: Sequence[str] = ()
    """Nothing is sent, so nothing is refused."""

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
    wait_s = store_wait_s()
    problems = forwarder.drain(min(SHORT_S, wait_s))
    if problems and wait_s > SHORT_S:
        note(f"waiting up to {wait_s:.0f} s for the store (Ctrl-C stops waiting; the journals are kept)")
        problems = forwarder.drain(wait_s)
    for sentence in forwarder.refused:
        note(f"warning: {sentence}")
    return problems


def sync(
    folders: Sequence[Path], *, tracking_uri: str | None = None, wait_s: float = 60, note: Callable[[str], None]
) -> list[str]:
    """Send the journals below BENCH_HOMEs to the store, any number of times. Returns what it did not take.

    Args:
        folders: Each a BENCH_HOME or a folder that holds ``.bench``; none: the one in use.
        tracking_uri: The store; None: the default one.
        wait_s: How long to wait for a store that takes nothing, in seconds.
        note: Takes a sentence per suite.

    Raises:
        UsageError: A folder holds no journals, or names files that are not its own; those are left out, and everything
            else is sent.
        TrackingError: The store cannot be used.
    """
    from bench.workspace.paths import bench_home

    homes = [find_home(path) for path in dict.fromkeys(folders)] or [find_home(bench_home())]
    refused: list[str] = []
    work = [(home, name, cells) for home in homes for name, cells in journals_of(home, refused).items()]
    if not work:
        raise UsageError("\n".join([f"there are no journals in {', '.join(map(str, homes))}", *refused]))
    store = open_store(tracking_uri)
    problems = []
    for home, name, cells in work:
        problems += replay(store, home, name, cells, wait_s, note, refused)
    if refused and not problems:
        raise UsageError("\n".join(refused))
    return [*problems, *refused]


def find_home(path: Path) -> Path:
    """The BENCH_HOME that a path names.

    Raises:
        UsageError: There is none.
    """
    for home in (path, path / ".bench"):
        if (home / "cells").is_dir():
            return home.absolute()
    raise UsageError(f"{path} holds no journals: name a BENCH_HOME, or the folder in which bench run --offline ran")


def journals_of(home: Path, refused: list[str]) -> Journals:
    """Every series of attempts below a BENCH_HOME, older ones first, by the suite that it was run for.

    Series whose files are links out of their folder are added to ``refused`` and left out, because the folder may be
    from somebody else.
    """
    from bench.values import Cell, from_json
    from bench.workspace.cells import series_of
    from bench.workspace.foreign import stray_file
    from bench.workspace.paths import CellFolder

    named: dict[str, list[str]] = {}
    for suite in named_suites(home, refused):
        for cell in suite.cells:
            named.setdefault(cell.id, []).append(suite.name)
    journals: Journals = {}
    for root in sorted((home / "cells").iterdir()):
        for folder in series_of(CellFolder(root)):
            if stray := stray_file(folder):
                refused.append(f"{stray}: it is no file of this folder but a link or a device; the cell is left out")
                continue
            try:
                cell = from_json(Cell, folder.cell.read_text())
            except (OSError, ValueError):
                continue  # its scheduler died before anything was started
            # a cell that ran for one suite is shown in the others that name it: it has one run, wherever that is
            for name in dict.fromkeys(requested_for(folder, refused) or named.get(cell.id, [])):
                journals.setdefault(name, []).append((cell, folder))
    return journals


def named_suites(home: Path, refused: list[str]) -> "list[Suite]":
    """The suites below a BENCH_HOME; those whose name is none are added to ``refused`` and left out."""
    from bench.workspace.cells import kept_suites

    suites = []
    for suite in kept_suites(home):
        if is_suite_name(suite.name, f"{home / 'suites'}", refused):
            suites.append(suite)
    return suites


def is_suite_name(name: object, where: str, refused: list[str]) -> bool:
    """Whether a name can be a suite's, which becomes the name of a folder; if not, that is added to ``refused``."""
    from bench.suite.names import SUITE_NAME

    if isinstance(name, str) and SUITE_NAME.fullmatch(name):
        return True
    refused.append(f"{where}: {name!r} is no name of a suite; what was run for it is left out")
    return False


def requested_for(folder: "CellFolder", refused: list[str]) -> list[str]:
    """The suites that a cell's attempts were started for."""
    names = []
    for attempt in folder.attempts():
        try:
            name = json.loads(attempt.request.read_text())["suite"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if is_suite_name(name, str(attempt.request), refused):
            names.append(name)
    return names


def replay(
    store: "Store",
    home: Path,
    name: str,
    cells: "Sequence[tuple[Cell, CellFolder]]",
    wait_s: float,
    note: Callable[[str], None],
    refused: list[str],
) -> list[str]:
    """Send a suite's journals and its tables. Returns what the store did not take, as sentences.

    Files that a journal names and that are not the cell's own are added to ``refused``.
    """
    from bench.report.table import build_tables
    from bench.tracking import Forwarder, redact
    from bench.workspace.cells import mark_lost

    suite = next((suite for suite in named_suites(home, []) if suite.name == name), None)
    own = {cell.id for cell, _ in cells}
    here = suite and replace(suite, cells=tuple(cell for cell in suite.cells if cell.id in own))
    if here:
        mark_lost(here, home)
    forwarder = Forwarder(store, name, live=False)
    try:
        for cell, folder in cells:
            forwarder.watch(cell, folder)
        problems = forwarder.drain(max(wait_s, SHORT_S))
    finally:
        forwarder.close()
    refused += forwarder.refused
    if problems:
        return problems
    store.mark_orphans_lost(name)
    outcomes = store.outcomes(name)
    if suite and here:
        publish(store, suite, build_tables(suite, outcomes), home, here=here)
    counts = Counter(outcomes[cell_id].state for cell_id in own if cell_id in outcomes)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    note(f"{name}: {sum(counts.values())} runs in {redact(store.uri)} ({states})")
    return []
