"""Paths in names: every spelling of a place is one name, and older ids are found."""

from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.suites import parse
from hypothesis import given
from hypothesis import strategies as st

from bench.suite.filters import filter_cells
from bench.suite.spelling import other_ids, plain_dataset, plain_model, plain_path

parts = st.lists(st.sampled_from(["a", "b c", ".", "x%y", "é"]), min_size=1, max_size=4)


@given(parts=parts, ends=st.sampled_from(["", "/", "//", "/."]), starts=st.sampled_from(["", "./", ".//"]))
def test_every_spelling_of_a_path_below_the_current_folder_is_the_plain_one(
    parts: list[str], ends: str, starts: str
) -> None:
    path = "/".join(parts)
    plain = plain_path(path)
    assert plain_path(f"{starts}{path}{ends}") == plain_path(f"{Path.cwd()}/{path}{ends}") == plain
    assert plain_path(plain) == plain


@pytest.mark.parametrize("path", ["ds", "data/ds", "../ds", "/elsewhere/ds", "~/ds"])
def test_plain_spellings_stay_as_they_are(project: Path, path: str) -> None:
    assert plain_path(path) == path
    assert plain_path(f"{path}/") == path


def test_a_path_that_a_link_makes_ambiguous_stays_as_it_is(project: Path) -> None:
    (project / "far" / "away").mkdir(parents=True)
    (project / "link").symlink_to(project / "far" / "away")
    assert plain_path("link/../ds") == "link/../ds"
    assert plain_path("far/../ds") == "ds"


def test_plain_model_and_plain_dataset_leave_other_names_alone() -> None:
    assert [plain_model(name) for name in ("resnet18", "timm/resnet18", "./n.py:f")] == [
        "resnet18",
        "timm/resnet18",
        "n.py:f",
    ]
    assert [plain_dataset(name) for name in ("digits", "folder:", "folder:./d/")] == ["digits", "folder:", "folder:d"]


def suite_of(*datasets: str, models: str) -> str:
    grid = f"{{model: [{models}], dataset: [{', '.join(datasets)}], schedule: cosine}}"
    return f"suite: s\nrecipe: {{input_size: 8}}\ngrid: {grid}\n"


def test_spellings_of_one_place_are_one_cell_of_a_suite(project: Path) -> None:
    Path("nets.py").write_text("def net(num_classes): ...\n")
    folders = ("folder:ds", "folder:ds/", "folder:./ds", f"folder:{project}/ds")
    text = suite_of(*map(repr, folders), models="'./nets.py:net', nets.py:net")
    (cell,) = parse(text).cells
    assert (cell.model, cell.dataset) == ("nets.py:net", "folder:ds")
    others = "exclude: [{dataset: 'folder:./ds/', model: './nets.py:*'}]\n"
    others += "cells: [{model: resnet18, dataset: digits, schedule: cosine}]\n"
    excluded = parse(text + others)
    assert [cell.dataset for cell in excluded.cells] == ["digits"]
    assert filter_cells(parse(text), ["model=./nets.py:*", "dataset=folder:ds/"]).cells == (cell,)


def test_other_ids_are_those_of_the_spellings_that_were_in_use(project: Path, make_cell: MakeCell) -> None:
    cell = make_cell("nets.py:net", "folder:ds")
    ids = set(other_ids(cell))
    for model in ("nets.py:net", "./nets.py:net", f"{project}/nets.py:net"):
        for dataset in ("folder:ds", "folder:ds/", "folder:./ds", "folder:./ds/", f"folder:{project}/ds"):
            other = make_cell(model, dataset)
            assert (other.id in ids) == (other.id != cell.id)
    assert list(other_ids(make_cell("resnet18", "digits"))) == []
