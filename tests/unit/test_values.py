"""Values: their JSON, their identity and their words."""

import json
from dataclasses import replace
from typing import Any

import pytest
from helpers.cells import MakeCell
from helpers.strategies import values_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bench.values import Attempt, Cell, Component, Cost, Mode, Outcome, Suite, from_dict, from_json, to_json


class TestJson:
    @pytest.mark.parametrize("cls", [Attempt, Cell, Component, Cost, Mode, Outcome, Suite])
    @settings(max_examples=25, phases=(Phase.explicit, Phase.generate))  # shrinking a whole suite takes minutes
    @given(data=st.data())
    def test_every_value_comes_back_from_its_json(self, cls: type[Any], data: st.DataObject) -> None:
        value = data.draw(values_of(cls))
        assert from_json(cls, to_json(value)) == value

    def test_a_cell_that_was_written_before_a_recipe_key_existed_is_read(self, make_cell: MakeCell) -> None:
        content = json.loads(to_json(make_cell()))
        del content["recipe"]["max_images_per_class"]
        assert from_dict(Cell, content).id == make_cell().id

    def test_an_unknown_key_of_a_recipe_is_refused_because_it_is_another_cell(self, make_cell: MakeCell) -> None:
        content = json.loads(to_json(make_cell()))
        content["recipe"]["dropout"] = 0.5
        with pytest.raises(ValueError, match=r"not a Cell: .*dropout"):
            from_dict(Cell, content)

    @pytest.mark.parametrize("text", ["", "[]", "null", '{"name": 1, "options": 2}', '{"options": []}', '"text"'])
    def test_json_of_something_else_is_a_value_error(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"not a Component|Expecting value"):
            from_json(Component, text)


class TestCell:
    def test_the_id_of_a_known_cell_never_changes(self, make_cell: MakeCell) -> None:
        assert make_cell().id == "5757bc671f9e"

    def test_the_name_of_its_schedule_is_no_part_of_the_id(self, make_cell: MakeCell) -> None:
        content = json.loads(to_json(make_cell()))
        assert from_dict(Cell, {**content, "schedule_name": "another"}).id == make_cell().id
        assert from_dict(Cell, {**content, "seed": 99}).id != make_cell().id

    def test_the_title_names_the_last_folder_of_a_folder_data_set(self, make_cell: MakeCell) -> None:
        assert make_cell(dataset="folder:/data/flowers/").title.split(" · ")[1] == "flowers"


class TestCost:
    @pytest.mark.parametrize(("macs", "agrees"), [(1000, True), (1001, True), (1002, False)])
    def test_the_two_counters_agree_to_a_thousandth(self, macs: int, agrees: bool) -> None:
        assert Cost(params=1, flops=1, conv_linear_macs=macs, torch_macs=1000).agrees is agrees


class TestMode:
    def test_it_is_described_by_what_differs_from_the_plain_way(self) -> None:
        assert str(Mode(threads=1)) == "channels_last, fp32, 1 thread"
        mode = Mode(threads=2, compiled=True, captured=True, memory_share=0.475)
        assert str(mode) == "channels_last, fp32, compiled, CUDA graph, 48% of the GPU's memory, 2 threads"

    @given(mode=values_of(Mode, threads=st.integers(1, 999), memory_share=st.sampled_from([0.25, 0.475, 1.0])))
    def test_from_words_reads_what_is_described(self, mode: Mode) -> None:
        assert Mode.from_words(str(mode)) == replace(mode, memory_share=1.0)

    @given(text=st.text() | st.sampled_from(["", "fp32", "channels_last, fp32", "channels_last, fp32, many threads"]))
    def test_from_words_takes_nothing_else_for_a_mode(self, text: str) -> None:
        assert Mode.from_words(text) is None


class TestOutcome:
    def test_threads_are_those_of_its_mode(self) -> None:
        outcome = Outcome(cell_id="c", state="complete", mode=str(Mode(threads=3)))
        assert (outcome.threads, replace(outcome, mode="").threads) == (3, None)
