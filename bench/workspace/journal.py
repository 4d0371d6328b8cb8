"""The journal: the append-only file in which an attempt writes every event; the truth until the store has it.

A worker writes it, the scheduler reads it while it grows, and a forwarder replays it into the tracking store. One event
per line, as JSON; :mod:`bench.workspace.events` lists them. Every event but progress is synced to disk when it is
written.
"""

import os
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bench.values import Outcome
from bench.workspace.events import (
    PROGRESS_MARK,
    ArtifactWritten,
    CostMeasured,
    DataLoaded,
    Ended,
    EpochDone,
    Event,
    Progress,
    Resumed,
    Started,
    Summarised,
    decode,
    encode,
)
from bench.workspace.paths import CellFolder

BEAT_EVERY_S = 1.0
"""Minimum time between two touches of the file, in seconds."""

COMMIT_TAG = "mlflow.source.git.commit"


class Journal:
    """Writes the events of one attempt."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._descriptor).st_size
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        """Whether the last line has no end, because its writer died or the disk was full."""
        self._touched = time.monotonic()

    def write(self, event: Event) -> None:
        """Append one event with the time of now; all but progress are on disk when this returns.

        Raises:
            OSError: The disk is full or cannot be written; earlier events stay whole.
        """
        line = encode(replace(event, time_ms=time.time_ns() // 1_000_000)) + "\n"
        left = memoryview((("\n" if self._torn else "") + line).encode())
        self._torn = True
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._torn = False
        self._touched = time.monotonic()
        if not isinstance(event, Progress):
            os.fsync(self._descriptor)

    def beat(self) -> None:
        """Show that the process lives, without an event: only the file's modification time changes."""
        if (now := time.monotonic()) - self._touched > BEAT_EVERY_S:
            self._touched = now
            os.utime(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def read_from(
    path: Path, offset: int = 0, end: int | None = None, *, skip_progress: bool = False
) -> tuple[list[Event], int]:
    """Read the events between two byte offsets; a torn last line is left for the next call.

    Returns the events and the offset after the last whole line. A missing file has no events.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(-1 if end is None else max(0, end - offset))
    except FileNotFoundError:
        return [], offset
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].splitlines()
    events = [decode(line) for line in lines if not (skip_progress and PROGRESS_MARK in line)]
    return [event for event in events if event is not None], offset + whole


def read_cell(folder: CellFolder, *, skip_progress: bool = True) -> Iterator[Event]:
    """The events of all attempts at a cell, in order."""
    for attempt in folder.attempts():
        yield from read_from(attempt.journal, skip_progress=skip_progress)[0]


def fold(cell_id: str, events: Iterable[Event]) -> Outcome:
    """Fold the events of a cell, over all its attempts, into its outcome.

    An attempt without an end is reported as ``running``; whether its process still lives is for the caller to find out.
    """
    outcome = Outcome(cell_id=cell_id, state="missing")
    epochs: dict[int, EpochDone] = {}
    latest: EpochDone | None = None
    for event in events:
        if isinstance(event, EpochDone):
            # most events are epochs, and only the last one of a row of them shows in the outcome
            epochs[event.epoch] = latest = event
        elif not isinstance(event, Progress):
            outcome, latest = _fold_event(_fold_epoch(outcome, latest), event), None
    outcome = _fold_epoch(outcome, latest)
    if not epochs:
        return outcome
    if outcome.state == "complete" and outcome.epochs_done < outcome.epochs:  # or an earlier epoch would be its result
        reason = f"its journal is damaged: epoch {outcome.epochs_done} of {outcome.epochs} is the last one in it"
        outcome = replace(outcome, state="failed", kind="error", reason=reason, top1=None, top5=None, test_loss=None)
    return replace(
        outcome,
        best_top1=max(
            (top1 for epoch in epochs.values() if (top1 := epoch.metrics.get("test/top1")) is not None), default=None
        ),
        epoch_s=statistics.median(epoch.epoch_s for epoch in epochs.values()),
    )


def _fold_epoch(outcome: Outcome, event: EpochDone | None) -> Outcome:
    if event is None:
        return outcome
    return replace(
        outcome,
        epochs_done=event.epoch,
        top1=event.metrics.get("test/top1"),
        top5=event.metrics.get("test/top5"),
        test_loss=event.metrics.get("test/loss"),
        train_loss=event.metrics.get("train/loss"),
        images_per_s=event.images_per_s,
    )


def _fold_event(outcome: Outcome, event: Event) -> Outcome:
    match event:
        case Started():
            return _fold_start(outcome, event)
        case Resumed():
            return replace(outcome, epochs_done=event.epochs_done)
        case DataLoaded():
            return replace(
                outcome,
                fingerprint=event.fingerprint,
                classes=event.classes,
                train_images=event.train_images,
                test_images=event.test_images,
            )
        case CostMeasured():
            return replace(outcome, cost=event.cost)
        case ArtifactWritten(sha256=str(digest)):  # of all files only the weights have one
            return replace(outcome, weights_sha256=digest)
        case Summarised():
            return replace(
                outcome,
                images_per_s=event.metrics.get("speed/images_per_s"),
                peak_mb=event.metrics.get("memory/peak_mb"),
                total_s=event.metrics.get("time/total_s"),
            )
        case Ended():
            return _fold_end(outcome, event)
        case _:
            return outcome


def _fold_start(outcome: Outcome, event: Started) -> Outcome:
    return replace(
        outcome,
        state="running",
        kind="",
        reason="",
        attempts=event.attempt,
        epochs=event.epochs,
        epochs_done=0,
        device=event.device_name or event.device,
        mode=event.mode,
        commit=event.context.get(COMMIT_TAG, ""),
    )


def _fold_end(outcome: Outcome, event: Ended) -> Outcome:
    return replace(
        outcome,
        state=event.state,
        kind=event.kind,
        reason=event.reason,
        attempts=max(outcome.attempts, event.attempt or 0),
        fingerprint=event.fingerprint or outcome.fingerprint,
    )
