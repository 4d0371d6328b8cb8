"""Which suites are asked for, and where their results are: the store, and the suites that ran into it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.known import known_outcomes
from bench.errors import SuiteError, TrackingError, UsageError

if TYPE_CHECKING:
    from bench.api.several import SuiteFaults
    from bench.scheduler.status import CellStatus
    from bench.tracking import Store
    from bench.values import Suite


def load_suites(
    paths: Sequence[str], overrides: Sequence[str] = (), faults: "SuiteFaults | None" = None, *, past: bool = False
) -> "list[Suite]":
    """Read all suite files; the faults of all of them are raised together.

    Args:
        paths: The files.
        overrides: ``recipe.KEY=VALUE`` strings.
        faults: Takes the faults of single files where another file can be used without them.
        past: They are read for the results that they have: the files of their nets may be missing.

    Raises:
        SuiteError: A file is wrong.
        UsageError: Two suites have the same name, or an override is wrong.
    """
    from bench.suite import load_suite

    suites: list[Suite] = []
    wrong: dict[str, SuiteError] = {}
    for path in dict.fromkeys(paths):
        try:
            suites.append(load_suite(path, overrides=overrides, past=past))
        except SuiteError as error:
            wrong[path] = error
    if wrong and not (suites and faults):
        raise SuiteError([fault for error in wrong.values() for fault in error.faults])
    names: dict[str, str] = {}
    for suite in suites:
        if suite.name in names:
            raise UsageError(
                f"{names[suite.name]} and {suite.path} are both called {suite.name!r}: a suite's name is its MLflow "
                "experiment's, so rename one of them"
            )
        names[suite.name] = suite.path
    for path, fault in wrong.items():
        if faults:
            with faults.of(path):
                raise fault
    return suites


def select(suite: "Suite", filters: Sequence[str]) -> "Suite":
    """The suite with only the cells that match all filters (``AXIS=GLOB``)."""
    from bench.suite.filters import filter_cells

    return filter_cells(suite, filters) if filters else suite


def open_store(tracking_uri: str | None = None) -> "Store":
    """The MLflow store in use, created if there is none.

    Raises:
        TrackingError: It cannot be used.
    """
    from bench.tracking import Store, resolve_uri

    return Store(resolve_uri(tracking_uri, Path.cwd()))


def find_store(tracking_uri: str | None = None) -> "Store | None":
    """The MLflow store in use, or None if there is none yet: reading must not create one.

    Raises:
        TrackingError: It cannot be read.
    """
    from bench.tracking import Store, resolve_uri, store_exists

    uri = resolve_uri(tracking_uri, Path.cwd())
    return Store(uri, reading=True) if store_exists(uri) else None


def find_readable_store(tracking_uri: str | None, note: Callable[[str], None]) -> "Store | None":
    """The store, or None with a note if it is missing or unreachable; the journals of this machine suffice."""
    try:
        return find_store(tracking_uri)
    except TrackingError as error:
        note(f"without the store: {error}")
        return None


def stored_suites(store: "Store | None", note: Callable[[str], None] = lambda _: None) -> "list[Suite]":
    """The suites that have runs in a store, and those that ran on this machine without one.

    Args:
        store: The store, if there is one.
        note: Takes a sentence for each suite in the store that cannot be read, which is left out.

    Raises:
        UsageError: There are none.
    """
    from bench.suite import parse_suite
    from bench.workspace.cells import kept_suites
    from bench.workspace.paths import bench_home

    suites = []
    for name, source, path in store.suites() if store else []:
        try:
            suites.append(parse_suite(source, path, past=True))
        except SuiteError as error:
            note(f"the suite {name} in the store cannot be read and is left out: {error.faults[0]}")
    names = {suite.name for suite in suites}
    suites += [suite for suite in kept_suites(bench_home()) if suite.name not in names]
    if not suites:
        raise UsageError(
            "there are no results here yet: run `bench run SUITE` first; `bench plan SUITE` shows what would run"
        )
    return suites


def choose_suites(suites: "Suite | Sequence[Suite] | None", store: "Store | None") -> "list[Suite]":
    """The suites that a caller from Python means: one, several, or every one that has results.

    Raises:
        UsageError: There is none, or two have one name.
    """
    from bench.values import Suite

    if suites is None:
        return stored_suites(store)
    chosen = [suites] if isinstance(suites, Suite) else list(suites)
    if not chosen or len({suite.name for suite in chosen}) < len(chosen):
        names = ", ".join(suite.name for suite in chosen) or "none"
        raise UsageError(f"a report needs suites of different names, here: {names}")
    return chosen


def suites_here(store: "Store | None", note: Callable[[str], None] = lambda _: None) -> "list[Suite]":
    """The suites that ran on this machine, else those in the store; arguments as in :func:`stored_suites`.

    Raises:
        UsageError: There are none.
    """
    from bench.workspace.cells import kept_suites
    from bench.workspace.paths import bench_home

    return kept_suites(bench_home()) or stored_suites(store, note)


def suite_statuses(suites: "Sequence[Suite]", store: "Store | None") -> "list[tuple[Suite, list[CellStatus]]]":
    """Every suite with the status of each of its cells, read from the journals of this machine and the store."""
    import time

    from bench.scheduler.status import suite_status
    from bench.workspace.paths import bench_home

    return [
        (suite, suite_status(suite, known_outcomes(store, suite).outcomes, bench_home(), now_s=time.time()))
        for suite in suites
    ]
