"""The journal: appended, torn and folded."""

import json
import os
import resource
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.values import Cost, Outcome
from bench.workspace.events import (
    CostMeasured,
    DataLoaded,
    Ended,
    EpochDone,
    Event,
    Progress,
    Resumed,
    Started,
    Summarised,
)
from bench.workspace.journal import COMMIT_TAG, Journal, fold, read_from


def epoch(number: int, top1: float) -> EpochDone:
    metrics = {"test/top1": top1, "test/top5": 99.0, "test/loss": 0.5, "train/loss": 0.4}
    return EpochDone(epoch=number, metrics=metrics, epoch_s=2.0, images_per_s=100.0)


def start(attempt: int) -> Started:
    return Started(attempt=attempt, epochs=3, device="cpu")


def names(events: Iterable[Event]) -> list[str]:
    return [event.name for event in events]


def test_events_come_back_with_their_original_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write(Progress(epoch=1, step=2, steps=3, images_per_s=4.0))
        first, offset = read_from(tmp_path / "journal.jsonl")
        journal.write(Ended(state="complete"))
    second, _ = read_from(tmp_path / "journal.jsonl", offset)
    assert names(first + second) == ["progress", "end"]
    assert 0 < first[0].time_ms <= second[0].time_ms


def test_a_torn_last_line_is_left_for_the_next_reading(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event": "resumed", "epochs_done": 1}\n{"event": "end", "sta')
    events, offset = read_from(path)
    assert names(events) == ["resumed"]
    with path.open("ab") as stream:
        stream.write(b'te": "failed"}\n')
    assert names(read_from(path, offset)[0]) == ["end"]


def test_a_line_torn_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event": "resumed", "epochs_done": 1}\n{"event": "ep\n{"event": "end", "state": "failed"}\n')
    assert names(read_from(path)[0]) == ["resumed", "end"]


def test_a_missing_journal_has_no_events(tmp_path: Path) -> None:
    assert read_from(tmp_path / "none.jsonl") == ([], 0)


def test_the_result_is_the_last_epoch_and_the_best_is_kept_apart() -> None:
    outcome = fold("c", [start(1), epoch(1, 90.0), epoch(2, 95.0), epoch(3, 93.0), Ended(state="complete")])
    assert (outcome.state, outcome.top1, outcome.best_top1, outcome.epochs_done) == ("complete", 93.0, 95.0, 3)


def test_a_new_attempt_makes_a_failed_cell_run_again() -> None:
    failed = Ended(state="failed", kind="error", reason="it broke")
    outcome = fold("c", [start(1), epoch(1, 90.0), failed, start(2)])
    assert (outcome.state, outcome.kind, outcome.reason, outcome.attempts) == ("running", "", "", 2)


def test_a_cell_without_events_is_missing() -> None:
    assert fold("c", []).state == "missing"


def test_a_line_that_a_death_tore_costs_no_later_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write(Started(attempt=1, epochs=2, device="cpu"))
    with path.open("ab") as stream:
        stream.write(b'{"event": "epoch", "epo')
    with Journal(path) as journal:
        journal.write(Ended(state="interrupted", kind="lost", reason=""))
    assert names(read_from(path)[0]) == ["start", "end"]


def test_a_full_disk_tears_one_line_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        journal.write(Started(attempt=1, epochs=2, device="cpu"))
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                journal.write(Summarised(metrics={"time/total_s": 1.0}))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        journal.write(Ended(state="interrupted", kind="", reason=""))
    assert names(read_from(path)[0]) == ["start", "end"]


def test_epochs_are_ordered_by_their_number_and_not_by_a_clock_that_jumps() -> None:
    events = [
        replace(start(1), time_ms=9_000_000),
        replace(epoch(1, 50.0), time_ms=9_000_001),
        replace(start(2), time_ms=5_000_000),
        Resumed(epochs_done=1, time_ms=5_000_001),
        replace(epoch(2, 60.0), time_ms=4_000_000),
        replace(epoch(3, 70.0), time_ms=3_000_000),
        Ended(state="complete", time_ms=1),
    ]
    outcome = fold("c", events)
    assert (outcome.state, outcome.epochs_done, outcome.top1, outcome.attempts) == ("complete", 3, 70.0, 2)


def test_a_beat_shows_life_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workspace.journal.BEAT_EVERY_S", 0.0)
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write(Started(attempt=1, epochs=2, device="cpu"))
        os.utime(path, (1, 1))
        journal.beat()
    assert path.stat().st_mtime > 1
    assert len(read_from(path)[0]) == 1


def test_progress_is_skipped_where_only_the_outcome_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write(Progress(epoch=1, step=2, steps=3, images_per_s=4.0))
        journal.write(Ended(state="failed", reason='its log ends with {"event": "progress"}'))
    assert names(read_from(path, skip_progress=True)[0]) == ["end"]
    assert read_from(path, skip_progress=True)[1] == path.stat().st_size


def test_fold_takes_every_field_of_an_outcome_from_its_event() -> None:
    cost = Cost(params=1, flops=2, conv_linear_macs=2, torch_macs=2)
    data = DataLoaded(
        dataset="d", digest="d", classes=2, train_images=4, test_images=4, fingerprint={"data": "old", "torch": "1"}
    )
    begun = Started(attempt=2, epochs=3, device="cuda", device_name="H100", mode="fp32", context={COMMIT_TAG: "abc"})
    speeds = {"speed/images_per_s": 120.0, "memory/peak_mb": 10.0, "time/total_s": 9.0}
    end = Ended(state="complete", attempt=3, fingerprint={"data": "new"})
    outcome = fold("c", [begun, data, CostMeasured(cost=cost), epoch(3, 90.0), Summarised(metrics=speeds), end])
    assert outcome == Outcome(
        cell_id="c",
        state="complete",
        epochs_done=3,
        epochs=3,
        top1=90.0,
        top5=99.0,
        test_loss=0.5,
        train_loss=0.4,
        classes=2,
        train_images=4,
        test_images=4,
        best_top1=90.0,
        cost=cost,
        images_per_s=120.0,
        epoch_s=2.0,
        peak_mb=10.0,
        total_s=9.0,
        attempts=3,
        device="H100",
        mode="fp32",
        commit="abc",
        fingerprint={"data": "new"},
    )


def test_fold_begins_a_new_attempt_with_no_epoch_done_until_it_resumes() -> None:
    events = [start(1), epoch(1, 90.0), Ended(state="interrupted"), start(2)]
    assert fold("c", events).epochs_done == 0
    assert fold("c", [*events, Resumed(epochs_done=1)]).epochs_done == 1


def test_fold_of_a_complete_cell_whose_last_epoch_is_damaged_is_a_failure_and_no_number() -> None:
    outcome = fold("c", [start(1), epoch(1, 50.0), epoch(2, 60.0), Ended(state="complete")])
    assert (outcome.state, outcome.kind, outcome.top1) == ("failed", "error", None)
    assert outcome.reason == "its journal is damaged: epoch 2 of 3 is the last one in it"


def test_fold_of_an_epoch_without_its_metrics_has_no_number() -> None:
    bare = EpochDone(epoch=3, metrics={"train/loss": 0.1}, epoch_s=1.0, images_per_s=1.0)
    outcome = fold("c", [start(1), epoch(1, 50.0), bare, Ended(state="complete")])
    assert (outcome.state, outcome.top1, outcome.best_top1) == ("complete", None, 50.0)


values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([1]) | st.just({"test/top1": "x"})
)
keys = ("attempt", "epochs", "epochs_done", "epoch", "metrics", "epoch_s", "images_per_s", "state", "params", "digest")
lines = st.fixed_dictionaries(
    {"event": st.sampled_from(["start", "resumed", "data", "cost", "epoch", "diverged", "artifact", "summary", "end"])},
    optional={
        key: values | st.just(1) | st.just("complete") for key in (*keys, "path", "name", "fingerprint", "time_ms")
    },
).map(json.dumps)


@given(st.lists(lines | st.text().map(lambda text: text.replace("\n", " "))))
def test_fold_survives_every_journal(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("cell") / "journal.jsonl"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8", errors="surrogatepass")
    outcome = fold("c", read_from(path)[0])
    assert outcome.top1 is None or isinstance(outcome.top1, int | float)
