"""Params, FLOPs and, if asked, the speed of nets: by name, or those of suites."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import ModelError, UsageError

if TYPE_CHECKING:
    from bench.api.net_speeds import SpeedOptions
    from bench.api.options import Note
    from bench.values import Cost, Failure, NetSpeed, Stem
    from bench.workspace.requests import Measure


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A net with its cost at one input size."""

    model: str
    stem: "Stem"
    input_size: int
    """Height and width in pixels."""
    num_classes: int
    cost: "Cost"
    speed: "NetSpeed | None" = None
    """None where it was not asked for."""


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
    speed: "SpeedOptions | None" = None,
    note: "Note" = lambda _: None,
) -> MeasuredNets:
    """As :func:`measure_models`; a net that cannot be built or measured costs no other its figures.

    Args:
        names: Of nets, or of suite files, which stand for their nets.
        dataset: Gives the input size and the classes of nets by name.
        input_size: Of nets by name.
        num_classes: Of nets by name.
        stem: Of nets by name.
        speed: How to time the nets; None: only their costs are measured.
        note: Takes sentences about the progress.

    Raises:
        UsageError: A net or the data set is unknown, a net has no such stem, two arguments contradict each other, or
            a suite file is wrong.
        DataError: A folder data set is missing.
        BenchError: Speed is asked for and cells train on this machine now.
    """
    from bench.api.net_speeds import time_nets
    from bench.scheduler.costs import measure_all
    from bench.values import Failure
    from bench.workspace.paths import bench_home
    from bench.workspace.requests import Measure

    nets: dict[tuple[Measure, str], None] = {}
    if suites := [name for name in names if is_suite(name)]:
        if dataset or input_size or num_classes or stem:
            raise UsageError(f"{suites[0]} says the input of its nets; leave --dataset, --input-size and the like out")
        nets |= dict.fromkeys(_nets_of_suites(suites))
    if by_name := [name for name in names if not is_suite(name)]:
        size, classes = _shape(dataset, input_size, num_classes)
        for name in by_name:
            request = Measure(model=name, stem=_stem(name, stem, size), input_size=size, num_classes=classes)
            nets[request, "fp32"] = None
    costs = dict(zip(nets, measure_all([net for net, _ in nets], bench_home()), strict=True))
    counted = [net for net, cost in costs.items() if not isinstance(cost, Failure)]
    speeds = dict(zip(counted, time_nets(counted, speed, note), strict=True)) if speed else {}
    found = MeasuredNets([], {})
    for net, cost in costs.items():
        request, timed = net[0], speeds.get(net)
        if isinstance(cost, Failure):
            found.failures[request.model] = cost
            continue
        if isinstance(timed, Failure):
            found.failures[request.model] = timed
            timed = None
        found.measured.append(
            Measured(
                model=request.model,
                stem=request.stem,
                input_size=request.input_size,
                num_classes=request.num_classes,
                cost=cost,
                speed=timed,
            )
        )
    return found


def is_suite(name: str) -> bool:
    """Whether a name is that of a suite file and not of a net."""
    return name.endswith((".yaml", ".yml"))


def _nets_of_suites(paths: Sequence[str]) -> "list[tuple[Measure, str]]":
    """The nets of suites, in their order, with the precision of their recipes."""
    from bench.api.outcomes import load_suites
    from bench.datasets.source import open_source
    from bench.workspace.requests import Measure

    cells = [cell for suite in load_suites(paths) for cell in suite.cells]
    classes = {name: open_source(name).num_classes for name in dict.fromkeys(cell.dataset for cell in cells)}
    return [
        (
            Measure(
                model=cell.model,
                stem=cell.recipe.stem,
                input_size=cell.recipe.input_size,
                num_classes=classes[cell.dataset],
            ),
            cell.recipe.precision,
        )
        for cell in cells
    ]


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
