"""Reading sqlite directly gives what MLflow's public API gives, without importing MLflow."""

import json
import math
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.mlflow_db import FilledRun, fill, fill_suite_run, run_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api.known import known_outcomes
from bench.api.outcomes import stored_suites
from bench.api.reports import render_suites
from bench.errors import TrackingError
from bench.report.render import FORMATS
from bench.suite import parse_suite
from bench.tracking import Store
from bench.tracking.reader import Reader
from bench.values import Cell, Cost, Outcome, Suite
from bench.workspace import cells
from bench.workspace.paths import CellFolder

SOURCE = """suite: stored
description: "Größe | 大きさ <b>"
recipe: {epochs: 3}
schedules: {step: {kind: step, step_size: 2}}
grid: {model: [resnet18, nets.py:größe, mobilenet_v2], dataset: digits, schedule: [cosine, step], seed: [0, 1, 2]}
"""
COST = Cost(
    params=1_234_567, flops=7_654_321, conv_linear_macs=7_000_001, torch_macs=7_000_001, uncounted=("gelu x 2",)
)


def both(database: Path) -> tuple[Store, Store]:
    """The same store, read directly and through MLflow."""
    return Store(f"sqlite:///{database}"), Store(f"sqlite:///{database}", direct=False)


def change(database: Path, *statements: str) -> None:
    connection = sqlite3.connect(database)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def result(cell: Cell, **changed: Any) -> Outcome:
    known = Outcome(
        cell_id=cell.id,
        state="complete",
        epochs_done=3,
        epochs=3,
        top1=91.0625 + cell.seed / 7,
        top5=99.5,
        cost=COST,
        epoch_s=1.5,
        images_per_s=100.25,
        attempts=1,
        device="a CPU | 大",
        commit="abc123",
        fingerprint={"protocol": "1"},
    )
    return replace(known, **changed)


def every_kind(suite: Suite) -> list[FilledRun]:
    """Runs of all that can become of a cell, some cells with several, one with none."""
    cells = iter(suite.cells)

    def run(outcome: Callable[[Cell], Outcome] = result, cell: Cell | None = None, **changed: Any) -> FilledRun:
        cell = cell or next(cells)
        return run_of(cell, outcome(cell), suite.name, **changed)

    first, second, third = next(cells), next(cells), next(cells)
    old = run(lambda cell: result(cell, top1=1.0), first, start_ms=1)
    return [
        replace(old, tags={**old.tags, "bench.superseded": "true"}),
        run(cell=first, start_ms=2),
        run(lambda cell: result(cell, top1=2.0), second, start_ms=5),
        run(lambda cell: result(cell, top1=3.0), second, start_ms=4),
        run(lambda cell: result(cell, top1=4.0), third, run_id="b" * 32),
        run(lambda cell: result(cell, top1=5.0), third, run_id="a" * 32),
        run(deleted=True),
        run(lambda cell: result(cell, state="failed", kind="oom", reason="it | broke\n<b>")),
        run(lambda cell: result(cell, state="failed", kind="diverged", top1=math.nan, top5=None)),
        run(lambda cell: result(cell, state="running", epochs_done=1)),
        run(lambda cell: result(cell, state="interrupted", kind="lost")),
        run(lambda cell: result(cell, fingerprint={"protocol": "0"})),
        run(lambda cell: result(cell, top1=1.797e308)),
        run(),
        FilledRun(tags={"foreign": "tag"}),
        fill_suite_run(Path("mlflow.db").absolute(), suite),
    ]


@pytest.fixture
def suite(database: Path) -> Suite:
    """A suite that was run into the database, with every kind of result."""
    Path("nets.py").write_text("def größe(num_classes): ...\n")
    suite = parse_suite(SOURCE, "suites/größe.yaml")
    fill(database, suite.name, every_kind(suite))
    return suite


def test_outcomes_and_suites_are_those_of_the_public_api(suite: Suite, database: Path) -> None:
    direct, public = both(database)
    outcomes = direct.outcomes(suite.name)
    assert repr(outcomes) == repr(public.outcomes(suite.name))
    assert [outcomes[cell.id].top1 for cell in suite.cells[1:3]] == [3.0, 4.0], "of several runs the same one wins"
    assert len(outcomes) == 10
    assert direct.suites() == public.suites() == [("stored", suite.source, "suites/größe.yaml")]
    assert direct.outcomes("another") == public.outcomes("another") == {}


@pytest.mark.parametrize("best", [False, True])
@pytest.mark.parametrize("format_", sorted(FORMATS.keys() - {"html"}))  # its charts take seconds
def test_a_report_has_the_same_bytes_both_ways(suite: Suite, database: Path, format_: str, best: bool) -> None:
    texts = [
        render_suites(suites, store, format_, best)
        for store in both(database)
        for suites in ([suite], stored_suites(store))
    ]
    assert len(set(texts)) == 1


STATES = st.sampled_from(["complete", "failed", "running", "interrupted"])
RUNS = st.tuples(
    st.integers(0, 3),  # cell
    st.integers(0, 2),  # start
    STATES,
    st.booleans(),  # deleted
    st.booleans(),  # superseded
    st.floats(allow_nan=True, allow_infinity=True) | st.none(),  # top-1
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),  # reason
)


@given(st.lists(RUNS, max_size=6))
@settings(max_examples=25)
def test_any_runs_are_read_alike(tmp_path_factory: pytest.TempPathFactory, tables: Path, runs: list[Any]) -> None:
    database = Path(shutil.copy(tables, tmp_path_factory.mktemp("any") / "mlflow.db"))
    cells = parse_suite(SOURCE.replace("nets.py:größe", "resnet34"), "any.yaml").cells
    made = []
    for number, start, state, deleted, superseded, top1, reason in runs:
        outcome = result(cells[number], state=state, top1=top1, reason=reason)
        run = run_of(cells[number], outcome, "any", start_ms=start, deleted=deleted)
        made.append(replace(run, tags={**run.tags, "bench.superseded": "true"}) if superseded else run)
    fill(database, "any", made)
    direct, public = both(database)
    assert repr(direct.outcomes("any")) == repr(public.outcomes("any"))


def test_a_deleted_experiment_is_no_suite_and_its_runs_are_gone(database: Path) -> None:
    suite = parse_suite(SOURCE.replace("nets.py:größe", "resnet34"), "deleted.yaml")
    runs = [replace(run_of(cell, result(cell), suite.name), deleted=True) for cell in suite.cells]
    fill(database, suite.name, [*runs, replace(fill_suite_run(database, suite), deleted=True)], deleted=True)
    direct, public = both(database)
    assert direct.suites() == public.suites() == []
    assert direct.outcomes(suite.name) == public.outcomes(suite.name) == {}


def test_more_runs_than_a_page_of_the_api_are_read(database: Path) -> None:
    tags = {"bench.state": "complete"}
    fill(database, "many", [FilledRun(tags={**tags, "bench.cell": f"{number:012x}"}) for number in range(2500)])
    assert len(Store(f"sqlite:///{database}").outcomes("many")) == 2500


def test_more_suites_than_a_page_of_the_api_are_listed(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        suite = parse_suite(SOURCE.replace("nets.py:größe", "resnet34").replace("stored", f"s{number}"), f"{number}")
        fill(database, suite.name, [fill_suite_run(database, suite)])
    direct, public = both(database)
    whole = public.client.search_experiments
    monkeypatch.setattr(public.client, "search_experiments", lambda **asked: whole(**{"max_results": 1, **asked}))
    assert direct.suites() == public.suites()
    assert len(direct.suites()) == 3


def test_a_suites_run_that_was_never_finished_is_left_out(suite: Suite, database: Path) -> None:
    change(database, "DELETE FROM tags WHERE key = 'bench.suite_file'")
    direct, public = both(database)
    assert direct.suites() == public.suites() == []


def test_a_suite_file_that_is_gone_from_the_disk_is_the_public_apis_error(suite: Suite, database: Path) -> None:
    shutil.rmtree("mlruns")
    with pytest.raises(TrackingError, match="cannot be read"):
        Store(f"sqlite:///{database}").suites()


def test_a_database_without_tables_is_empty_and_gets_none_from_being_read(project: Path) -> None:
    database = project / "mlflow.db"
    database.touch()
    store = Store(f"sqlite:///{database}")
    assert (store.outcomes("any"), store.suites(), store.mark_orphans_lost("any")) == ({}, [], [])
    assert database.stat().st_size == 0


def test_a_database_is_read_while_another_process_writes(suite: Suite, database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM tags")
    assert len(Reader(database).runs(suite.name, ["bench.cell"]) or []) == len(every_kind_ids(database))
    connection.rollback()
    connection.close()


def every_kind_ids(database: Path) -> list[str]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    found = [row[0] for row in connection.execute("SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active'")]
    connection.close()
    return found


def test_a_database_that_is_locked_for_a_moment_is_waited_for(suite: Suite, database: Path) -> None:
    connection = sqlite3.connect(database, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    unlock = threading.Timer(0.5, connection.rollback)
    unlock.start()
    assert Reader(database).runs(suite.name, ["bench.cell"])
    unlock.join()
    connection.close()


def test_known_outcomes_mark_a_run_lost_only_when_its_process_has_died(suite: Suite, database: Path) -> None:
    (running,) = [cell.id for cell, run in in_state(suite, database, "running")]
    known_outcomes(Store(f"sqlite:///{database}"), suite)
    assert Store(f"sqlite:///{database}").outcomes(suite.name)[running].state == "running"
    change(database, "UPDATE tags SET value = '1' WHERE key = 'bench.pid_started'")
    known_outcomes(Store(f"sqlite:///{database}"), suite)
    assert Store(f"sqlite:///{database}").outcomes(suite.name)[running].state == "interrupted"


def in_state(suite: Suite, database: Path, state: str) -> list[tuple[Cell, Outcome]]:
    outcomes = Store(f"sqlite:///{database}").outcomes(suite.name)
    return [
        (cell, outcomes[cell.id]) for cell in suite.cells if cell.id in outcomes and outcomes[cell.id].state == state
    ]


@pytest.mark.parametrize(
    "arguments", ["report", "report tiny.yaml --format json", "plan tiny.yaml", "status tiny.yaml"]
)
def test_a_command_that_reads_a_sqlite_store_does_not_import_mlflow(database: Path, arguments: str) -> None:
    suite = parse_suite(SOURCE.replace("nets.py:größe", "resnet34"), "tiny.yaml")
    Path("tiny.yaml").write_text(suite.source)
    runs = [run_of(cell, result(cell), suite.name) for cell in suite.cells]
    fill(database, suite.name, [*runs, fill_suite_run(database, suite)])
    script = (
        "import sys, json\nfrom bench.scheduler import costs\nfrom bench.cli import cli\n"
        "from bench.workspace.requests import Failure\n"
        "costs.call_worker = lambda requests, **_: [Failure(error='not here') for _ in requests]\n"
        f"try: cli({arguments.split()!r})\nexcept SystemExit as done: assert not done.code, done.code\n"
        "print(json.dumps([name for name in ('mlflow', 'sqlalchemy', 'torch') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    if not arguments.startswith("status"):
        assert "resnet34" in done.stdout


def test_the_journal_of_a_cell_that_a_store_has_whole_is_not_read(
    suite: Suite, database: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def read_outcome(cell_id: str, _: CellFolder) -> Outcome:
        read.append(cell_id)
        return Outcome(cell_id=cell_id, state="missing")

    monkeypatch.setattr(cells, "read_outcome", read_outcome)
    for cell in suite.cells[:8]:
        CellFolder.of(project / ".bench", cell.id).root.mkdir(parents=True)
    outcomes = Store(f"sqlite:///{database}").outcomes(suite.name)
    known_outcomes(Store(f"sqlite:///{database}"), suite)
    incomplete = [
        cell.id for cell in suite.cells[:8] if outcomes.get(cell.id, result(cell, state="missing")).state != "complete"
    ]
    assert read == incomplete
    assert incomplete
