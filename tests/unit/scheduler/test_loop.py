"""The loop of a run, with the fake launcher in place of real workers."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from bench.errors import DiskError
from bench.scheduler.attempts import MAX_LOST_ATTEMPTS, RunContext, last_request
from bench.scheduler.devices import Slot
from bench.scheduler.fake import Ending, FakeLauncher
from bench.scheduler.loop import Loop, StopRequest, run_plan
from bench.scheduler.plan import make_plan
from bench.values import Attempt, Cell, FailureKind, Mode, Outcome, Plan, Suite
from bench.workspace.cells import local_outcomes
from bench.workspace.events import DataLoaded, Ended, EpochDone, Event, Started
from bench.workspace.journal import Journal, read_cell
from bench.workspace.paths import CellFolder

METRICS = {"test/top1": 90.0, "test/top5": 99.0, "test/loss": 0.5, "train/loss": 0.4}


def well(attempt: Attempt, journal: Journal) -> int:
    journal.write(EpochDone(epoch=1, metrics=METRICS, epoch_s=1.0, images_per_s=10.0))
    journal.write(Ended(state="complete", kind="", reason="", fingerprint={}))
    CellFolder(Path(attempt.folder)).result.write_text(json.dumps({"cell": attempt.cell.id}))
    return 0


def badly(attempt: Attempt, journal: Journal) -> int:
    journal.write(Ended(state="failed", kind="error", reason="it broke"))
    return 1


def silently(attempt: Attempt, journal: Journal) -> int:
    return 0


def killed(attempt: Attempt, journal: Journal) -> int:
    return -9


class Silent:
    """An observer and a forwarder that show nothing; the retries are remembered."""

    def __init__(self) -> None:
        self.again: list[tuple[str, str]] = []

    def watch(self, cell: Cell, folder: CellFolder) -> None: ...

    def started(self, cell: Cell, slot: Slot, attempt: int) -> None: ...

    def event(self, cell: Cell, event: Event) -> None: ...

    def retried(self, cell: Cell, outcome: Outcome) -> None:
        self.again.append((cell.model, outcome.kind))

    def finished(self, cell: Cell, outcome: Outcome) -> None: ...


SLOT = Slot(name="cpu 0", device="cpu", visible="", threads=1)
Run = Callable[..., dict[str, Outcome]]


@pytest.fixture
def run(project: Path, make_suite: Callable[..., Suite]) -> Run:
    def run_cells(cells: list[Cell], launcher: FakeLauncher, **options: object) -> dict[str, Outcome]:
        home = project / ".bench"
        suite = make_suite(*cells)
        select = "all" if options.pop("rerun", False) else "missing"
        plan = make_plan(suite, local_outcomes(suite, home), {}, select=select)  # type: ignore[arg-type]
        silent = options.pop("silent", Silent())
        context = RunContext(
            suite="test",
            launcher=launcher,
            slots=options.pop("slots", [SLOT]),  # type: ignore[arg-type]
            forwarder=silent,  # type: ignore[arg-type]
            observer=silent,  # type: ignore[arg-type]
            home=home,
            data_home=project / "data",
            sleep=options.pop("sleep", lambda _: None),  # type: ignore[arg-type]
            **options,  # type: ignore[arg-type]
        )
        found = run_plan(plan, context, StopRequest())
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
    ended = run([make_cell("a")], FakeLauncher(a=silently))
    assert (ended["a"].state, ended["a"].kind) == ("failed", "lost")
    assert "exit code 0 and no result" in ended["a"].reason


def test_a_killed_worker_is_lost_its_signal_named_and_its_journal_ended(
    run: Run, make_cell: Callable[..., Cell], project: Path
) -> None:
    cell = make_cell("a")
    ended = run([cell], FakeLauncher(a=killed))
    assert (ended["a"].state, ended["a"].kind) == ("failed", "lost")
    assert "signal 9" in ended["a"].reason
    ends = [event for event in read_cell(CellFolder.of(project / ".bench", cell.id)) if isinstance(event, Ended)]
    assert [(event.state, event.kind) for event in ends] == [("failed", "lost")] * MAX_LOST_ATTEMPTS


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


def test_a_resumed_attempt_has_the_mode_of_its_checkpoint_whatever_is_tuned_now(
    run: Run, make_cell: Callable[..., Cell]
) -> None:
    def interrupted_with_a_checkpoint(attempt: Attempt, journal: Journal) -> int:
        CellFolder(Path(attempt.folder)).checkpoint(1, 0).write_bytes(b"")
        return -9 if attempt.number <= MAX_LOST_ATTEMPTS else well(attempt, journal)

    launcher, cells = FakeLauncher(a=interrupted_with_a_checkpoint, b=well), [make_cell("a")]
    first, now = Mode(threads=2, memory_format="contiguous"), Mode(threads=1)
    run(cells, launcher, modes={cells[0].id: first})
    run([*cells, make_cell("b")], launcher, modes={cells[0].id: now, make_cell("b").id: now})
    journaled = {(attempt.cell.model, attempt.number): attempt.mode for attempt in launcher.attempts}
    assert journaled["a", 1] == journaled["a", MAX_LOST_ATTEMPTS + 1] == first
    assert journaled["b", 1] == now, "a cell that begins is computed as it is chosen now"


def test_a_resumed_attempt_has_the_memory_of_its_slot(run: Run, make_cell: Callable[..., Cell], project: Path) -> None:
    def lost_with_a_checkpoint(attempt: Attempt, journal: Journal) -> int:
        CellFolder(Path(attempt.folder)).checkpoint(1, 0).write_bytes(b"")
        return -9 if attempt.number == 1 else well(attempt, journal)

    launcher = FakeLauncher(a=lost_with_a_checkpoint)
    cells = [make_cell("a")]
    whole = Slot(name="gpu 0", device="cuda", visible="0", threads=1)
    run(cells, launcher, slots=[whole], modes={cells[0].id: Mode(threads=1, captured=True, memory_share=0.25)})
    assert [(mode.captured, mode.memory_share) for mode in (each.mode for each in launcher.attempts)] == [
        (True, 1.0),
        (True, 1.0),
    ]


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


def test_a_journal_that_grows_or_is_touched_is_a_sign_of_life(
    run: Run, make_cell: Callable[..., Cell], project: Path
) -> None:
    cell, now = make_cell("a"), [0.0]
    launcher = FakeLauncher()
    journal = CellFolder.of(project / ".bench", cell.id).attempt(1).journal

    def sleep(_: float) -> None:
        now[0] += 50.0
        if now[0] < 1000:
            os.utime(journal, ns=(0, int(now[0])))
        elif now[0] == 1000:
            (pair,) = launcher.running()
            launcher.end(pair, well)

    assert run([cell], launcher, clock=lambda: now[0], sleep=sleep, hang_s=60.0)["a"].state == "complete"


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


def test_has_changed_archives_attempts_and_the_cell_starts_from_the_beginning(
    run: Run, make_cell: Callable[..., Cell], project: Path
) -> None:
    def dies_under(digest: str) -> Ending:
        def ending(attempt: Attempt, journal: Journal) -> int:
            fingerprint = {"data": digest}
            journal.write(
                DataLoaded(dataset="d", digest="d", classes=9, train_images=5, test_images=4, fingerprint=fingerprint)
            )
            return badly(attempt, journal)

        return ending

    cell = make_cell("a")
    home = project / ".bench"
    run([cell], FakeLauncher(a=dies_under("old")), digests={("digits", 8, None): "old"})
    run([cell], FakeLauncher(a=dies_under("old")), digests={("digits", 8, None): "old"})
    first = last_request(CellFolder.of(home, cell.id))
    assert first
    assert (first.number, len(list(home.glob("cells/*/before-*")))) == (2, 0)
    run([cell], FakeLauncher(a=well), digests={("digits", 8, None): "new"})
    second = last_request(CellFolder.of(home, cell.id))
    assert second
    assert (second.number, len(list(home.glob("cells/*/before-*")))) == (1, 1)
    assert second.series != first.series


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
