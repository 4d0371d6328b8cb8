"""Nets of files: what they may import, and that one net never sees another's modules."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.errors import ModelError
from bench.worker.models.source import load_function


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The search path and modules of this process as they were."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


USES_BLOCKS = "from blocks import WIDTH\n\n\ndef net(num_classes):\n    return WIDTH\n"


def call(file: Path) -> object:
    return load_function(file, "net")(num_classes=10)


def test_a_module_beside_the_file_is_imported(project: Path) -> None:
    write(project / "zoo" / "blocks.py", "WIDTH = 8\n")
    assert call(write(project / "zoo" / "net.py", USES_BLOCKS)) == 8


def test_a_module_in_the_current_folder_is_imported(project: Path) -> None:
    write(project / "blocks.py", "WIDTH = 7\n")
    assert call(write(project / "zoo" / "net.py", USES_BLOCKS)) == 7


@pytest.mark.parametrize("init", ["from .blocks import WIDTH\n", None])
def test_relative_imports_work_with_and_without_an_init_file(project: Path, init: str | None) -> None:
    write(project / "pkg" / "blocks.py", "from .deep.sizes import WIDTH\n")
    write(project / "pkg" / "deep" / "sizes.py", "WIDTH = 6\n")
    if init is not None:
        write(project / "pkg" / "__init__.py", init)
        write(project / "pkg" / "deep" / "__init__.py", "")
    text = (
        "from . import blocks\nfrom .blocks import WIDTH\n\n\ndef net(num_classes):\n    return WIDTH, blocks.WIDTH\n"
    )
    assert call(write(project / "pkg" / "net.py", text)) == (6, 6)


def test_two_files_get_each_the_modules_beside_it(project: Path) -> None:
    files = []
    for number, folder in enumerate(("one", "two")):
        write(project / folder / "blocks.py", f"WIDTH = {number}\n")
        files.append(write(project / folder / "net.py", USES_BLOCKS))
    assert [call(file) for file in (*files, *files)] == [0, 1, 0, 1]


def test_files_that_are_called_like_modules_of_the_library_hide_nothing(project: Path) -> None:
    for folder in (project, project / "zoo"):
        for name in ("random", "json", "colorsys"):
            write(folder / f"{name}.py", "raise SystemExit('executed')\n")
    file = write(
        project / "zoo" / "torch.py", "import colorsys, json\n\n\ndef net(n=0, **_):\n    return json.dumps(1)\n"
    )
    assert call(file) == "1"


def test_installed_libraries_win_over_files_in_the_current_folder(project: Path) -> None:
    write(project / "mpmath.py", "raise SystemExit('executed')\n")
    file = write(project / "zoo" / "net.py", "import mpmath\n\n\ndef net(num_classes):\n    return mpmath.__file__\n")
    assert "-packages" in str(call(file))


def test_dataclasses_with_postponed_annotations_and_pickled_classes_work(project: Path) -> None:
    text = (
        "from __future__ import annotations\nimport pickle\nfrom dataclasses import dataclass\n\n\n"
        "@dataclass\nclass Sizes:\n    width: int = 3\n\n\n"
        "def net(num_classes):\n    return pickle.loads(pickle.dumps(Sizes())).width\n"
    )
    assert call(write(project / "nets.py", text)) == 3


def test_the_file_is_executed_anew_at_each_call(project: Path) -> None:
    for width in (1, 2):
        assert call(write(project / "nets.py", f"def net(num_classes):\n    return {width}\n")) == width


def test_a_missing_function_and_an_error_of_the_file_are_raised(project: Path) -> None:
    file = write(project / "nets.py", "def other(num_classes): ...\n")
    with pytest.raises(ModelError, match=r"nets.py has no function 'net'"):
        call(file)
    with pytest.raises(ZeroDivisionError):
        call(write(project / "nets.py", "1 / 0\n"))


def test_modules_of_bench_itself_are_never_forgotten(project: Path) -> None:
    import bench.values

    files = [
        write(project / folder / "net.py", "import bench.values\n\n\ndef net(num_classes): ...\n") for folder in "ab"
    ]
    for file in (*files, *files):
        call(file)
    assert sys.modules["bench.values"] is bench.values
