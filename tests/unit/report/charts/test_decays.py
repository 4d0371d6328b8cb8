"""The picture of schedules."""

from helpers.charts import records

from bench.report.charts.decays import Decay, decay_chart


def test_a_rate_holds_until_the_next_step_or_epoch() -> None:
    decay = Decay(label="step", epochs=[[0.1, 0.2], [0.4], [0.2]])
    assert decay.points() == [(0, 0.1), (0.5, 0.2), (1, 0.4), (2, 0.2), (3, 0.2)]


def test_every_line_has_a_name() -> None:
    decays = [Decay(label=label, epochs=[[0.1]]) for label in ("a" * 100 + "1", "a" * 100 + "2")]
    chart = decay_chart(decays, subtitle="lr 0.1")
    assert len({record["cell"] for record in records(chart)}) == 2
    assert {record["name"] for record in records(chart)} == {decay.label for decay in decays}
