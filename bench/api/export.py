"""Trained nets for programs without bench. Loading and writing them is a worker's job."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError, UsageError

if TYPE_CHECKING:
    from bench.tracking import Store
    from bench.workspace.requests import Exported, ExportFormat

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "folder": ""}
"""Format -> the ending of its files; a folder has none."""


def export_run(name: str, to: "ExportFormat", output: str | None, store: "Store | None") -> "tuple[Path, Exported]":
    """Write the net of a finished run. Returns where, and how it was tried.

    Args:
        name: An MLflow run's id, a cell's id, or the beginning of one.
        to: The format.
        output: The file, or the folder; by default named after net and cell, in the current folder.
        store: The store, if there is one.

    Raises:
        UsageError: No finished run, or several, are meant, or packages or the place are missing.
        MissingFileError: Its weights are no longer there.
        ModelError: The net cannot be loaded or exported, or what was written gives other classes.
        DataError: The data set is missing.
        TrackingError: The store cannot be read.
    """
    from bench.api.run_files import find_run
    from bench.scheduler.calls import call_worker
    from bench.scheduler.devices import cpu_cores
    from bench.values import Failure
    from bench.workspace.paths import data_home
    from bench.workspace.requests import Export

    if to == "onnx" and (missing := [package for package in ONNX_PACKAGES if not find_spec(package)]):
        raise UsageError(
            f"ONNX needs packages that are not installed ({', '.join(missing)}): pip install 'bench[export]'"
        )
    run = find_run(name, store)
    net = re.sub(r"[^\w.-]+", "_", run.cell.model).strip("_.")[-60:]
    path = Path(output or f"{net}-{run.cell.id}{SUFFIXES[to]}").absolute()
    _check_place(path, to)
    with run.file("weights.safetensors") as weights:
        request = Export(trained=run.trained(weights), to=to, output=str(path), data_home=str(data_home()))
        [answer] = call_worker([request], threads=cpu_cores())
    if isinstance(answer, Failure):
        raise BenchError(answer.error)
    return path, answer


def _check_place(path: Path, to: "ExportFormat") -> None:
    """Refuse a place where nothing can be written, and a folder that holds something.

    Raises:
        UsageError: It is one.
    """
    if not path.parent.is_dir():
        raise UsageError(f"--output {path}: there is no folder {path.parent}")
    if to == "folder" and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"--output {path} exists and is no empty folder; name another one")
    if to != "folder" and path.is_dir():
        raise UsageError(f"--output {path} is a folder; name a file")
