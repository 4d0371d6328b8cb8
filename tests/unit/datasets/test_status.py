"""What a status says."""

from bench.datasets.status import range_per_class


def test_range_per_class_is_one_number_where_the_classes_are_balanced() -> None:
    assert range_per_class([40, 40]) == "40 per class"
    assert range_per_class([1_000, 40]) == "40 to 1,000 per class"
