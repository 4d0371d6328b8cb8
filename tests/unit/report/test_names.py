"""Names that are too long keep the parts in which they differ."""

from hypothesis import given
from hypothesis import strategies as st

from bench.report.names import differing_parts, shorten


@given(
    st.lists(st.text("abc·_ 0", min_size=1, max_size=50), min_size=1, max_size=6),
    st.integers(1, 60),
)
def test_shortened_names_fit(names: list[str], width: int) -> None:
    assert all(len(name) <= width for name in shorten(names, width))


def test_shortened_names_keep_the_part_that_differs() -> None:
    names = [f"shufflenet_v2_x{size} · digits · {schedule} · s0" for size in ("0_5", "1_0") for schedule in "ab"]
    assert differing_parts(names)[0] == "shufflenet_v2_x0_5 · a"
    assert shorten(names, 33)[0] == "shufflenet_v2_x0_5 · digits · a", "and others where there is room"
    assert len(set(shorten(names, 12))) == 4
