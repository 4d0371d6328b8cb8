"""The loop of a run, with a launcher of fifteen lines in place of real workers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from bench.devices import Slot
from bench.journal import Event, Journal
from bench.paths import CellFolder
from bench.plan import make_plan
from bench.run import Setting, StopRequest, local_outcomes, run_plan
from bench.values import Attempt, Cell, Outcome, Suite

Ending = Callable[[Attempt, Journal], int]
METRICS = {"test/top1": 90.0, "test/top5": 99.0, "test/loss": 0.5, "train/loss": 0.4}


def well(attempt: Attempt, journal: Journal) -> int:
    journal.write("epoch", epoch=1, metrics=METRICS, epoch_s=1.0, images_per_s=10.0)
    journal.write("end", state="complete", kind="", reason="", fingerprint={})
    CellFolder(Path(attempt.folder)).result.write_text(json.dumps({"cell": attempt.cell.id}))
    return 0


def badly(attempt: Attempt, journal: Journal) -> int:
    journal.write("end", state="failed", kind="error", reason="it broke")
    return 1


def silently(attempt: Attempt, journal: Journal) -> int:
    return 0


def killed(attempt: Attempt, journal: Journal) -> int:
    return -9


class FakeHandle:
    def __init__(self, code: int | None) -> None:
        self.code = code
        self.asked: list[str] = []

    def poll(self) -> int | None:
        return self.code

    def stop(self) -> None:
        self.asked.append("stop")

    def kill(self) -> None:
        self.asked.append("kill")
        self.code = -9


class FakeLauncher:
    """Ends every attempt at once, as its model's name says."""

    def __init__(self, **endings: Ending) -> None:
        self.endings = endings
        self.started: list[tuple[str, int]] = []
        self.handles: list[FakeHandle] = []

    def start(self, attempt: Attempt, slot: Slot) -> FakeHandle:
        self.started.append((attempt.cell.model, attempt.number))
        ending = self.endings.get(attempt.cell.model)
        with Journal(CellFolder(Path(attempt.folder)).attempt(attempt.number).journal) as journal:
            journal.write("start", attempt=attempt.number, epochs=1, device="cpu")
            self.handles.append(FakeHandle(ending(attempt, journal) if ending else None))
        return self.handles[-1]


class Silent:
    """Watcher and forwarder that remember what they were told."""

    def __init__(self) -> None:
        self.settled: list[tuple[str, str]] = []

    def watch(self, cell: Cell, folder: CellFolder) -> None: ...

    def settle(self, cell: Cell, folder: CellFolder, outcome: Outcome) -> None:
        self.settled.append((cell.model, outcome.kind))

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None: ...

    def event(self, cell: Cell, event: Event) -> None: ...

    def finished(self, cell: Cell, outcome: Outcome) -> None: ...


Run = Callable[..., dict[str, Outcome]]


@pytest.fixture
def run(project: Path, make_suite: Callable[..., Suite]) -> Run:
    def run_cells(cells: list[Cell], launcher: FakeLauncher, **options: object) -> dict[str, Outcome]:
        home = project / ".bench"
        suite = make_suite(*cells)
        plan = make_plan(suite, local_outcomes(suite, home), {}, rerun=bool(options.pop("rerun", False)))
        silent = options.pop("silent", Silent())
        setting = Setting(
            launcher=launcher,
            slots=[Slot(name="cpu 0", device="cpu", visible="", threads=1)],
            forwarder=silent,  # type: ignore[arg-type]
            watcher=silent,  # type: ignore[arg-type]
            home=home,
            data_home=project / "data",
            sleep=options.pop("sleep", lambda _: None),  # type: ignore[arg-type]
            **options,  # type: ignore[arg-type]
        )
        found = run_plan(plan, setting, StopRequest())
        return {cell.model: found[cell.id] for cell in cells if cell.id in found}

    return run_cells


def test_a_failed_cell_does_not_stop_the_others(run: Run, make_cell: Callable[..., Cell]) -> None:
    ended = run([make_cell("a"), make_cell("b")], FakeLauncher(a=badly, b=well))
    assert {model: outcome.state for model, outcome in ended.items()} == {"a": "failed", "b": "complete"}


def test_fail_fast_starts_no_cell_after_a_failed_one(run: Run, make_cell: Callable[..., Cell]) -> None:
    launcher = FakeLauncher(a=badly, b=well)
    run([make_cell("a"), make_cell("b")], launcher, fail_fast=True)
    assert launcher.started == [("a", 1)]


def test_a_second_run_starts_only_what_is_missing(run: Run, make_cell: Callable[..., Cell]) -> None:
    cells = [make_cell("a"), make_cell("b")]
    run(cells, FakeLauncher(a=well, b=badly))
    launcher = FakeLauncher(a=well, b=well)
    run(cells, launcher)
    assert launcher.started == [("b", 2)]


def test_rerun_starts_complete_cells_from_the_beginning_and_keeps_the_old_attempt(
    run: Run, make_cell: Callable[..., Cell], project: Path
) -> None:
    cell = make_cell("a")
    run([cell], FakeLauncher(a=well))
    launcher = FakeLauncher(a=well)
    run([cell], launcher, rerun=True)
    assert launcher.started == [("a", 1)]
    assert len(list((project / ".bench" / "cells" / cell.id).glob("before-*/attempt-1/journal.jsonl"))) == 1


def test_exit_code_zero_without_a_result_is_not_complete(run: Run, make_cell: Callable[..., Cell]) -> None:
    silent = Silent()
    ended = run([make_cell("a")], FakeLauncher(a=silently), silent=silent)
    assert (ended["a"].state, ended["a"].kind) == ("failed", "lost")
    assert "exit code 0 and no result" in ended["a"].reason
    assert silent.settled == [("a", "lost")]


def test_a_killed_worker_is_lost_and_its_signal_named(run: Run, make_cell: Callable[..., Cell]) -> None:
    ended = run([make_cell("a")], FakeLauncher(a=killed))
    assert (ended["a"].state, ended["a"].kind) == ("failed", "lost")
    assert "signal 9" in ended["a"].reason


def test_a_cell_that_another_run_holds_is_waited_for_and_not_run_twice(
    run: Run, make_cell: Callable[..., Cell], project: Path
) -> None:
    cell = make_cell("a")
    folder = CellFolder.of(project / ".bench", cell.id)
    folder.root.mkdir(parents=True)
    lock = FileLock(folder.lock)
    lock.acquire()
    rounds = []

    def the_other_run_finishes(_: float) -> None:
        rounds.append(1)
        if len(rounds) == 3:
            attempt = Attempt(cell=cell, number=1, folder=str(folder.root), data_home="", device="cpu", threads=1)
            with Journal(folder.attempt(1).journal) as journal:
                journal.write("start", attempt=1, epochs=1, device="cpu")
                well(attempt, journal)
            lock.release()

    launcher = FakeLauncher(a=well)
    ended = run([cell], launcher, sleep=the_other_run_finishes)
    assert launcher.started == []
    assert ended["a"].state == "complete"


def test_a_stop_request_asks_workers_to_leave_and_kills_those_that_do_not(
    make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], project: Path
) -> None:
    stop, launcher, silent, now = StopRequest(), FakeLauncher(), Silent(), [0.0]

    def sleep(_: float) -> None:
        now[0] += 1.0
        if now[0] == 2.0:
            stop(15)

    setting = Setting(
        launcher=launcher,
        slots=[Slot(name="cpu 0", device="cpu", visible="", threads=1)],
        forwarder=silent,
        watcher=silent,
        home=project / ".bench",
        data_home=project / "data",
        clock=lambda: now[0],
        sleep=sleep,
    )
    run_plan(make_plan(make_suite(make_cell("a"), make_cell("b")), {}, {}), setting, stop)
    assert launcher.started == [("a", 1)]
    assert launcher.handles[0].asked == ["stop", "kill"]
    assert 10.0 <= now[0] <= 14.0
