"""Packed records; that the script unpacks them is tested in a browser."""

from bench.report.packing import Record, pack, pack_column


class TestPack:
    def test_what_repeats_or_rises_evenly_stands_once(self) -> None:
        records = [{"run": "a" if epoch < 100 else "b", "epoch": epoch, "lr": 0.123456789} for epoch in range(1, 200)]
        assert pack(records) == {
            "count": 199,
            "columns": {
                "run": {"runs": ["a", 99, "b", 100]},
                "epoch": {"steps": [1, 199]},
                "lr": {"runs": [0.1234568, 199]},
            },
        }

    def test_a_text_that_shows_a_number_is_not_kept(self) -> None:
        records = [{"y": 0.987654, "figure": "0.9877"}, {"y": 12.0, "figure": "12"}]
        assert pack(records) == {"count": 2, "columns": {"y": {"each": [0.987654, 12.0]}, "figure": {"of": "y"}}}

    def test_records_of_several_kinds_stay_as_they_are(self) -> None:
        records: list[Record] = [{"x": 1}, {"x": 1, "low": 0.5}]
        assert pack(records) == records
        assert pack([]) == {"count": 0, "columns": {}}


class TestPackColumn:
    def test_takes_the_shortest_way(self) -> None:
        assert pack_column([3, 1, 2]) == {"each": [3, 1, 2]}
        assert pack_column(["a", "a", "a"]) == {"runs": ["a", 3]}
        assert pack_column([1, 2, 3, 4]) == {"steps": [1, 4]}
        assert pack_column([]) == {"each": []}

    def test_numbers_of_other_types_are_not_equal(self) -> None:
        values = [1, 1.0, True, None]
        assert [type(value) for value in pack_column(values)["each"]] == [int, float, bool, type(None)]  # type: ignore[attr-defined]
