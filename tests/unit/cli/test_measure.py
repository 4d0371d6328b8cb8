"""Names and globs of models on the command line."""

import pytest

from bench.cli.measure import expand
from bench.errors import UsageError


def test_a_glob_stands_for_the_models_that_match() -> None:
    assert expand(["resnext29*"]) == ["resnext29_32x4d", "resnext29_2x64d"]
    assert all(name.startswith("timm/vit_tiny") for name in expand(["timm/vit_tiny*"]))


def test_names_stay_in_their_order_and_each_is_measured_once() -> None:
    assert expand(["vgg11", "alexnet", "vgg11"]) == ["vgg11", "alexnet"]


@pytest.mark.parametrize("name", ["nets.py:net", "nets[1].py:net", "timm/vit_tiny(patch=[1])", "no_such_model"])
def test_a_name_that_is_no_glob_stays_for_the_check_of_names(name: str) -> None:
    assert expand([name]) == [name]


def test_a_glob_that_matches_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no model matches 'zzz"):
        expand(["resnet18", "zzz*"])
