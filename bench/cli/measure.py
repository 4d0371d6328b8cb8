"""cli.measure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bench.catalog.models import default_stem, model_problem, model_stems
from bench.cli.options import complete_datasets, complete_models, json_option
from bench.cli.output import columns, print_json
from bench.datasets.source import dataset_problem, open_source
from bench.errors import ModelError, UsageError
from bench.values import Cost

if TYPE_CHECKING:
    from bench.workspace.requests import Measure


@click.command()
@click.argument("names", metavar="MODEL...", nargs=-1, required=True, shell_complete=complete_models)
@click.option("--dataset", shell_complete=complete_datasets, help="Take input size and classes from this data set.")
@click.option("--input-size", type=click.IntRange(1, 4096), help="Height and width in pixels.")
@click.option("--num-classes", type=click.IntRange(1), help="Classes of the head.")
@click.option("--stem", type=click.Choice(["small", "standard"]), help="Form of the net. Default: by input size.")
@json_option
def measure(
    names: Sequence[str],
    dataset: str | None,
    input_size: int | None,
    num_classes: int | None,
    stem: str | None,
    as_json: bool,
) -> None:
    """Count params and FLOPs of models; one multiply-add counts as one flop.

    Without --dataset the input is 224 pixels with 1000 classes.
    """
    from bench.scheduler.costs import measure_all
    from bench.workspace.paths import bench_home
    from bench.workspace.requests import Failure

    size, classes = shape(dataset, input_size, num_classes)
    requests = [request(name, stem, size, classes) for name in names]
    answers = measure_all(requests, bench_home())
    if errors := [answer.error for answer in answers if isinstance(answer, Failure)]:
        raise ModelError("\n".join(errors))
    costs = [(asked, answer) for asked, answer in zip(requests, answers, strict=True) if isinstance(answer, Cost)]
    if as_json:
        print_json({"models": [entry(asked, cost) for asked, cost in costs]})
        return
    rows = [
        (
            asked.model,
            asked.stem,
            f"{size}x{size}",
            classes,
            f"{cost.params / 1e6:.3f}",
            f"{cost.flops / 1e6:.3f}",
            f"{cost.conv_linear_macs / 1e6:.3f}",
            remark(cost),
        )
        for asked, cost in costs
    ]
    headers = ("model", "stem", "input", "classes", "params(M)", "flops(M)", "conv+linear(M)", "")
    click.echo(columns(headers, rows))


def shape(dataset: str | None, input_size: int | None, num_classes: int | None) -> tuple[int, int]:
    """Input size and classes that the options name.

    Raises:
        UsageError: The data set is unknown, or both it and --num-classes say how many classes there are.
        DataError: A folder data set is not there.
    """
    if dataset is None:
        return input_size or 224, num_classes or 1000
    if num_classes is not None:
        raise UsageError("--dataset already says how many classes there are; leave --num-classes out")
    if problem := dataset_problem(dataset):
        raise UsageError(problem)
    source = open_source(dataset)
    return input_size or source.input_size, source.num_classes


def request(name: str, stem: str | None, size: int, classes: int) -> "Measure":
    """What a worker is asked about one model.

    Raises:
        UsageError: There is no such model, or it has no such form.
    """
    if problem := model_problem(name):
        raise UsageError(problem)
    if stem and stem not in model_stems(name):
        raise UsageError(f"{name} has no {stem} stem; leave --stem out")
    from bench.workspace.requests import Measure

    return Measure(model=name, stem=stem or default_stem(name, size), input_size=size, num_classes=classes)


def entry(asked: "Measure", cost: Cost) -> dict[str, object]:
    """A measurement as ``measure --json`` shows it."""
    counts = {"params": cost.params, "flops": cost.flops, "conv_linear_macs": cost.conv_linear_macs}
    return {**vars(asked), **counts, "uncounted": list(cost.uncounted)}


def remark(cost: Cost) -> str:
    """What a reader must know of a measurement."""
    remarks = []
    if not cost.agrees:
        remarks.append(f"torch's counter says {cost.torch_macs / 1e6:.3f} M conv+linear")
    if cost.uncounted:
        remarks.append(f"uncounted: {', '.join(cost.uncounted)}")
    return "; ".join(remarks)
