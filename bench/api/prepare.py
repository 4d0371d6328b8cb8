"""What cells need before they can run: data sets, and the params and FLOPs of their nets."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.errors import DataError, UsageError

if TYPE_CHECKING:
    from bench.datasets.prepared import Prepared
    from bench.datasets.published import Progress
    from bench.values import Cell, Cost, DataKey, Failure, Outcome, Suite


def fetch_data(suite: "Suite", *, download: bool, on_progress: "Progress | None" = None) -> None:
    """Download the data sets of a suite that are missing.

    Raises:
        DataError: A data set is missing and cannot be downloaded; every such data set is named.
    """
    from bench.datasets.source import require
    from bench.workspace.paths import data_home

    names = list(dict.fromkeys(cell.dataset for cell in suite.cells))
    whole = {cell.dataset for cell in suite.cells if cell.recipe.max_images_per_class is None}
    require(names, data_home(), download=download, on_progress=on_progress, partly=set(names) - whole)


def check_augmentations(suite: "Suite") -> None:
    """Refuse augmentations that a data set cannot have, before anything is decoded.

    Raises:
        UsageError: There are some; each is named once.
    """
    from bench.datasets.prepared import augmentation_problem

    asked = {(cell.dataset, cell.recipe.input_size, cell.recipe.augment): cell for cell in suite.cells}
    if problems := [problem for cell in asked.values() if (problem := augmentation_problem(cell))]:
        raise UsageError("\n".join(f"{suite.path}: {problem}" for problem in dict.fromkeys(problems)))


def data_remarks(suite: "Suite") -> list[str]:
    """What of a suite's data sets is not used or is enlarged, one sentence per data set.

    Raises:
        DataError: A folder is malformed.
    """
    from bench.datasets.source import open_source
    from bench.workspace.paths import data_home

    sizes: dict[str, list[int]] = {}
    for cell in suite.cells:
        sizes.setdefault(cell.dataset, []).append(cell.recipe.input_size)
    remarks = {name: open_source(name).remarks(data_home(), of_name) for name, of_name in sizes.items()}
    return [f"{name}: {'; '.join(found)}" for name, found in remarks.items() if found]


def prepare_data(keys: "Iterable[DataKey]") -> "dict[DataKey, Prepared]":
    """Pack or index data sets once, so that all cells share them.

    Raises:
        DataError: One is broken; every such data set is named.
    """
    from bench.datasets.prepared import look
    from bench.scheduler.calls import call_worker
    from bench.scheduler.devices import cpu_cores
    from bench.values import Failure
    from bench.workspace.paths import data_home
    from bench.workspace.requests import Prepare

    home = data_home()
    prepared = {key: look(key, home) for key in keys}
    missing = [key for key, known in prepared.items() if known is None]
    if missing:
        requests = [Prepare(**key._asdict(), data_home=str(home)) for key in missing]
        answers = call_worker(requests, threads=cpu_cores())
        if errors := [answer.error for answer in answers if isinstance(answer, Failure)]:
            raise DataError("\n".join(errors))
        prepared.update({key: look(key, home) for key in missing})
    if changed := [key.dataset for key, known in prepared.items() if known is None]:
        raise DataError(f"{', '.join(changed)} changed while it was prepared; run again when nothing writes to it")
    return {key: known for key, known in prepared.items() if known is not None}


def measure_costs(suite: "Suite", limit_s: float | None = None) -> "tuple[dict[str, Cost], dict[str, Failure]]":
    """Params and FLOPs of a suite's nets by cell id, and by cell id why a net cannot be measured.

    A net that takes longer than ``limit_s`` seconds counts as hanging; None: :attr:`Measure.limit_s`.
    """
    from bench.scheduler.costs import costs_of
    from bench.workspace.paths import bench_home

    return costs_of(suite.cells, _classes_of, bench_home(), limit_s=limit_s)


def past_cells() -> "list[tuple[Cell, Outcome]]":
    """Cells of any suite that ran on this machine, for time estimates."""
    from bench.workspace.cells import local_history
    from bench.workspace.paths import bench_home

    return local_history(bench_home())


def _classes_of(dataset: str) -> int | None:
    """Number of classes of a data set; None for a folder that is missing."""
    from bench.datasets.source import open_source

    try:
        return open_source(dataset).num_classes
    except DataError:
        return None
