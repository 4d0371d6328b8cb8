"""Params and FLOPs of nets by name, without a suite."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import ModelError, UsageError

if TYPE_CHECKING:
    from bench.values import Cost, Failure, Stem


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A net with its cost at one input size."""

    model: str
    stem: "Stem"
    input_size: int
    """Height and width in pixels."""
    num_classes: int
    cost: "Cost"


class MeasuredNets(NamedTuple):
    """The nets that could be measured, and why the others could not."""

    measured: list[Measured]
    failures: "dict[str, Failure]"
    """By name."""


def measure_models(
    names: Sequence[str],
    *,
    dataset: str | None = None,
    input_size: int | None = None,
    num_classes: int | None = None,
    stem: "Stem | None" = None,
) -> list[Measured]:
    """Count params and FLOPs of nets. Without a data set the input is 224 pixels with 1000 classes.

    Raises:
        UsageError: A net or the data set is unknown, a net has no such stem, or two arguments contradict each other.
        DataError: A folder data set is missing.
        ModelError: A net cannot be built or measured; every such net is named.
    """
    found = try_models(names, dataset=dataset, input_size=input_size, num_classes=num_classes, stem=stem)
    if found.failures:
        raise ModelError("\n".join(map(str, found.failures.values())))
    return found.measured


def try_models(
    names: Sequence[str],
    *,
    dataset: str | None = None,
    input_size: int | None = None,
    num_classes: int | None = None,
    stem: "Stem | None" = None,
) -> MeasuredNets:
    """As :func:`measure_models`; a net that cannot be built or measured costs no other its figures.

    Raises:
        UsageError: A net or the data set is unknown, a net has no such stem, or two arguments contradict each other.
        DataError: A folder data set is missing.
    """
    from bench.scheduler.costs import measure_all
    from bench.values import Failure
    from bench.workspace.paths import bench_home
    from bench.workspace.requests import Measure

    size, classes = _shape(dataset, input_size, num_classes)
    requests = [
        Measure(model=name, stem=_stem(name, stem, size), input_size=size, num_classes=classes) for name in names
    ]
    found = MeasuredNets([], {})
    for request, answer in zip(requests, measure_all(requests, bench_home()), strict=True):
        if isinstance(answer, Failure):
            found.failures[request.model] = answer
        else:
            measured = Measured(
                model=request.model, stem=request.stem, input_size=size, num_classes=classes, cost=answer
            )
            found.measured.append(measured)
    return found


def _shape(dataset: str | None, input_size: int | None, num_classes: int | None) -> tuple[int, int]:
    """Input size and number of classes that the arguments name."""
    if dataset is None:
        return input_size or 224, num_classes or 1000
    if num_classes is not None:
        raise UsageError("--dataset already says how many classes there are; leave --num-classes out")
    from bench.datasets.source import dataset_problem, open_source

    if problem := dataset_problem(dataset):
        raise UsageError(problem)
    source = open_source(dataset)
    return input_size or source.input_size, source.num_classes


def _stem(name: str, stem: "Stem | None", size: int) -> "Stem":
    """The stem to build a net with."""
    from bench.catalog.models import default_stem, model_problem, model_stems

    if problem := model_problem(name):
        raise UsageError(problem)
    if stem and stem not in model_stems(name):
        raise UsageError(f"{name} has no {stem} stem; leave --stem out")
    return stem or default_stem(name, size)
