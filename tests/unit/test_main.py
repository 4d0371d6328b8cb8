"""``python -m bench``: where it looks for modules."""

import sys
from pathlib import Path

import pytest

from bench.__main__ import search_current_folder_last


@pytest.mark.parametrize("first", ["", "here"])
def test_the_current_folder_is_searched_last(project: Path, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    first = first and str(project)
    monkeypatch.setattr(sys, "path", [first, "/a", "/b"])
    search_current_folder_last()
    assert sys.path == ["/a", "/b", first]


def test_another_first_folder_and_a_checkout_of_bench_stay_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["/a", str(project)])
    search_current_folder_last()
    assert sys.path == ["/a", str(project)]
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(sys, "path", [str(Path.cwd()), "/a"])
    search_current_folder_last()
    assert sys.path == [str(Path.cwd()), "/a"]
