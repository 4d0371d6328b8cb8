"""The journal: the append-only file in which an attempt writes every event, the truth until the store has it.

A worker writes it, the scheduler reads it while it grows, and a forwarder replays it into the tracking store. One
event a line, JSON, with ``event`` and ``time_ms`` (Unix time, the original timestamp that every replay keeps):

======== ==============================================================================================================
event    other keys
======== ==============================================================================================================
start    attempt, pid, device, device_name, mode (in words), epochs, environment (mapping), context (mapping of tags)
resumed  epochs_done, steps_done: where the attempt goes on
data     name, digest, classes, train_images, test_images, fingerprint (mapping, see :mod:`bench.workspace.fingerprint`)
cost     the fields of :class:`bench.values.Cost`
progress epoch (1-based), step, steps, images_per_s
epoch    epoch (1-based, now done), metrics (mapping, e.g. ``test/top1``), epoch_s, images_per_s
summary  metrics, logged once: ``speed/images_per_s``, ``speed/epoch_s``, ``memory/peak_mb``, ``time/total_s``
artifact path (relative to the cell's folder)
diverged epoch, metrics: what was known of the epoch in which the loss was no longer finite
end      state (complete, failed, interrupted), kind, reason; written by the scheduler where the worker could not
======== ==============================================================================================================

Every event but ``progress`` is synced to disk when it is written.
"""

import json
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.values import Cost, Outcome, from_dict
from bench.workspace.paths import CellFolder

Event = dict[str, Any]

BEAT_EVERY_S = 1.0
COMMIT_TAG = "mlflow.source.git.commit"


class Journal:
    """Writes the events of one attempt."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._descriptor).st_size
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        """Whether the last line has no end, because its writer died or the disk was full."""
        self._beaten = time.monotonic()

    def write(self, event: str, **content: Any) -> None:
        """Append one event; all but ``progress`` are on disk when this returns.

        Raises:
            OSError: The disk is full or cannot be written; the events before stay whole.
        """
        line = json.dumps({"event": event, "time_ms": time.time_ns() // 1_000_000, **content}, sort_keys=True) + "\n"
        left = memoryview((("\n" if self._torn else "") + line).encode())
        self._torn = True
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._torn = False
        self._beaten = time.monotonic()
        if event != "progress":
            os.fsync(self._descriptor)

    def beat(self) -> None:
        """Show a sign of life where there is nothing to say: the file's time is all that changes."""
        if (now := time.monotonic()) - self._beaten > BEAT_EVERY_S:
            self._beaten = now
            os.utime(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def read_from(path: Path, offset: int = 0, end: int | None = None) -> tuple[list[Event], int]:
    """Read whole events from a byte offset on, up to another; a torn last line is left for the next call.

    Returns the events and the offset after the last whole line. A missing file has no events.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(-1 if end is None else max(0, end - offset))
    except FileNotFoundError:
        return [], offset
    whole = data.rfind(b"\n") + 1
    events = []
    for line in data[:whole].splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # torn by a death or a full disk, with later lines appended behind it
        if isinstance(event, dict) and "event" in event:
            events.append(event)
    return events, offset + whole


def read_cell(folder: CellFolder) -> Iterator[Event]:
    """All events of all attempts at a cell, in order."""
    for attempt in folder.attempts():
        yield from read_from(attempt.journal)[0]


def fold(cell_id: str, events: Iterable[Event]) -> Outcome:
    """Fold the events of a cell, over all its attempts, into what is known of it.

    An attempt without an ``end`` event is reported as ``running``; whether its process still lives is the caller's
    to find out.
    """
    known: dict[str, Any] = {"state": "missing"}
    top1: dict[int, float] = {}
    durations: dict[int, float] = {}
    for event in events:
        match event["event"]:
            case "start":
                known.update(state="running", kind="", reason="", attempts=event["attempt"], epochs=event["epochs"])
                known["epochs_done"] = 0
                known["device"] = event.get("device_name") or event["device"]
                known["mode"] = event.get("mode", "")
                known["commit"] = event.get("context", {}).get(COMMIT_TAG, "")
            case "resumed":
                known["epochs_done"] = event["epochs_done"]
            case "data":
                known["fingerprint"] = event.get("fingerprint", {})
            case "cost":
                fields = {key: value for key, value in event.items() if key not in ("event", "time_ms")}
                known["cost"] = from_dict(Cost, fields)
            case "epoch":
                metrics = event["metrics"]
                top1[event["epoch"]] = metrics["test/top1"]
                durations[event["epoch"]] = event["epoch_s"]
                known.update(
                    epochs_done=event["epoch"],
                    top1=metrics["test/top1"],
                    top5=metrics.get("test/top5"),
                    test_loss=metrics["test/loss"],
                    images_per_s=event["images_per_s"],
                )
            case "summary":
                metrics = event["metrics"]
                known["images_per_s"] = metrics.get("speed/images_per_s")
                known["peak_mb"] = metrics.get("memory/peak_mb")
                known["total_s"] = metrics.get("time/total_s")
            case "end":
                known.update(state=event["state"], kind=event.get("kind", ""), reason=event.get("reason", ""))
                known["attempts"] = max(known.get("attempts", 0), event.get("attempt", 0))
                if event.get("fingerprint"):
                    known["fingerprint"] = event["fingerprint"]
    if durations:
        known.update(best_top1=max(top1.values()), epoch_s=statistics.median(durations.values()))
    return Outcome(cell_id=cell_id, **known)
