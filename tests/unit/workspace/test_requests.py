"""Requests to workers and their answers, as JSON and back."""

import re
from typing import Any

import pytest
from helpers.strategies import values_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import bench.workspace.requests
from bench.values import Failure
from bench.workspace.requests import REQUESTS, Request, decode_answers, decode_requests, encode_all

CARD = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=2)
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {"import": {"card": CARD}, "inspect": {"contents": CARD}}
"""Fields of answers that hold whatever JSON holds."""


class TestJson:
    @pytest.mark.parametrize("command", REQUESTS)
    @settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
    @given(data=st.data())
    def test_every_request_comes_back(self, command: str, data: st.DataObject) -> None:
        requests = [data.draw(values_of(REQUESTS[command]))]
        assert decode_requests(command, encode_all(requests)) == requests

    @pytest.mark.parametrize("command", REQUESTS)
    @settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
    @given(data=st.data())
    def test_every_answer_comes_back_and_so_does_a_failure(self, command: str, data: st.DataObject) -> None:
        answer = data.draw(values_of(REQUESTS[command].answer, **FIELDS.get(command, {})))
        answers = [answer, Failure(error="it broke")]
        assert decode_answers(command, encode_all(answers)) == answers

    def test_an_unknown_command_names_the_known_ones(self) -> None:
        with pytest.raises(ValueError, match="unknown command 'sing'; known: measure, prepare"):
            decode_requests("sing", b"[]")

    def test_a_request_with_a_missing_field_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"not a Measure: .*stem"):
            decode_requests("measure", b'[{"model": "resnet18", "input_size": 32, "num_classes": 10}]')


def test_the_table_of_the_module_lists_every_request() -> None:
    rows = re.findall(r"^(\w+) +([A-Z]\w+) ", bench.workspace.requests.__doc__ or "", re.MULTILINE)
    assert dict(rows) == {command: cls.__name__ for command, cls in REQUESTS.items()}
    module = bench.workspace.requests.__name__
    made = {cls for cls in Request.__subclasses__() if cls.__module__ == module}
    assert set(REQUESTS.values()) == made, "a request that no command names"
