"""Params and FLOPs of a suite's nets on the control side: asked of a worker once, then kept in BENCH_HOME.

The key of a kept figure is the net, its form, input size, classes, the versions of the libraries that build and count
it and, for a net of a file, the file's content.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.scheduler.calls import call_worker
from bench.scheduler.devices import cpu_cores
from bench.values import Cell, Cost, from_dict
from bench.workspace.files import write_atomically

LIBRARIES = ("torch", "torchvision", "timm", "fvcore")
COST_FIELDS = ("params", "flops", "conv_linear_macs", "torch_macs", "uncounted")


def measure_all(requests: list[dict[str, Any]], home: Path) -> list[dict[str, Any]]:
    """Answer each ``{"model", "stem", "input_size", "num_classes"}`` with the fields of a Cost, or an ``error``.

    What has been measured before comes from ``home/costs.json``; the rest is measured in one worker process.
    """
    path = home / "costs.json"
    known = _read(path)
    versions = _versions()
    keys = [_key(request, versions) for request in requests]
    unknown = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
    if unknown:
        answers = call_worker("measure", list(unknown.values()), threads=cpu_cores())
        fresh = dict(zip(unknown, answers, strict=True))
        known.update(fresh)
        kept = {key: answer for key, answer in known.items() if "error" not in answer}
        home.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(kept, sort_keys=True))
    return [known[key] for key in keys]


def costs_of(
    cells: Iterable[Cell], num_classes: Callable[[str], int | None], home: Path
) -> tuple[dict[str, Cost], dict[str, str]]:
    """Costs by cell id, and by cell id the sentence why a net could not be measured.

    ``num_classes`` answers None for a data set that is not here; its nets are left out.
    """
    classes: dict[str, int | None] = {}
    asked: dict[tuple[Any, ...], list[str]] = {}
    for cell in cells:
        if cell.dataset not in classes:
            classes[cell.dataset] = num_classes(cell.dataset)
        if (count := classes[cell.dataset]) is not None:
            net = (cell.model, cell.recipe.stem, cell.recipe.input_size, count)
            asked.setdefault(net, []).append(cell.id)
    requests = [
        {"model": model, "stem": stem, "input_size": size, "num_classes": count} for model, stem, size, count in asked
    ]
    costs, errors = {}, {}
    for ids, answer in zip(asked.values(), measure_all(requests, home), strict=True):
        for cell_id in ids:
            if "error" in answer:
                errors[cell_id] = str(answer["error"])
            else:
                costs[cell_id] = to_cost(answer)
    return costs, errors


def to_cost(answer: Mapping[str, Any]) -> Cost:
    """The Cost in an answer of :func:`measure_all`."""
    return from_dict(Cost, {field: answer[field] for field in COST_FIELDS})


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        known: dict[str, dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # a cache: whatever is wrong with it, measuring again mends it
    return known


def _versions() -> str:
    return " ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)


def _key(request: Mapping[str, Any], versions: str) -> str:
    file = request["model"].rpartition(":")[0]
    content = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file.endswith(".py") else ""
    return json.dumps([request[field] for field in sorted(request)] + [versions, content])
