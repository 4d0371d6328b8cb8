"""``bench measure``: params and FLOPs of models."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bench.cli.options import complete_datasets, complete_models, json_option
from bench.cli.output import columns, print_json

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
    """Count params and FLOPs of models; one multiply-add counts as one flop.

    Without --dataset the input is 224 pixels with 1000 classes.
    """
    from bench.api.measuring import measure_models

    nets = measure_models(names, dataset=dataset, input_size=input_size, num_classes=num_classes, stem=stem)
    if as_json:
        print_json({"models": [entry(net) for net in nets]})
        return
    rows = [
        (
            net.model,
            net.stem,
            f"{net.input_size}x{net.input_size}",
            net.num_classes,
            f"{net.cost.params / 1e6:.3f}",
            f"{net.cost.flops / 1e6:.3f}",
            f"{net.cost.conv_linear_macs / 1e6:.3f}",
            remark(net.cost),
        )
        for net in nets
    ]
    headers = ("model", "stem", "input", "classes", "params(M)", "flops(M)", "conv+linear(M)", "")
    click.echo(columns(headers, rows))


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
        remarks.append(f"torch's counter gives {cost.torch_macs / 1e6:.3f} M conv+linear")
    if cost.uncounted:
        remarks.append(f"uncounted: {', '.join(cost.uncounted)}")
    return "; ".join(remarks)
