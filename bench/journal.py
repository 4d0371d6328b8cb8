"""The journal: the append-only file in which an attempt writes every event, the truth until the store has it.

A worker writes it, the scheduler reads it while it grows, and a forwarder replays it into the tracking store. One
event a line, JSON, with ``event`` and ``time_ms`` (Unix time, the original timestamp that every replay keeps):

======== ==============================================================================================================
event    other keys
======== ==============================================================================================================
start    attempt, pid, host, device, device_name, threads, epochs, environment (mapping)
resumed  epochs_done, steps_done: where the attempt goes on
data     name, digest, classes, train_images, test_images
cost     the fields of :class:`bench.values.Cost`
progress epoch (1-based), step, steps, images_per_s
epoch    epoch (1-based, now done), metrics (mapping, e.g. ``test/top1``), epoch_s, images_per_s
summary  metrics, logged once: ``speed/images_per_s``, ``speed/epoch_s``, ``memory/peak_mb``, ``time/total_s``
artifact path (relative to the cell's folder)
end      state (complete, failed, interrupted), kind, reason, fingerprint (mapping)
======== ==============================================================================================================

Every event but ``progress`` is synced to disk when it is written.
"""

import json
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from bench.paths import CellFolder
from bench.values import Outcome, cost_from_dict

Event = dict[str, Any]


class Journal:
    """Writes the events of one attempt."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream: TextIO = path.open("a", encoding="utf-8")

    def write(self, event: str, **content: Any) -> None:
        """Append one event; all but ``progress`` are on disk when this returns."""
        line = json.dumps({"event": event, "time_ms": time.time_ns() // 1_000_000, **content}, sort_keys=True)
        self._stream.write(line + "\n")
        self._stream.flush()
        if event != "progress":
            os.fsync(self._stream.fileno())

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._stream.close()


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
            events.append(json.loads(line))
        except ValueError:
            continue  # a line torn by a full disk, with later lines appended behind it
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
                known["device"] = event.get("device_name") or event["device"]
            case "cost":
                fields = {key: value for key, value in event.items() if key not in ("event", "time_ms")}
                known["cost"] = cost_from_dict(fields)
            case "epoch":
                metrics = event["metrics"]
                top1[event["epoch"]] = metrics["test/top1"]
                durations[event["epoch"]] = event["epoch_s"]
                known.update(
                    epochs_done=event["epoch"],
                    top1=metrics["test/top1"],
                    top5=metrics.get("test/top5"),
                    test_loss=metrics["test/loss"],
                    best_top1=max(top1.values()),
                    images_per_s=event["images_per_s"],
                    epoch_s=statistics.median(durations.values()),
                )
            case "summary":
                metrics = event["metrics"]
                known["images_per_s"] = metrics.get("speed/images_per_s")
                known["peak_mb"] = metrics.get("memory/peak_mb")
                known["total_s"] = metrics.get("time/total_s")
            case "end":
                known.update(state=event["state"], kind=event.get("kind", ""), reason=event.get("reason", ""))
                known["fingerprint"] = event.get("fingerprint", {})
    return Outcome(cell_id=cell_id, **known)
