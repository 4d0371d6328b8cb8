"""The catalog of nets: names, stems, and what is wrong with a name."""

import importlib
from pathlib import Path

import pytest

from bench.catalog.models import (
    MODELS,
    SMALL_INPUT,
    default_stem,
    file_problem,
    matching_models,
    model_problem,
    model_stems,
    timm_names,
)


@pytest.mark.parametrize("name", ["resnet18", "resnext29_32x4d", "timm/resnet18"])
def test_model_problem_accepts_what_can_be_built(name: str) -> None:
    assert model_problem(name) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet81", "unknown model 'resnet81' (did you mean 'resnet18'?)"),
        ("xyz", "unknown model 'xyz' (bench models lists them)"),
        ("timm/resnet10tt", "unknown timm model 'resnet10tt' (did you mean 'timm/resnet10t'?)"),
    ],
)
def test_model_problem_names_a_similar_model(name: str, sentence: str) -> None:
    assert model_problem(name) == sentence


def test_timm_names_are_those_that_timm_registers() -> None:
    timm = pytest.importorskip("timm")
    assert set(timm_names()) == set(timm.list_models())


def test_file_problem_reads_the_file_and_does_not_run_it(tmp_path: Path) -> None:
    file = tmp_path / "nets.py"
    file.write_text("raise SystemExit\ndef net(num_classes): ...\nclass Net: ...\nother = net\n")
    assert [file_problem(f"{file}:{name}") for name in ("net", "Net", "other")] == [None] * 3
    assert file_problem(f"{file}:nett") == f"{file} has no function 'nett' (did you mean 'net'?)"


def test_file_problem_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "nets.py cannot be read: No such file or directory" in (file_problem(f"{tmp_path}/nets.py:net") or "")
    (tmp_path / "nets.py").write_bytes(b"\xff\xfe")
    assert "nets.py cannot be read: it is not UTF-8 text" in (file_problem(f"{tmp_path}/nets.py:net") or "")


def test_default_stem_is_small_for_small_inputs_if_the_net_has_it() -> None:
    assert (default_stem("resnet18", SMALL_INPUT), default_stem("resnet18", SMALL_INPUT + 1)) == ("small", "standard")
    assert default_stem("swin_t", 32) == "standard"
    assert default_stem("resnext29_32x4d", 224) == "small"


def test_names_of_timm_come_first_and_match_without_their_prefix() -> None:
    pytest.importorskip("timm")
    names = matching_models("vit_b*", timm=True)
    assert names[0].startswith("timm/vit_b")
    assert names[-1] == "vit_b_32"
    assert matching_models("vit_b*") == ["vit_b_16", "vit_b_32"]


def test_model_stems_of_timm_and_of_files_is_the_standard_one() -> None:
    assert model_stems("resnet18") == ("small", "standard")
    assert model_stems("timm/resnet18") == model_stems("nets.py:net") == ("standard",)


def test_every_target_of_the_catalog_exists() -> None:
    for name, spec in MODELS.items():
        for target in filter(None, (spec.standard, spec.small)):
            module, _, function = target.partition(":")
            assert callable(getattr(importlib.import_module(module), function)), name
