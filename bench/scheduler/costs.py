"""Params and FLOPs of nets on the control side: measured by a worker once, then kept in BENCH_HOME.

The key of a figure is the net, its stem, input size, classes, the versions of the libraries that build and count it
and, for a net of a file, the file's content.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from importlib import metadata
from pathlib import Path

from bench.scheduler.calls import call_worker
from bench.scheduler.devices import cpu_cores
from bench.values import Cell, Cost, Failure, from_dict
from bench.workspace.cache import add_to_cache, read_cache
from bench.workspace.files import write_atomically
from bench.workspace.fingerprint import model_digest
from bench.workspace.paths import costs_file, net_traceback
from bench.workspace.requests import Measure

LIBRARIES = ("torch", "torchvision", "timm", "fvcore")

COUNTING_RULES = 2
"""Raised whenever a net is counted or checked by other rules than before, so that it is measured again."""

Ask = Callable[..., list[Cost | Failure]]
"""As :func:`bench.scheduler.calls.call_worker`."""


def measure_all(
    requests: Sequence[Measure], home: Path, *, ask: Ask | None = None, limit_s: float | None = None
) -> list[Cost | Failure]:
    """Answer each request from the figures below a BENCH_HOME; measure the rest in worker processes.

    Only figures are kept: a net that failed is tried again by the next call. Each traceback is written to a file.

    Args:
        requests: The nets.
        home: The BENCH_HOME.
        ask: What measures; by default worker processes.
        limit_s: How long one net may take, in seconds; None: :attr:`Measure.limit_s`.
    """
    path, versions = costs_file(home), _versions()
    known = read_cache(path)
    keys = [_key(request, versions) for request in requests]
    unknown = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
    answers = (ask or call_worker)(list(unknown.values()), threads=cpu_cores(), limit_s=limit_s) if unknown else []
    measured = {key: _with_file(answer, key, home) for key, answer in zip(unknown, answers, strict=True)}
    if costs := {key: asdict(answer) for key, answer in measured.items() if isinstance(answer, Cost)}:
        with suppress(OSError):  # looking needs no writing: they are measured again the next time
            add_to_cache(path, costs)
    return [measured[key] if key in measured else _cost(known[key]) for key in keys]


def costs_of(
    cells: Iterable[Cell],
    num_classes: Callable[[str], int | None],
    home: Path,
    *,
    ask: Ask | None = None,
    limit_s: float | None = None,
) -> tuple[dict[str, Cost], dict[str, Failure]]:
    """Costs by cell id, and by cell id why a net could not be measured.

    Args:
        cells: The cells.
        num_classes: Returns the number of classes of a data set; None for one that is not here, whose nets are left
            out.
        home: The BENCH_HOME.
        ask: What measures; by default a worker process.
        limit_s: As in :func:`measure_all`.
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
    costs, failures = {}, {}
    answers = measure_all(list(ids), home, ask=ask, limit_s=limit_s)
    for cell_ids, answer in zip(ids.values(), answers, strict=True):
        if isinstance(answer, Failure):
            failures.update(dict.fromkeys(cell_ids, answer))
        else:
            costs.update(dict.fromkeys(cell_ids, answer))
    return costs, failures


def _with_file(answer: Cost | Failure, key: str, home: Path) -> Cost | Failure:
    """The answer; a failure's traceback is written to a file, which it names."""
    if isinstance(answer, Cost) or not answer.traceback:
        return answer
    path = net_traceback(home, hashlib.sha256(key.encode()).hexdigest()[:12])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, answer.traceback)
    except OSError:
        return answer  # looking at nets needs no folder that can be written
    return replace(answer, file=str(path))


def _cost(entry: dict[str, object]) -> Cost:
    """The cost in an entry of the cache; older versions kept the request beside it."""
    return from_dict(Cost, {field.name: entry[field.name] for field in fields(Cost) if field.name in entry})


def _versions() -> str:
    versions = [f"{name} {metadata.version(name)}" for name in LIBRARIES]
    return " ".join([*versions, f"rules {COUNTING_RULES}"])


def _key(request: Measure, versions: str) -> str:
    """The key of a figure; its format is that of the caches on disk."""
    net = [request.input_size, request.model, request.num_classes, request.stem]
    return json.dumps([*net, versions, model_digest(request.model)])
