"""Paths in the names of nets and data sets: one spelling for each place, and the spellings that older suites used.

A cell's id is a hash of its names, so ``ds``, ``./ds`` and ``ds/`` must be one name. Called when a suite is read, and
by :mod:`bench.api.known` for results that were made under another spelling.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

from bench.datasets.source import FOLDER_PREFIX
from bench.model_names import base_name
from bench.values import Cell


def plain_model(name: str) -> str:
    """The name of a model, with the path of a file in its plain spelling."""
    base = base_name(name)
    file, colon, function = base.rpartition(":")
    return f"{plain_path(file)}:{function}{name[len(base) :]}" if colon and file.endswith(".py") else name


def plain_dataset(name: str) -> str:
    """The name of a data set, with the path of a folder in its plain spelling."""
    path = name.removeprefix(FOLDER_PREFIX)
    return f"{FOLDER_PREFIX}{plain_path(path)}" if path and path != name else name


def plain_path(path: str) -> str:
    """A path without ``.`` and doubled or trailing slashes; relative if it lies below the current folder.

    What a symbolic link makes ambiguous stays as it is.
    """
    plain = os.path.normpath(path)
    full = os.path.expanduser(path)  # noqa: PTH111 - a Path would lose what is asked about
    absolute = os.path.normpath(Path.cwd() / full)
    if os.path.realpath(absolute) != os.path.realpath(full):
        return path
    relative = os.path.relpath(absolute)
    outside = relative == os.pardir or relative.startswith(f"{os.pardir}{os.sep}")
    return plain if outside else relative


def other_ids(cell: Cell) -> Iterator[str]:
    """The ids under which older versions knew a cell, by the spellings of its paths that were in use."""
    base = base_name(cell.model)
    file, colon, function = base.rpartition(":")
    models = [cell.model]
    if colon and file.endswith(".py"):
        models = [f"{path}:{function}{cell.model[len(base) :]}" for path in _spellings(file)]
    folder = cell.dataset.removeprefix(FOLDER_PREFIX)
    datasets = [cell.dataset]
    if folder != cell.dataset:
        paths = _spellings(folder)
        datasets = [FOLDER_PREFIX + path for path in (*paths, *(f"{path}/" for path in paths))]
    for model, dataset in product(models, datasets):
        if (model, dataset) != (cell.model, cell.dataset):
            yield replace(cell, model=model, dataset=dataset).id


def _spellings(path: str) -> list[str]:
    """A plain path, the same with ``./``, absolute, and from the home folder."""
    absolute = os.path.normpath(Path.cwd() / os.path.expanduser(path))  # noqa: PTH111
    home = os.path.expanduser("~")  # noqa: PTH111 - without a home folder the path stays as it is
    spellings = [path, absolute]
    if not os.path.isabs(path):  # noqa: PTH117
        spellings.append(f"./{path}")
    if absolute.startswith(f"{home}{os.sep}"):
        spellings.append(f"~{absolute[len(home) :]}")
    return list(dict.fromkeys(spellings))
