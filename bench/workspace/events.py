"""The events of a journal, one frozen dataclass each. Written by workers, read by the scheduler and by the forwarder.

On disk an event is one line of JSON: ``event`` (its name below), ``time_ms``, and its fields. Names and keys are a
contract: journals of older versions are read, and events that this version does not know are skipped. It is longer than
other files because it documents every field of every event.

==================== =================== ==============================================================================
event                class               written when
==================== =================== ==============================================================================
start                Started             a worker process has imported torch
resumed              Resumed             training continues from a checkpoint
data                 DataLoaded          the data set is open
cost                 CostMeasured        params and FLOPs of the net are known
progress             Progress            about once per second of training
nonstandard_images   NonstandardImages   an epoch read images that are not RGB JPEGs (older journals: ``odd_images``)
epoch                EpochDone           an epoch was trained and tested
diverged             Diverged            the loss is no longer finite
artifact             ArtifactWritten     a file for the tracking store was written
summary              Summarised          the last epoch is done; metrics of the whole cell
end                  Ended               an attempt ended; by the scheduler where the worker could not
==================== =================== ==============================================================================
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from bench.codec import JsonObject, read_known
from bench.values import Cost, FailureKind, State

PROGRESS_MARK = b'"event": "progress"'
"""Found in the line of a progress event and in no other: inside a JSON string its quotes would be escaped."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """What all events have."""

    name: ClassVar[str]
    """The value of ``event`` on disk."""

    time_ms: int = 0
    """Unix time in milliseconds, set by the journal when the event is written; every replay keeps it."""

    def content(self) -> JsonObject:
        """The fields as they are written; those that are None are left out."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """An attempt began."""

    name = "start"

    attempt: int
    """1 for the first."""
    epochs: int
    """Epochs of the cell's recipe."""
    device: str
    """``cpu`` or ``cuda``."""
    device_name: str = ""
    mode: str = ""
    """The words of :class:`bench.values.Mode`."""
    pid: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions and host."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Tags that say who runs the cell; see :class:`bench.values.Attempt`."""


@dataclass(frozen=True, kw_only=True)
class Resumed(Event):
    """The attempt continues from a checkpoint."""

    name = "resumed"

    epochs_done: int
    steps_done: int = 0
    """Steps of the next epoch."""


@dataclass(frozen=True, kw_only=True)
class DataLoaded(Event):
    """What is trained on."""

    name = "data"

    # an event's ``name`` is its kind, so the data set's gets another name here than on disk
    dataset: str
    digest: str
    classes: int
    train_images: int
    test_images: int
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    """See :mod:`bench.workspace.fingerprint`."""

    def content(self) -> JsonObject:
        """The fields, with the data set's name under ``name``."""
        content = super().content()
        content["name"] = content.pop("dataset")
        return content


@dataclass(frozen=True, kw_only=True)
class CostMeasured(Event):
    """What the net costs. On disk the fields of the cost stand beside those of the event."""

    name = "cost"

    cost: Cost

    def content(self) -> JsonObject:
        """The fields of the cost."""
        return {"time_ms": self.time_ms, **vars(self.cost)}


@dataclass(frozen=True, kw_only=True)
class Progress(Event):
    """How far the current epoch is."""

    name = "progress"

    epoch: int
    """1-based."""
    step: int
    """Steps of the epoch that are done."""
    steps: int
    """Steps of the whole epoch."""
    images_per_s: float

    @property
    def share(self) -> float:
        """Share of the epoch's steps that are done, 0 to 1."""
        return self.step / self.steps


@dataclass(frozen=True, kw_only=True)
class NonstandardImages(Event):
    """Images of an epoch that are not RGB JPEGs. On disk the counts stand beside the event's fields."""

    name = "nonstandard_images"

    epoch: int
    counts: Mapping[str, int]
    """By kind: ``grey``, ``cmyk``, ``not_jpeg``, ``broken``, or another mode of Pillow's."""

    def content(self) -> JsonObject:
        """The epoch and the counts."""
        return {"time_ms": self.time_ms, "epoch": self.epoch, **self.counts}


@dataclass(frozen=True, kw_only=True)
class EpochDone(Event):
    """An epoch was trained and tested."""

    name = "epoch"

    epoch: int
    """1-based, now done."""
    metrics: Mapping[str, float]
    """``train/loss``, ``train/lr``, ``test/loss``, ``test/top1``, ``test/top5``; accuracies in percent."""
    epoch_s: float
    """Wall time, evaluation included."""
    images_per_s: float
    """Training images per second, evaluation excluded."""


@dataclass(frozen=True, kw_only=True)
class Diverged(Event):
    """The loss is no longer finite."""

    name = "diverged"

    epoch: int
    """1-based, the epoch in which it happened."""
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ArtifactWritten(Event):
    """A file that the tracking store shall have."""

    name = "artifact"

    path: str
    """Relative to the cell's folder."""
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Summarised(Event):
    """Metrics of the whole cell."""

    name = "summary"

    metrics: Mapping[str, float]
    """``speed/images_per_s``, ``speed/epoch_s``, ``memory/peak_mb``, ``time/total_s``."""


@dataclass(frozen=True, kw_only=True)
class Ended(Event):
    """An attempt ended."""

    name = "end"

    state: State
    kind: FailureKind = ""
    reason: str = ""
    attempt: int | None = None
    """Number of the attempt, where the scheduler wrote its end."""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    """Of the result, where there is one."""


def encode(event: Event) -> str:
    """An event as one line of JSON, without its newline."""
    return json.dumps({"event": event.name, **event.content()}, sort_keys=True)


def decode(line: bytes) -> Event | None:
    """The event of a line; None for an unknown event and for a damaged line."""
    try:
        content = json.loads(line)
        return _DECODERS[content.pop("event")](content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # torn by a death or a full disk, or of a newer version


def _decode_data(content: JsonObject) -> Event:
    content["dataset"] = content.pop("name")
    return read_known(DataLoaded, content)


def _decode_cost(content: JsonObject) -> Event:
    return CostMeasured(time_ms=content.pop("time_ms", 0), cost=read_known(Cost, content))


def _decode_nonstandard_images(content: JsonObject) -> Event:
    return NonstandardImages(time_ms=content.pop("time_ms", 0), epoch=content.pop("epoch"), counts=content)


def _decode_epoch(content: JsonObject) -> Event:
    """An epoch's event; checked by hand, because most events of ten thousand journals are epochs."""
    numbers = [content[key] for key in ("epoch", "epoch_s", "images_per_s")]
    if not all(type(number) in (int, float) for number in (*numbers, *content["metrics"].values())):
        raise TypeError("a number is none")
    return EpochDone(**{key: content[key] for key in content.keys() & EpochDone.__dataclass_fields__.keys()})


def _decoder(cls: type[Event]) -> Callable[[JsonObject], Event]:
    return partial(read_known, cls)


_PLAIN = (Started, Resumed, Progress, Diverged, ArtifactWritten, Summarised, Ended)
_DECODERS: dict[str, Callable[[JsonObject], Event]] = {
    **{cls.name: _decoder(cls) for cls in _PLAIN},
    EpochDone.name: _decode_epoch,
    DataLoaded.name: _decode_data,
    CostMeasured.name: _decode_cost,
    NonstandardImages.name: _decode_nonstandard_images,
    "odd_images": _decode_nonstandard_images,
}
