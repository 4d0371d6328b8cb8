"""``bench measure``: params and FLOPs of models."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bench.catalog.models import matching_models
from bench.cli.options import complete_datasets, complete_models, json_option
from bench.cli.output import columns, print_json, say
from bench.errors import UsageError
from bench.text import millions

if TYPE_CHECKING:
    from bench.api.measuring import Measured
    from bench.values import Cost, Stem


@click.command()
@click.argument("names", metavar="MODEL...", nargs=-1, required=True, shell_complete=complete_models)
@click.option("--dataset", shell_complete=complete_datasets, help="Take input size and classes from this data set.")
@click.option("--input-size", type=click.IntRange(1, 4096), help="Height and width in pixels.")
@click.option("--num-classes", type=click.IntRange(1), help="Classes of the head.")
@click.option("--stem", type=click.Choice(["small", "standard"]), help="Stem of the net. Default: by input size.")
@json_option
def measure(
    names: Sequence[str],
    dataset: str | None,
    input_size: int | None,
    num_classes: int | None,
    stem: "Stem | None",
    as_json: bool,
) -> None:
    """Count params and FLOPs of models, by name or by a glob such as 'resnet*'; one multiply-add counts as one flop.

    Without --dataset the input is 224 pixels with 1000 classes.
    """
    from bench.api.measuring import measure_models

    nets = measure_models(expand(names), dataset=dataset, input_size=input_size, num_classes=num_classes, stem=stem)
    if as_json:
        print_json({"models": [entry(net) for net in nets]})
        return
    rows = [
        (
            net.model,
            net.stem,
            f"{net.input_size}x{net.input_size}",
            net.num_classes,
            millions(net.cost.params),
            millions(net.cost.flops),
            millions(net.cost.conv_linear_macs),
            remark(net.cost),
        )
        for net in nets
    ]
    headers = ("model", "stem", "input", "classes", "params(M)", "flops(M)", "conv+linear(M)", "")
    say(columns(headers, rows))


def expand(names: Sequence[str]) -> list[str]:
    """Names with those that a glob stands for.

    Raises:
        UsageError: A glob matches no model.
    """
    found: dict[str, None] = {}
    for name in names:
        matches = matching_models(name) if is_glob(name) else [name]
        if not matches:
            raise UsageError(f"no model matches {name!r}; bench models lists them")
        found |= dict.fromkeys(matches)
    return list(found)


def is_glob(name: str) -> bool:
    """Whether a name is a pattern of models; the parentheses of a file's net may hold anything."""
    return any(mark in name for mark in "*?[") and ".py:" not in name and "(" not in name


def entry(net: "Measured") -> dict[str, object]:
    """A net as ``measure --json`` shows it."""
    return {
        "model": net.model,
        "stem": net.stem,
        "input_size": net.input_size,
        "num_classes": net.num_classes,
        "params": net.cost.params,
        "flops": net.cost.flops,
        "conv_linear_macs": net.cost.conv_linear_macs,
        "uncounted": list(net.cost.uncounted),
    }


def remark(cost: "Cost") -> str:
    """What a reader must know about a measurement."""
    remarks = []
    if not cost.agrees:
        remarks.append(f"torch's counter gives {millions(cost.torch_macs)} M conv+linear")
    if cost.uncounted:
        remarks.append(f"uncounted: {', '.join(cost.uncounted)}")
    return "; ".join(remarks)
