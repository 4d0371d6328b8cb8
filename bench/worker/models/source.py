"""Import the function of a ``path/to/file.py:function`` model, with the modules beside its file.

The rules are those of ``python path/to/file.py``, with two exceptions: modules of the standard library win over files
of the same name, and installed libraries win over files in the current folder. The other side of the wall follows the
same imports, in :mod:`bench.workspace.net_source`.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from bench.errors import ModelError
from bench.workspace.net_source import module_name

_imported: dict[str, Path] = {}
"""Modules that were imported for nets of files, each with the folder of the net."""

_roots: list[str] = []
"""The folder that :func:`_search` has added to the search path, if any."""


def load_function(file: Path, name: str) -> Callable[..., object]:
    """Execute a file and return its function. The file is executed at each call, the modules that it imports once.

    Raises:
        ModelError: It is not a Python file, or has no such function.
        BaseException: Whatever the file raises.
    """
    module = _execute(file)
    function = getattr(module, name, None)
    if not callable(function):
        raise ModelError(f"{file} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def _execute(file: Path) -> ModuleType:
    root, dotted = module_name(file)
    _search(root)
    package, _, stem = dotted.rpartition(".")
    # a name of its own, so that a file called json.py hides nothing
    full_name = f"{package}.{stem}" if package else f"bench_user_model_{stem}"
    spec = importlib.util.spec_from_file_location(full_name, file.absolute())
    if spec is None or spec.loader is None:
        raise ModelError(f"{file} is not a Python file")
    before = set(sys.modules)
    try:
        if package:
            importlib.import_module(package)
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module  # dataclasses and pickle look a class's module up
        spec.loader.exec_module(module)
        return module
    finally:
        for name in set(sys.modules) - before:
            _imported[name] = root


def _search(root: Path) -> None:
    """Have imports look into a net's folder, before installed libraries, and into the current folder last."""
    here = Path.cwd()
    # two folders may have modules of one name: those that were imported from the other folder are forgotten
    for name in [name for name, folder in _imported.items() if folder != root]:
        folder, module = _imported.pop(name), sys.modules.get(name)
        if _lies_below(module, folder) or _lies_below(module, here):
            del sys.modules[name]
    for before in _roots:
        if before in sys.path:
            sys.path.remove(before)
    _roots[:] = [str(root)]
    installed = (place for place, entry in enumerate(sys.path) if "-packages" in entry)
    sys.path.insert(next(installed, len(sys.path)), str(root))
    if str(here) not in sys.path:
        sys.path.append(str(here))


def _lies_below(module: ModuleType | None, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    if not file or not module or module.__name__.partition(".")[0] == "bench":
        return False
    return Path(file).is_relative_to(folder) and "-packages" not in file
