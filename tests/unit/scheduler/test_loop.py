"""The loop of a run, with the fake launcher in place of real workers."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.runs import METRICS, SLOT, Silent, badly, killed, well

from bench.errors import DiskError
from bench.scheduler.attempts import MAX_LOST_ATTEMPTS, RunContext
from bench.scheduler.devices import Slot
from bench.scheduler.fake import FakeLauncher
from bench.scheduler.loop import Loop, StopRequest, run_plan
from bench.scheduler.plan import make_plan
from bench.values import Attempt, Cell, FailureKind, Mode, Outcome, Plan, Suite
from bench.workspace.cells import local_outcomes, result_marks, series_name
from bench.workspace.events import Ended, EpochDone, Started
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

Run = Callable[..., dict[str, Outcome]]


def test_a_failed_cell_does_not_stop_the_others(run: Run, make_cell: Callable[..., Cell]) -> None:
    ended = run([make_cell("a"), make_cell("b")], FakeLauncher(a=badly, b=well))
    assert {model: outcome.state for model, outcome in ended.items()} == {"a": "failed", "b": "complete"}


def test_cells_on_the_cpu_have_no_more_threads_together_than_the_slots(
    run: Run, make_cell: Callable[..., Cell]
) -> None:
    slots = [replace(SLOT, name=f"cpu {number}") for number in range(3)]
    cells = [make_cell(model) for model in "abcd"]
    threads = dict(zip("abcd", (2, 2, 1, 1), strict=True))
    launcher = FakeLauncher()
    seen: list[set[str]] = []

    def sleep(_: float) -> None:
        running = launcher.running()
        seen.append({attempt.cell.model for _, attempt in running})
        launcher.end(running[0], well)

    modes = {cell.id: Mode(threads=threads[cell.model]) for cell in cells}
    run(cells, launcher, slots=slots, modes=modes, sleep=sleep)
    assert seen == [{"a"}, {"b", "c"}, {"c", "d"}, {"d"}]


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


def test_a_lost_cell_is_given_up_when_it_gets_no_further(run: Run, make_cell: Callable[..., Cell]) -> None:
    launcher = FakeLauncher(a=killed)
    run([make_cell("a")], launcher)
    assert launcher.started == [("a", number) for number in range(1, MAX_LOST_ATTEMPTS + 1)]


def test_a_lost_cell_that_gets_further_each_time_is_never_given_up(run: Run, make_cell: Callable[..., Cell]) -> None:
    def an_epoch_and_killed(attempt: Attempt, journal: Journal) -> int:
        if attempt.number > 7:
            return well(attempt, journal)
        journal.write(EpochDone(epoch=attempt.number, metrics=METRICS, epoch_s=1.0, images_per_s=10.0))
        return -9

    launcher, silent = FakeLauncher(a=an_epoch_and_killed), Silent()
    ended = run([make_cell("a")], launcher, silent=silent)
    assert ended["a"].state == "complete"
    assert silent.again == [("a", "lost")] * 7


def test_a_worker_that_was_stopped_from_outside_resumes(run: Run, make_cell: Callable[..., Cell]) -> None:
    def stopped_once(attempt: Attempt, journal: Journal) -> int:
        if attempt.number > 1:
            return well(attempt, journal)
        journal.write(Ended(state="interrupted", kind="", reason="stopped"))
        return 130

    assert run([make_cell("a")], FakeLauncher(a=stopped_once))["a"].state == "complete"


@pytest.mark.parametrize("kind", ["error", "diverged", "timeout"])
def test_what_would_happen_again_is_not_tried_again(
    run: Run, make_cell: Callable[..., Cell], kind: FailureKind
) -> None:
    def fails(attempt: Attempt, journal: Journal) -> int:
        journal.write(Ended(state="failed", kind=kind, reason="it broke"))
        return 1

    launcher = FakeLauncher(a=fails)
    assert run([make_cell("a")], launcher)["a"].kind == kind
    assert launcher.started == [("a", 1)]


def out_of_memory(attempt: Attempt, journal: Journal) -> int:
    journal.write(Ended(state="failed", kind="oom", reason="out of memory"))
    return 1


def test_a_cell_out_of_memory_is_tried_once_more_and_then_failed(run: Run, make_cell: Callable[..., Cell]) -> None:
    launcher = FakeLauncher(a=out_of_memory)
    assert run([make_cell("a")], launcher)["a"].kind == "oom"
    assert launcher.started == [("a", 1), ("a", 2)]


def test_a_cell_out_of_memory_is_tried_again_alone_on_its_device(run: Run, make_cell: Callable[..., Cell]) -> None:
    concurrency: list[int] = []

    def first_out_of_memory(attempt: Attempt, journal: Journal) -> int:
        if attempt.number == 1:
            return out_of_memory(attempt, journal)
        concurrency.append(sum(handle.code is None for handle in launcher.handles))
        return well(attempt, journal)

    launcher = FakeLauncher(a=first_out_of_memory)

    rounds = []

    def others_end_late(_: float) -> None:
        rounds.append(1)
        late = [pair for pair in launcher.running() if pair[1].cell.model in "bc"]
        if late and len(rounds) % 5 == 0:
            launcher.end(late[0], well)

    cells = [make_cell("a"), make_cell("b"), make_cell("c")]
    slots = [SLOT, Slot(name="cpu 1", device="cpu", visible="", threads=1)]
    ended = run(cells, launcher, slots=slots, sleep=others_end_late)
    assert {model: outcome.state for model, outcome in ended.items()} == dict.fromkeys("abc", "complete")
    assert concurrency == [0]


def test_a_cell_that_runs_alone_has_all_of_its_devices_memory(run: Run, make_cell: Callable[..., Cell]) -> None:
    def first_out_of_memory(attempt: Attempt, journal: Journal) -> int:
        return out_of_memory(attempt, journal) if attempt.number == 1 else well(attempt, journal)

    launcher = FakeLauncher(a=first_out_of_memory, b=well)
    slots = [Slot(name=f"gpu 0 #{part}", device="cuda", visible="0", threads=1, memory_share=0.475) for part in (0, 1)]
    cells = [make_cell("a"), make_cell("b")]
    modes = {cells[0].id: Mode(threads=1, captured=True, memory_share=0.475)}
    ended = run(cells, launcher, slots=slots, modes=modes)
    assert ended["a"].state == "complete"
    journaled = {(attempt.cell.model, attempt.number): attempt.mode for attempt in launcher.attempts}
    assert {key: mode.memory_share for key, mode in journaled.items()} == {
        ("a", 1): 0.475,
        ("a", 2): 1.0,
        ("b", 1): 0.475,
    }
    assert journaled["a", 2].captured, "the rest of the mode stays"


def test_a_worker_that_hangs_is_asked_to_exit_then_killed_and_timed_out(
    run: Run, make_cell: Callable[..., Cell]
) -> None:
    launcher, now = FakeLauncher(), [0.0]

    def sleep(_: float) -> None:
        now[0] += 1.0

    ended = run([make_cell("a")], launcher, clock=lambda: now[0], sleep=sleep, hang_s=60.0)
    assert (ended["a"].state, ended["a"].kind) == ("failed", "timeout")
    assert "no sign of life for 60 s and was killed" in ended["a"].reason
    assert launcher.handles[0].asked == ["stop", "kill"]
    assert 70 <= now[0] <= 75


def test_a_worker_that_cannot_write_ends_the_run_and_fails_no_cell(
    run: Run, make_cell: Callable[..., Cell], project: Path
) -> None:
    cell = make_cell("a")
    with pytest.raises(DiskError, match="cannot be written") as caught:
        run([cell, make_cell("b")], FakeLauncher(a=lambda *_: 3, b=well))
    assert "run the same command to resume" in str(caught.value)
    assert (
        local_outcomes(Suite(name="x", description="", path="", source="", cells=(cell,)), project / ".bench")[
            cell.id
        ].state
        == "interrupted"
    )


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
            attempt = Attempt(
                cell=cell,
                number=1,
                folder=str(folder.root),
                data_home="",
                device="cpu",
                mode=Mode(threads=1),
                suite="test",
                series="s",
                created_ms=0,
            )
            with Journal(folder.attempt(1).journal) as journal:
                journal.write(Started(attempt=1, epochs=1, device="cpu"))
                well(attempt, journal)
            lock.release()

    launcher = FakeLauncher(a=well)
    ended = run([cell], launcher, sleep=the_other_run_finishes)
    assert launcher.started == []
    assert ended["a"].state == "complete"


def test_a_stop_request_asks_workers_to_exit_and_kills_those_that_do_not(
    make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], project: Path
) -> None:
    stop, launcher, silent, now = StopRequest(), FakeLauncher(), Silent(), [0.0]

    def sleep(_: float) -> None:
        now[0] += 1.0
        if now[0] == 2.0:
            stop(15)

    context = RunContext(
        suite="test",
        launcher=launcher,
        slots=[SLOT],
        forwarder=silent,
        observer=silent,
        home=project / ".bench",
        data_home=project / "data",
        clock=lambda: now[0],
        sleep=sleep,
    )
    run_plan(make_plan(make_suite(make_cell("a"), make_cell("b")), {}, {}), context, stop)
    assert launcher.started == [("a", 1)]
    assert launcher.handles[0].asked == ["stop", "kill"]
    assert 10.0 <= now[0] <= 14.0


def calls_per_tick(plan: Plan, home: Path, ended: int) -> int:
    """Function calls, of Python and of C, that a tick makes while one cell runs and the others wait."""
    quiet = Silent()
    context = RunContext(
        suite="test", launcher=FakeLauncher(), slots=[SLOT], forwarder=quiet, observer=quiet, home=home, data_home=home
    )
    loop = Loop(plan, context, StopRequest())
    loop.ended = {str(number): Outcome(cell_id=str(number), state="complete") for number in range(ended)}
    loop.place()
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    def tick() -> None:
        loop.active()
        loop.reap()
        loop.place()

    tick()
    sys.setprofile(count)
    try:
        tick()
    finally:
        sys.setprofile(None)
    return calls


def test_a_tick_does_no_more_work_when_more_cells_wait_or_have_ended(
    make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], project: Path
) -> None:
    counts = [
        calls_per_tick(make_plan(make_suite(*(make_cell(seed=seed) for seed in range(cells))), {}, {}), home, cells)
        for cells, home in ((2, project / "few"), (500, project / "many"))
    ]
    assert counts[0] == counts[1] > 0


def test_of_two_reruns_at_once_one_makes_the_result_and_the_other_takes_it(
    run: Run, make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], project: Path
) -> None:
    cell = make_cell("a")
    run([cell], FakeLauncher(a=well))
    marks = result_marks(make_suite(cell), project / ".bench")
    first, second, third = (FakeLauncher(a=well) for _ in range(3))
    for launcher in (first, second):
        assert run([cell], launcher, rerun=True, results=marks)["a"].state == "complete"
    assert (first.started, second.started) == ([("a", 1)], [])
    run([cell], third, rerun=True, results=result_marks(make_suite(cell), project / ".bench"))
    assert third.started == [("a", 1)], "asked for after the result was made"


def test_a_cell_whose_run_was_deleted_in_the_store_begins_anew(
    make_cell: Callable[..., Cell], make_suite: Callable[..., Suite], project: Path, run: Run
) -> None:
    cell = make_cell("a")
    run([cell], FakeLauncher(a=well))
    deleted = {cell.id: Outcome(cell_id=cell.id, state="missing", kind="deleted")}
    plan = make_plan(make_suite(cell), deleted, {})
    launcher, silent = FakeLauncher(a=well), Silent()
    context = RunContext(
        suite="test",
        launcher=launcher,
        slots=[SLOT],
        forwarder=silent,
        observer=silent,
        home=project / ".bench",
        data_home=project / "data",
        sleep=lambda _: None,
    )
    assert run_plan(plan, context, StopRequest())[cell.id].state == "complete"
    assert launcher.started == [("a", 1)]
    folder = CellFolder.of(project / ".bench", cell.id)
    assert len(folder.archives()) == 1
    assert series_name(folder) != series_name(CellFolder(folder.archives()[0]))
