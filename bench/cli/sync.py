"""``bench sync``: replays the journals of offline or cut-off runs into MLflow, any number of times, from anywhere."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import tracking_option
from bench.cli.output import note
from bench.errors import TrackingError, UsageError

if TYPE_CHECKING:
    from bench.tracking import Store
    from bench.values import Cell, Suite
    from bench.workspace.paths import CellFolder


@click.command()
@click.argument("paths", metavar="DIR...", nargs=-1, type=click.Path(path_type=Path))
@tracking_option
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long to try again.",
)
def sync(paths: Sequence[Path], tracking_uri: str | None, wait: float) -> None:
    """Send the journals of offline or cut-off runs to MLflow.

    DIR is a BENCH_HOME (by default the one in use) or a folder that holds .bench, from this machine or copied from
    another. Sending again is harmless: a cell stays one run, and no point comes twice.
    """
    from bench.cli.run import open_store

    homes = [find_home(path) for path in dict.fromkeys(paths)] or [default_home()]
    work = [(home, name, folders) for home in homes for name, folders in journals_of(home).items()]
    if not work:
        raise UsageError(f"there are no journals in {', '.join(map(str, homes))}")
    store = open_store(tracking_uri)
    problems = [problem for home, name, folders in work for problem in replay(store, home, name, folders, wait)]
    if problems:
        raise TrackingError("\n".join(problems))


def default_home() -> Path:
    """The BENCH_HOME in use.

    Raises:
        UsageError: Nothing was ever run there.
    """
    from bench.workspace.paths import bench_home

    return find_home(bench_home())


def find_home(path: Path) -> Path:
    """The BENCH_HOME that a path names.

    Raises:
        UsageError: There is none.
    """
    for home in (path, path / ".bench"):
        if (home / "cells").is_dir():
            return home.absolute()
    raise UsageError(f"{path} holds no journals: name a BENCH_HOME, or the folder in which bench run --offline ran")


def journals_of(home: Path) -> "dict[str, list[tuple[Cell, CellFolder]]]":
    """Every series of attempts below a BENCH_HOME, older ones first, by the suite that it was run for."""
    from bench.values import Cell, from_json
    from bench.workspace.cells import kept_suites, series_of
    from bench.workspace.paths import CellFolder

    named: dict[str, list[str]] = {}
    for suite in kept_suites(home):
        for cell in suite.cells:
            named.setdefault(cell.id, []).append(suite.name)
    found: dict[str, list[tuple[Cell, CellFolder]]] = {}
    for root in sorted((home / "cells").iterdir()):
        for folder in series_of(CellFolder(root)):
            try:
                cell = from_json(Cell, folder.cell.read_text())
            except (OSError, ValueError):
                continue  # its scheduler died before anything was begun
            for name in dict.fromkeys([*suites_told(folder), *named.get(cell.id, [])]):
                found.setdefault(name, []).append((cell, folder))
    return found


def suites_told(folder: "CellFolder") -> list[str]:
    """The suites that a cell's attempts were started for."""
    names = []
    for attempt in folder.attempts():
        try:
            names.append(json.loads(attempt.request.read_text())["suite"])
        except (OSError, ValueError, KeyError):
            continue
    return names


def replay(store: "Store", home: Path, name: str, folders: "list[tuple[Cell, CellFolder]]", wait_s: float) -> list[str]:
    """Send a suite's journals and its tables. Returns what the store did not take, as sentences."""
    from bench.cli.run import publish
    from bench.tracking import Forwarder, redact
    from bench.workspace.cells import kept_suites, mark_lost

    suite: Suite | None = next((each for each in kept_suites(home) if each.name == name), None)
    if suite:
        mark_lost(suite, home)
    forwarder = Forwarder(store, name, live=False)
    try:
        for cell, folder in folders:
            forwarder.watch(cell, folder)
        problems = forwarder.drain(wait_s)
    finally:
        forwarder.close()
    if problems:
        return problems
    store.mark_orphans_lost(name)
    outcomes = store.outcomes(name)
    if suite:
        publish(store, suite, outcomes, home)
    counts = Counter(outcomes[cell_id].state for cell_id in {cell.id for cell, _ in folders} if cell_id in outcomes)
    counts_text = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    note(f"{name}: {sum(counts.values())} runs in {redact(store.uri)} ({counts_text})")
    return []
