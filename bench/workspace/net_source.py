"""What a net of a file depends on: the code that its function reaches, in its own file and in the local modules that it
imports.

The source is read and never executed, because the scheduler must not import torch. Reached are the function, every
top-level definition that it names, directly or through others, and every top-level statement that does something. A
file that looks names up at run time (``globals``, ``exec``, ...) counts as a whole. Comments, docstrings, layout and
the file's place do not count. Local modules are those beside the file, in its package, on PYTHONPATH and in the current
folder; installed libraries count by their version, see :mod:`bench.workspace.fingerprint`.

:mod:`bench.worker.models.source` imports the same modules by the same rules.
"""

import ast
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from bench.model_names import base_name
from bench.workspace.reach import Reached

UNREADABLE = (OSError, SyntaxError, ValueError, RecursionError, MemoryError)
"""What reading and parsing the file of a user may raise."""


@dataclass(frozen=True)
class NetSource:
    """What the source of a net says."""

    digest: str
    """SHA-256 of the code that the net's function reaches."""
    libraries: frozenset[str]
    """Top-level names of the installed modules that this code imports."""


def split_model(model: str) -> tuple[Path, str] | None:
    """File and function of a ``path/to/file.py:function`` model; None for a named model."""
    file, colon, function = base_name(model).rpartition(":")
    return (Path(file), function) if colon and file.endswith(".py") else None


def module_name(file: Path) -> tuple[Path, str]:
    """The folder that a file is imported from, absolute, and its module's dotted name.

    The folder is the file's own, or the one that holds its outermost package. Without ``__init__.py`` a file that uses
    relative imports has as many packages as they climb.
    """
    file = file.absolute()
    folder, names = file.parent, [file.stem]
    climb = 0 if (folder / "__init__.py").is_file() else _relative_levels(file)
    while (folder / "__init__.py").is_file() or climb > 0:
        names.insert(0, folder.name)
        folder, climb = folder.parent, climb - 1
    return folder, ".".join(names)


def read_source(model: str) -> NetSource | None:
    """What the source of a ``path/to/file.py:function`` model says; None if the file or the function is missing."""
    parts = split_model(model)
    if parts is None or not parts[0].is_file():
        return None
    file, function = parts
    try:
        root, name = module_name(file)
        reached = Reached([root, *_search_path()])
        main = reached.module(name, file.absolute())
        if not reached.reach_function(main, function):
            return None
        return NetSource(reached.digest(), frozenset(reached.libraries))
    except UNREADABLE:
        try:
            return NetSource(hashlib.sha256(file.read_bytes()).hexdigest(), frozenset())
        except OSError:
            return None


def _search_path() -> list[Path]:
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [*(Path(entry).absolute() for entry in named if entry), Path.cwd()]


def _relative_levels(file: Path) -> int:
    try:
        tree = ast.parse(file.read_bytes())
    except UNREADABLE:
        return 0
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)
