"""Names of nets with arguments."""

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.model_names import RESERVED, base_name, file_of, join_model, split_model

NAMES = st.from_regex(r"[a-z]\w{0,5}", fullmatch=True).filter(
    lambda name: name not in RESERVED and name.isascii() and not keyword.iskeyword(name)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = SCALARS | st.lists(SCALARS, max_size=3)


class TestSplitModel:
    @given(st.dictionaries(NAMES, VALUES, max_size=4), st.sampled_from(["nets.py:net", "a(b)/c.py:net", "timm/vit"]))
    def test_arguments_that_were_joined_come_back(self, arguments: dict[str, object], name: str) -> None:
        joined = join_model(name, arguments)
        assert split_model(joined) == (name, arguments)
        assert base_name(joined) == name

    @pytest.mark.parametrize("name", ["resnet18", "timm/resnet10t", "a/b.py:net", "odd (1)/nets.py:net", "x(y=1)"])
    def test_a_name_without_arguments_is_itself(self, name: str) -> None:
        assert split_model(name) == (name, {})
        assert join_model(name, {}) == name

    @pytest.mark.parametrize("arguments", ["2", "width=f()", "width=", "**{}", "width=2)(a=1", "width=open('x')"])
    def test_anything_but_plain_values_by_name_is_refused(self, arguments: str) -> None:
        with pytest.raises(ValueError, match="must be plain values by name"):
            split_model(f"nets.py:net({arguments})")

    @pytest.mark.parametrize("key", sorted(RESERVED))
    def test_what_bench_decides_is_no_argument(self, key: str) -> None:
        with pytest.raises(ValueError, match=f"{key} is decided by bench"):
            split_model(f"nets.py:net({key}=1)")


def test_join_model_sorts_so_that_one_net_has_one_name() -> None:
    assert join_model("n.py:f", {"b": 1, "a": "x"}) == join_model("n.py:f", {"a": "x", "b": 1}) == "n.py:f(a='x', b=1)"


def test_file_of_is_the_file_without_function_and_arguments() -> None:
    assert file_of("a/b.py:net(path='c.py:d')") == "a/b.py"
    assert file_of("timm/resnet10t") == file_of("resnet18") == ""
