"""Fingerprints: which parts a result depends on, and how a change is said."""

from pathlib import Path

from helpers.cells import MakeCell

from bench.workspace.fingerprint import changes, fingerprint, library_version, model_digest

NETS = "def net(num_classes):\n    return num_classes\n"


def test_fingerprint_of_a_named_net_has_the_version_of_its_library(make_cell: MakeCell) -> None:
    of_torchvision = fingerprint(make_cell("resnet18"), data="d" * 64, device="cpu")
    assert of_torchvision["torchvision"] == library_version("torchvision")
    assert "timm" not in of_torchvision
    of_timm = fingerprint(make_cell("timm/resnet18"), data="d" * 64, device="cpu")
    assert of_timm["timm"] == library_version("timm")
    assert "torchvision" not in of_timm


def test_fingerprint_of_a_file_has_its_source_and_the_libraries_that_it_imports(
    project: Path, make_cell: MakeCell
) -> None:
    Path("nets.py").write_text(f"import timm\n{NETS}")
    parts = fingerprint(make_cell("nets.py:net"), data="", device="")
    assert parts["net"] == model_digest("nets.py:net")
    assert parts["timm"] == library_version("timm")
    assert "torchvision" not in parts


def test_changes_of_a_library_are_named_and_a_result_that_does_not_know_its_version_has_none() -> None:
    now = {"protocol": "1", "torchvision": "0.29.0"}
    assert changes({"protocol": "1"}, now) == ""
    assert changes({"protocol": "1", "torchvision": "0.28.0"}, now) == "torchvision changed from 0.28.0 to 0.29.0"


def test_changes_of_an_older_result_are_those_of_the_whole_file(project: Path, make_cell: MakeCell) -> None:
    Path("nets.py").write_text(NETS)
    cell = make_cell("nets.py:net")
    new = fingerprint(cell, data="", device="")
    old = {part: value for part, value in new.items() if part != "net"}
    Path("nets.py").write_text(f"{NETS}\n\ndef other(num_classes):\n    return 1\n")
    now = fingerprint(cell, data="", device="")
    assert changes(new, now) == ""
    assert changes(old, now) == "the model's file changed"
    assert changes(old, new) == ""


def test_changes_say_that_a_net_is_missing(project: Path, make_cell: MakeCell) -> None:
    Path("nets.py").write_text(NETS)
    cell = make_cell("nets.py:net")
    before = fingerprint(cell, data="", device="")
    for text in ("def another(num_classes): ...\n", None):
        Path("nets.py").write_text(text) if text else Path("nets.py").unlink()
        now = fingerprint(cell, data="", device="")
        assert changes(before, now) == changes({}, now) == "the net's file or function is missing"
