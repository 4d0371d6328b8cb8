"""Metric points of journal events, and which of them a store does not have."""

import math

from bench.tracking.points import Point, missing_points, new_points, points_of, stored_points
from bench.values import Cost
from bench.workspace.events import CostMeasured, Diverged, EpochDone, Event, Started, Summarised


def epoch(number: int, top1: float = 90.0, time_ms: int = 7) -> EpochDone:
    return EpochDone(epoch=number, metrics={"test/top1": top1}, epoch_s=1.0, images_per_s=1.0, time_ms=time_ms)


def values(points: list[Point]) -> list[tuple[str, int, float]]:
    return [(point.key, point.step, point.value) for point in points]


class TestPointsOf:
    def test_an_epochs_metrics_have_its_number_and_its_time(self) -> None:
        assert points_of(epoch(3)) == [Point(key="test/top1", value=90.0, time_ms=7, step=3)]

    def test_metrics_of_the_whole_cell_have_step_0(self) -> None:
        assert values(points_of(Summarised(metrics={"time/total_s": 3.0}))) == [("time/total_s", 0, 3.0)]

    def test_costs_are_in_millions(self) -> None:
        cost = Cost(params=2_000_000, flops=3_000_000, conv_linear_macs=4_000_000, torch_macs=0, uncounted=())
        expected = [("cost/params_m", 0, 2.0), ("cost/flops_m", 0, 3.0), ("cost/conv_linear_m", 0, 4.0)]
        assert values(points_of(CostMeasured(cost=cost))) == expected

    def test_infinity_becomes_nan(self) -> None:
        ((_, step, value),) = values(points_of(Diverged(epoch=2, metrics={"train/loss": math.inf})))
        assert step == 2
        assert math.isnan(value)

    def test_other_events_have_none(self) -> None:
        assert points_of(Started(attempt=1, epochs=2, device="cpu")) == []


class TestNewPoints:
    def test_a_step_that_is_repeated_with_the_same_value_is_left_out(self) -> None:
        assert values(new_points([epoch(1), epoch(1), epoch(2)], {})) == [
            ("test/top1", 1, 90.0),
            ("test/top1", 2, 90.0),
        ]

    def test_a_step_that_is_repeated_with_another_value_is_sent_again(self) -> None:
        stored = stored_points([epoch(1, 90.0)])
        assert values(new_points([epoch(1, 90.5)], stored)) == [("test/top1", 1, 90.5)]
        assert stored == {("test/top1", 1): 90.5}

    def test_nan_is_the_same_as_nan(self) -> None:
        assert new_points([epoch(1, math.nan)], stored_points([epoch(1, math.nan)])) == []

    def test_of_the_summaries_of_several_attempts_the_first_is_kept(self) -> None:
        summaries = [Summarised(metrics={"time/total_s": 3.0}), Summarised(metrics={"time/total_s": 4.0})]
        assert values(new_points(summaries, {})) == [("time/total_s", 0, 3.0)]


class TestMissingPoints:
    EVENTS: tuple[Event, ...] = (epoch(1, 90.0), epoch(2), epoch(1, 90.5))

    def test_nothing_is_missing_when_every_step_is_there_though_one_has_two_values(self) -> None:
        assert missing_points(self.EVENTS, {"test/top1": {1, 2}}) == []

    def test_the_steps_that_the_store_has_lost_are_sent_again(self) -> None:
        assert values(missing_points(self.EVENTS, {"test/top1": {1}})) == [("test/top1", 2, 90.0)]
        assert len(missing_points(self.EVENTS, {})) == 3
