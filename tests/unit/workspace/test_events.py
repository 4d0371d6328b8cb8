"""Events: what a journal's lines say, in today's words and in older ones."""

import re
from typing import Any

import pytest
from helpers.strategies import values_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import bench.workspace.events
from bench.values import Cost
from bench.workspace.events import (
    ArtifactWritten,
    CostMeasured,
    DataLoaded,
    Ended,
    EpochDone,
    Event,
    NonstandardImages,
    Started,
    decode,
    encode,
)

EVENTS = Event.__subclasses__()

COST = Cost(params=1, flops=2, conv_linear_macs=3, torch_macs=4, uncounted=("sin x 1",))


class TestDecode:
    @pytest.mark.parametrize("cls", EVENTS)
    @settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
    @given(data=st.data())
    def test_every_event_comes_back_from_its_line(self, cls: type[Any], data: st.DataObject) -> None:
        kinds = st.dictionaries(st.sampled_from(["grey", "cmyk", "broken"]), st.integers())
        extra = {"counts": kinds} if cls is NonstandardImages else {}
        event = data.draw(values_of(cls, **extra))
        line = encode(event)
        assert "\n" not in line
        assert decode(line.encode()) == event

    @pytest.mark.parametrize(
        ("line", "event"),
        [
            (
                b'{"attempt": 1, "device": "cpu", "epochs": 2, "event": "start", "time_ms": 7}',
                Started(time_ms=7, attempt=1, epochs=2, device="cpu"),
            ),
            (
                b'{"event": "odd_images", "time_ms": 7, "epoch": 1, "grey": 2, "broken": 1}',
                NonstandardImages(time_ms=7, epoch=1, counts={"grey": 2, "broken": 1}),
            ),
            (
                b'{"event": "data", "time_ms": 7, "name": "digits", "digest": "d", "classes": 10, "train_images": 5, '
                b'"test_images": 4}',
                DataLoaded(time_ms=7, dataset="digits", digest="d", classes=10, train_images=5, test_images=4),
            ),
            (
                b'{"event": "cost", "time_ms": 7, "params": 1, "flops": 2, "conv_linear_macs": 3, "torch_macs": 4, '
                b'"uncounted": ["sin x 1"], "unmeasured": ""}',
                CostMeasured(time_ms=7, cost=COST),
            ),
            (b'{"event": "end", "time_ms": 7, "state": "complete"}', Ended(time_ms=7, state="complete")),
        ],
    )
    def test_journals_of_older_versions_are_read(self, line: bytes, event: Event) -> None:
        assert decode(line) == event

    def test_keys_that_a_newer_version_added_are_left_out(self) -> None:
        line = b'{"event": "artifact", "time_ms": 7, "path": "a.npz", "bytes": 100}'
        assert decode(line) == ArtifactWritten(time_ms=7, path="a.npz")

    @pytest.mark.parametrize(
        "line",
        [
            b'{"event": "sung", "time_ms": 7}',
            b'{"event": "ep',
            b"[]",
            b"7",
            b"{}",
            b'{"event": "epoch"}',
            b"\xff\xfe",
            b'{"event": "epoch", "epoch": 1, "metrics": {"test/top1": "x"}, "epoch_s": 1.0, "images_per_s": 1.0}',
            b'{"event": "epoch", "epoch": null, "metrics": {}, "epoch_s": 1.0, "images_per_s": 1.0}',
            b'{"event": "epoch", "epoch": 1, "metrics": [], "epoch_s": 1.0, "images_per_s": 1.0}',
            b'{"event": "start", "attempt": "one", "epochs": 2, "device": "cpu"}',
            b'{"event": "end", "state": "eaten"}',
            b'{"event": "summary", "metrics": 3}',
            b'{"event": "cost", "params": "many"}',
        ],
    )
    def test_unknown_events_and_damaged_lines_are_none(self, line: bytes) -> None:
        assert decode(line) is None


class TestEncode:
    def test_the_keys_on_disk_are_those_of_older_versions(self) -> None:
        data = DataLoaded(dataset="digits", digest="d", classes=10, train_images=5, test_images=4)
        assert encode(data) == (
            '{"classes": 10, "digest": "d", "event": "data", "fingerprint": {}, "name": "digits", "test_images": 4, '
            '"time_ms": 0, "train_images": 5}'
        )
        assert encode(CostMeasured(cost=COST)) == (
            '{"conv_linear_macs": 3, "event": "cost", "flops": 2, "params": 1, "time_ms": 0, "torch_macs": 4, '
            '"uncounted": ["sin x 1"], "unmeasured": ""}'
        )
        assert encode(NonstandardImages(epoch=1, counts={"grey": 2})) == (
            '{"epoch": 1, "event": "nonstandard_images", "grey": 2, "time_ms": 0}'
        )

    def test_what_is_none_is_not_written(self) -> None:
        assert encode(ArtifactWritten(path="a")) == '{"event": "artifact", "path": "a", "time_ms": 0}'

    def test_a_float_keeps_its_last_digit(self) -> None:
        event = EpochDone(epoch=1, metrics={"test/top1": 100 / 3}, epoch_s=0.1, images_per_s=1e300)
        assert decode(encode(event).encode()) == event


def test_the_table_of_the_module_lists_every_event() -> None:
    rows = re.findall(r"^(\w+) +([A-Z]\w+) ", bench.workspace.events.__doc__ or "", re.MULTILINE)
    assert sorted(rows) == sorted((cls.name, cls.__name__) for cls in EVENTS)
