"""How often the forwarder looks for something new."""

import pytest

from bench.tracking.forward import MAX_PAUSE_S, pause_after


@pytest.mark.parametrize(
    ("before_s", "busy_s", "failed", "pause_s"),
    [
        (0.5, 0.001, False, 0.5),
        (0.5, 0.02, False, 2.0),
        (2.0, 3.0, False, 10.0),
        (8.0, 0.0, True, 16.0),
        (20.0, 0.0, True, MAX_PAUSE_S),
        (16.0, 0.001, False, 0.5),
    ],
)
def test_pause_after_keeps_to_a_hundredth_of_a_core_and_grows_while_the_store_is_away(
    before_s: float, busy_s: float, failed: bool, pause_s: float
) -> None:
    assert pause_after(before_s, busy_s, failed=failed) == pytest.approx(pause_s)
