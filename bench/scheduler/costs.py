"""Params and FLOPs of nets on the control side: measured by a worker once, then kept in BENCH_HOME.

The key of a figure is the net, its stem, input size, classes, the versions of the libraries that build and count it
and, for a net of a file, the file's content.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from importlib import metadata
from pathlib import Path

from bench.scheduler.calls import call_worker
from bench.scheduler.devices import cpu_cores
from bench.values import Cell, Cost, from_dict
from bench.workspace.cache import add_to_cache, read_cache
from bench.workspace.fingerprint import model_digest
from bench.workspace.paths import costs_file
from bench.workspace.requests import Failure, Measure

LIBRARIES = ("torch", "torchvision", "timm", "fvcore")

Ask = Callable[..., list[Cost | Failure]]
"""As :func:`bench.scheduler.calls.call_worker`."""


def measure_all(requests: Sequence[Measure], home: Path, *, ask: Ask | None = None) -> list[Cost | Failure]:
    """Answer each request from the figures below a BENCH_HOME; measure the rest in one worker process.

    Args:
        requests: The nets.
        home: The BENCH_HOME.
        ask: What measures; by default a worker process.
    """
    path, versions = costs_file(home), _versions()
    known = read_cache(path)
    keys = [_key(request, versions) for request in requests]
    unknown = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
    answers = (ask or call_worker)(list(unknown.values()), threads=cpu_cores()) if unknown else []
    measured = dict(zip(unknown, answers, strict=True))
    if costs := {key: asdict(answer) for key, answer in measured.items() if isinstance(answer, Cost)}:
        with suppress(OSError):  # looking needs no writing: they are measured again the next time
            add_to_cache(path, costs)
    return [measured[key] if key in measured else _cost(known[key]) for key in keys]


def costs_of(
    cells: Iterable[Cell], num_classes: Callable[[str], int | None], home: Path, *, ask: Ask | None = None
) -> tuple[dict[str, Cost], dict[str, str]]:
    """Costs by cell id, and by cell id the sentence why a net could not be measured.

    Args:
        cells: The cells.
        num_classes: Returns the number of classes of a data set; None for one that is not here, whose nets are left
            out.
        home: The BENCH_HOME.
        ask: What measures; by default a worker process.
    """
    classes: dict[str, int | None] = {}
    ids: dict[Measure, list[str]] = {}
    for cell in cells:
        if cell.dataset not in classes:
            classes[cell.dataset] = num_classes(cell.dataset)
        if (count := classes[cell.dataset]) is not None:
            recipe = cell.recipe
            request = Measure(model=cell.model, stem=recipe.stem, input_size=recipe.input_size, num_classes=count)
            ids.setdefault(request, []).append(cell.id)
    costs, errors = {}, {}
    for cell_ids, answer in zip(ids.values(), measure_all(list(ids), home, ask=ask), strict=True):
        if isinstance(answer, Failure):
            errors.update(dict.fromkeys(cell_ids, answer.error))
        else:
            costs.update(dict.fromkeys(cell_ids, answer))
    return costs, errors


def _cost(entry: dict[str, object]) -> Cost:
    """The cost in an entry of the cache; older versions kept the request beside it."""
    return from_dict(Cost, {field.name: entry[field.name] for field in fields(Cost) if field.name in entry})


def _versions() -> str:
    return " ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)


def _key(request: Measure, versions: str) -> str:
    """The key of a figure; its format is that of the caches on disk."""
    net = [request.input_size, request.model, request.num_classes, request.stem]
    return json.dumps([*net, versions, model_digest(request.model)])
