"""The journal: appended, torn and folded."""

import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from bench.workspace.journal import Journal, fold, read_from


def epoch(number: int, top1: float) -> dict[str, Any]:
    return {
        "event": "epoch",
        "epoch": number,
        "metrics": {"test/top1": top1, "test/top5": 99.0, "test/loss": 0.5, "train/loss": 0.4},
        "epoch_s": 2.0,
        "images_per_s": 100.0,
    }


def start(attempt: int) -> dict[str, Any]:
    return {"event": "start", "attempt": attempt, "epochs": 3, "device": "cpu"}


def test_events_come_back_with_their_original_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write("progress", epoch=1, step=2, steps=3, images_per_s=4.0)
        first, offset = read_from(tmp_path / "journal.jsonl")
        journal.write("end", state="complete")
    second, _ = read_from(tmp_path / "journal.jsonl", offset)
    assert [event["event"] for event in first + second] == ["progress", "end"]
    assert first[0]["time_ms"] <= second[0]["time_ms"]


def test_a_torn_last_line_is_left_for_the_next_reading(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event": "start"}\n{"event": "ep')
    events, offset = read_from(path)
    assert [event["event"] for event in events] == ["start"]
    with path.open("ab") as stream:
        stream.write(b'och"}\n')
    assert [event["event"] for event in read_from(path, offset)[0]] == ["epoch"]


def test_a_line_torn_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event": "start"}\n{"event": "ep\n{"event": "end"}\n')
    assert [event["event"] for event in read_from(path)[0]] == ["start", "end"]


def test_a_missing_journal_has_no_events(tmp_path: Path) -> None:
    assert read_from(tmp_path / "none.jsonl") == ([], 0)


def test_the_result_is_the_last_epoch_and_the_best_is_kept_apart() -> None:
    outcome = fold(
        "c", [start(1), epoch(1, 90.0), epoch(2, 95.0), epoch(3, 93.0), {"event": "end", "state": "complete"}]
    )
    assert (outcome.state, outcome.top1, outcome.best_top1, outcome.epochs_done) == ("complete", 93.0, 95.0, 3)


def test_a_new_attempt_makes_a_failed_cell_run_again() -> None:
    failed = {"event": "end", "state": "failed", "kind": "error", "reason": "it broke"}
    outcome = fold("c", [start(1), epoch(1, 90.0), failed, start(2)])
    assert (outcome.state, outcome.kind, outcome.reason, outcome.attempts) == ("running", "", "", 2)


def test_a_cell_without_events_is_missing() -> None:
    assert fold("c", []).state == "missing"


def test_a_line_that_a_death_tore_costs_no_later_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write("start", attempt=1, epochs=2, device="cpu")
    with path.open("ab") as stream:
        stream.write(b'{"event": "epoch", "epo')
    with Journal(path) as journal:
        journal.write("end", state="interrupted", kind="lost", reason="")
    assert [event["event"] for event in read_from(path)[0]] == ["start", "end"]


def test_a_full_disk_tears_one_line_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        journal.write("start", attempt=1, epochs=2, device="cpu")
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                journal.write("summary", metrics={"time/total_s": 1.0})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        journal.write("end", state="interrupted", kind="", reason="")
    assert [event["event"] for event in read_from(path)[0]] == ["start", "end"]


def test_epochs_are_ordered_by_their_number_and_not_by_a_clock_that_jumps(tmp_path: Path) -> None:
    events = [
        {"event": "start", "time_ms": 9_000_000, "attempt": 1, "epochs": 3, "device": "cpu"},
        {**epoch(1, 50.0), "time_ms": 9_000_001},
        {"event": "start", "time_ms": 5_000_000, "attempt": 2, "epochs": 3, "device": "cpu"},
        {"event": "resumed", "time_ms": 5_000_001, "epochs_done": 1, "steps_done": 0},
        {**epoch(2, 60.0), "time_ms": 4_000_000},
        {**epoch(3, 70.0), "time_ms": 3_000_000},
        {"event": "end", "time_ms": 1, "state": "complete", "kind": "", "reason": ""},
    ]
    outcome = fold("c", events)
    assert (outcome.state, outcome.epochs_done, outcome.top1, outcome.attempts) == ("complete", 3, 70.0, 2)


def test_a_beat_shows_life_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workspace.journal.BEAT_EVERY_S", 0.0)
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write("start", attempt=1, epochs=2, device="cpu")
        os.utime(path, (1, 1))
        journal.beat()
    assert path.stat().st_mtime > 1
    assert len(read_from(path)[0]) == 1
