"""What ``bench export`` refuses before a worker starts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.finished import finish_suite

from bench.api import export as exports
from bench.api.export import export_run
from bench.api.run_files import MissingFileError
from bench.errors import UsageError
from bench.values import Suite


@pytest.fixture
def cell_id(project: Path, make_cell: MakeCell, make_suite: Callable[..., Suite]) -> str:
    """A complete cell on this machine, without weights."""
    suite = make_suite(make_cell())
    finish_suite(suite, project / ".bench")
    return suite.cells[0].id


def test_missing_packages_are_named_with_the_command_that_installs_them(
    cell_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ONNX_PACKAGES", ("no_such_package",))
    with pytest.raises(UsageError, match=r"\(no_such_package\): pip install 'bench\[export\]'"):
        export_run(cell_id, "onnx", None, None)


def test_weights_that_were_not_kept_are_a_sentence(cell_id: str) -> None:
    with pytest.raises(MissingFileError, match=r"has no weights: .*weights\.safetensors.*--keep-weights none"):
        export_run(cell_id, "torchscript", None, None)


def test_a_place_that_holds_something_or_is_not_there_is_refused(cell_id: str, project: Path) -> None:
    with pytest.raises(UsageError, match="exists and is no empty folder"):
        export_run(cell_id, "folder", ".", None)
    with pytest.raises(UsageError, match="is a folder; name a file"):
        export_run(cell_id, "torchscript", ".", None)
    with pytest.raises(UsageError, match="there is no folder"):
        export_run(cell_id, "torchscript", "nowhere/net.pt", None)
