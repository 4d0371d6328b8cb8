"""api."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.tracking import Store
    from bench.values import Suite

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.errors import DataError

if TYPE_CHECKING:
    from bench.values import Cell, Cost, Outcome, Suite
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.datasets.prepared import Prepared
    from bench.tracking import Store
    from bench.values import DataKey, Outcome, Suite


def load_suites(paths: Sequence[str], overrides: Sequence[str]) -> list["Suite"]:
    """Read all suite files; the faults of all of them are raised together.

    Raises:
        SuiteError: A file is wrong.
        UsageError: Two suites have the same name, or an override is wrong.
    """
    from bench.errors import SuiteError
    from bench.suite import load_suite

    suites: list[Suite] = []
    faults: list[str] = []
    for path in dict.fromkeys(paths):
        try:
            suites.append(load_suite(path, overrides=overrides))
        except SuiteError as error:
            faults.extend(error.faults)
    if faults:
        raise SuiteError(faults)
    names: dict[str, str] = {}
    for suite in suites:
        if suite.name in names:
            raise UsageError(
                f"{names[suite.name]} and {suite.path} are both called {suite.name!r}: a suite's name is its MLflow "
                "experiment's, so give one of them another"
            )
        names[suite.name] = suite.path
    return suites


def select(suite: "Suite", filters: Sequence[str]) -> "Suite":
    """The suite with only the cells that the filters leave."""
    from bench.suite.filters import filter_cells

    return filter_cells(suite, filters) if filters else suite


def known_outcomes(
    store: "Store | None", suite: "Suite", data: "Mapping[DataKey, Prepared] | None" = None
) -> tuple[dict[str, "Outcome"], dict[str, "Outcome"]]:
    """What the store knows of a suite's cells, and that merged with what their folders say, stale results marked.

    Runs whose process is gone are settled first, in the journals of this machine and in the store. ``data`` is what is
    known already of data sets as they are now.
    """
    from bench.scheduler.plan import mark_stale, merge_outcomes
    from bench.workspace.cells import local_outcomes, mark_lost
    from bench.workspace.paths import bench_home

    home = bench_home()
    mark_lost(suite, home)
    if store:
        store.mark_orphans_lost(suite.name)
    stored = store.outcomes(suite.name) if store else {}
    merged = merge_outcomes(stored, local_outcomes(suite, home, stored))
    return stored, mark_stale(suite.cells, merged, current_digests(suite, merged, data or {}))


def current_digests(
    suite: "Suite", outcomes: "dict[str, Outcome]", data: "Mapping[DataKey, Prepared]"
) -> "dict[DataKey, str]":
    """Digests of the data of cells that have a result, as the data is now; images that changed are decoded for it."""
    from bench.datasets.prepared import data_key, look
    from bench.datasets.source import open_source
    from bench.workspace.paths import data_home

    home = data_home()
    complete = [cell for cell in suite.cells if cell.id in outcomes and outcomes[cell.id].state == "complete"]
    digests = {}
    for key in dict.fromkeys(data_key(cell) for cell in complete):
        found = data.get(key) or look(key, home)
        if not found and (source := open_source(key.dataset)).mutable and source.status(home).state == "ready":
            found = packed([key])[key]
        digests[key] = found.digest if found else ""
    return digests


def packed(needed: "Iterable[DataKey]") -> "dict[DataKey, Prepared]":
    """Pack or index data sets once, so that all cells share them, and return what is known of each.

    Raises:
        DataError: One is broken; every such data set is named.
    """
    from bench.datasets.prepared import look
    from bench.scheduler.calls import call_worker
    from bench.scheduler.devices import cpu_cores
    from bench.workspace.paths import data_home
    from bench.workspace.requests import Failure, Prepare

    home = data_home()
    found = {key: look(key, home) for key in needed}
    missing = [key for key, known in found.items() if known is None]
    if missing:
        requests = [Prepare(**key._asdict(), data_home=str(home)) for key in missing]
        answers = call_worker(requests, threads=cpu_cores())
        if errors := [answer.error for answer in answers if isinstance(answer, Failure)]:
            raise DataError("\n".join(errors))
        found.update({key: look(key, home) for key in missing})
    if changed := [key.dataset for key, known in found.items() if known is None]:
        raise DataError(f"{', '.join(changed)} changed while it was made ready; run again when nothing writes to it")
    return {key: known for key, known in found.items() if known is not None}


def open_store_if_there(tracking_uri: str | None) -> "Store | None":
    """Open the store for reading, or None if there is none yet: looking must not create one."""
    from bench.tracking import Store, resolve_uri, store_exists

    uri = resolve_uri(tracking_uri, Path.cwd())
    return Store(uri) if store_exists(uri) else None


def plan_entry(task: Any, reasons: Mapping[str, str]) -> dict[str, Any]:
    """A task as the plan's JSON and table show it."""
    from bench.catalog.models import SMALL_INPUT, model_stems

    cell, outcome = task.cell, task.outcome
    small = cell.recipe.input_size <= SMALL_INPUT and "small" in model_stems(cell.model)
    return {
        "id": cell.id,
        "model": cell.model,
        "stem": cell.recipe.stem,
        "shows_stem": small and cell.recipe.stem == "standard",
        "dataset": cell.dataset,
        "schedule": cell.schedule_name,
        "seed": cell.seed,
        "state": outcome.state,
        "reason": f"stale: {outcome.stale}" if outcome.stale else outcome.reason or reasons.get(cell.id, ""),
        "params": task.cost.params if task.cost else None,
        "flops": task.cost.flops if task.cost else None,
        "estimate_s": task.estimate_s if task.runs or outcome.state != "complete" else 0.0,
    }


def measured(suite: "Suite") -> "tuple[dict[str, Cost], dict[str, str]]":
    """Params and FLOPs of the suite's nets by cell id, and the reasons for those that cannot be measured."""
    from bench.scheduler.costs import costs_of
    from bench.workspace.paths import bench_home

    return costs_of(suite.cells, classes_of, bench_home())


def history() -> "list[tuple[Cell, Outcome]]":
    """Cells of any suite that ran on this machine, for estimates."""
    from bench.workspace.cells import local_history
    from bench.workspace.paths import bench_home

    return local_history(bench_home())


def classes_of(dataset: str) -> int | None:
    """Number of classes of a data set; None for a folder that is not here."""
    from bench.datasets.source import open_source

    try:
        return open_source(dataset).num_classes
    except DataError:
        return None


def stored_suites(store: "Store | None") -> "list[Suite]":
    """The suites that were run into a store, or on this machine while there was none.

    Raises:
        UsageError: There are none.
    """
    from bench.suite import parse_suite
    from bench.workspace.cells import kept_suites
    from bench.workspace.paths import bench_home

    found = [parse_suite(source, path) for _, source, path in (store.suites() if store else [])]
    names = {suite.name for suite in found}
    found += [suite for suite in kept_suites(bench_home()) if suite.name not in names]
    if not found:
        raise UsageError("there are no results here yet: bench run SUITE makes some, bench report SUITE shows a plan")
    return found


def render_suites(suites: "list[Suite]", store: "Store | None", format_: str, best: bool) -> tuple[str, int]:
    """The tables of suites as one text, and how many of their cells have no result."""
    from bench.report.render import join, render
    from bench.report.table import build_tables

    texts, missing = [], 0
    for suite in suites:
        outcomes = known_outcomes(store, suite)[1]
        missing += sum(cell.id not in outcomes or outcomes[cell.id].state != "complete" for cell in suite.cells)
        tables = build_tables(suite, outcomes, best=best)
        texts.append(render(tables, format_, suite=suite, best=best))
    return join(texts, format_), missing
