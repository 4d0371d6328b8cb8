"""Attempts: what they resume, in which mode, and how their ends are classified."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from helpers.runs import badly, killed, silently, well

from bench.catalog.labels import titles
from bench.datasets.prepared import data_key
from bench.scheduler.attempts import MAX_LOST_ATTEMPTS, earlier_mode, last_request
from bench.scheduler.devices import Slot
from bench.scheduler.fake import Ending, FakeLauncher
from bench.values import Attempt, Cell, Mode, Outcome, to_json
from bench.workspace.cells import archive_attempts
from bench.workspace.events import DataLoaded, Ended
from bench.workspace.journal import Journal, read_cell
from bench.workspace.paths import CellFolder

Run = Callable[..., dict[str, Outcome]]


def test_rerun_starts_complete_cells_from_the_beginning_and_keeps_the_old_attempt(
    run: Run, make_cell: Callable[..., Cell], project: Path
) -> None:
    cell = make_cell("a")
    run([cell], FakeLauncher(a=well))
    launcher = FakeLauncher(a=well)
    run([cell], launcher, rerun=True)
    assert launcher.started == [("a", 1)]
    assert len(list((project / ".bench" / "cells" / cell.id).glob("before-*/attempt-1/journal.jsonl"))) == 1


def test_an_attempt_knows_what_its_run_is_called(run: Run, make_cell: Callable[..., Cell]) -> None:
    launcher, cells = FakeLauncher(a=well), [make_cell("a", lr=0.1), make_cell("a", lr=0.2)]
    run(cells, launcher, titles=titles(cells))
    assert [attempt.title for attempt in launcher.attempts] == list(titles(cells).values())


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


class TestEarlierMode:
    MODE = Mode(threads=2, memory_format="contiguous")

    def test_it_is_that_of_the_last_attempt_even_of_a_series_before(
        self, run: Run, make_cell: Callable[..., Cell], project: Path
    ) -> None:
        cell = make_cell("a")
        run([cell], FakeLauncher(a=well), modes={cell.id: self.MODE})
        folder = CellFolder.of(project / ".bench", cell.id)
        missing = Outcome(cell_id=cell.id, state="missing")
        assert earlier_mode(folder, missing, "cpu") == self.MODE
        archive_attempts(folder)
        assert earlier_mode(folder, missing, "cpu") == self.MODE

    def test_on_another_kind_of_device_there_is_none(
        self, run: Run, make_cell: Callable[..., Cell], project: Path
    ) -> None:
        cell = make_cell("a")
        run([cell], FakeLauncher(a=well), modes={cell.id: self.MODE})
        folder = CellFolder.of(project / ".bench", cell.id)
        assert earlier_mode(folder, Outcome(cell_id=cell.id, state="missing"), "cuda") is None

    def test_without_a_folder_it_is_what_the_store_says(self, make_cell: Callable[..., Cell], project: Path) -> None:
        cell = make_cell("a")
        folder = CellFolder.of(project / ".bench", cell.id)
        stored = Outcome(cell_id=cell.id, state="complete", mode=str(self.MODE), fingerprint={"device": "cpu"})
        assert earlier_mode(folder, stored, "cpu") == self.MODE
        assert earlier_mode(folder, stored, "cuda") is None
        assert earlier_mode(folder, replace(stored, mode="by hand"), "cpu") is None


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
    run([cell], FakeLauncher(a=dies_under("old")), digests={data_key(cell): "old"})
    run([cell], FakeLauncher(a=dies_under("old")), digests={data_key(cell): "old"})
    first = last_request(CellFolder.of(home, cell.id))
    assert first
    assert (first.number, len(list(home.glob("cells/*/before-*")))) == (2, 0)
    run([cell], FakeLauncher(a=well), digests={data_key(cell): "new"})
    second = last_request(CellFolder.of(home, cell.id))
    assert second
    assert (second.number, len(list(home.glob("cells/*/before-*")))) == (1, 1)
    assert second.series != first.series


def test_begin_of_series_is_after_all_earlier_ones_whatever_the_clock_says(
    run: Run, make_cell: Callable[..., Cell], project: Path
) -> None:
    cell = make_cell("a")
    folder = CellFolder.of(project / ".bench", cell.id)
    run([cell], FakeLauncher(a=well))
    request = last_request(folder)
    assert request is not None
    ahead = request.created_ms + 86_400_000
    folder.attempt(1).request.write_text(to_json(replace(request, created_ms=ahead)))
    for number in (1, 2):
        run([cell], FakeLauncher(a=well), rerun=True)
        again = last_request(folder)
        assert again is not None
        assert again.created_ms == ahead + number
