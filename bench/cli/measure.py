"""``bench measure``: params, FLOPs and speed of models."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, get_args

import click

from bench.catalog.models import AUXILIARY, matching_models
from bench.cli.options import complete_datasets, complete_models, json_option
from bench.cli.output import columns, note, print_json, say
from bench.errors import ModelError, UsageError
from bench.recipe import Precision
from bench.text import millions

if TYPE_CHECKING:
    from bench.api.measuring import Measured
    from bench.values import NetSpeed, Stem


@click.command()
@click.argument("names", metavar="MODEL|SUITE...", nargs=-1, required=True, shell_complete=complete_models)
@click.option("--dataset", shell_complete=complete_datasets, help="Take input size and classes from this data set.")
@click.option("--input-size", type=click.IntRange(1, 4096), help="Height and width in pixels.")
@click.option("--num-classes", type=click.IntRange(1), help="Classes of the head.")
@click.option("--stem", type=click.Choice(["small", "standard"]), help="Stem of the net. Default: by input size.")
@click.option("--speed", is_flag=True, help="Also time the finished net: one image, and batches of 64.")
@click.option("--device", default=None, metavar="auto|cpu|cuda[:0]", help="Where --speed measures.  [default: auto]")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads of --speed.  [default: 1]")
@click.option(
    "--precision", type=click.Choice(get_args(Precision)), help="Of --speed.  [default: the recipe's, or fp32]"
)
@click.option("--again", is_flag=True, help="Let --speed measure what it has measured before, too.")
@json_option
def measure(
    names: Sequence[str],
    dataset: str | None,
    input_size: int | None,
    num_classes: int | None,
    stem: "Stem | None",
    speed: bool,
    device: str | None,
    threads: int | None,
    precision: "Precision | None",
    again: bool,
    as_json: bool,
) -> None:
    """Count params and FLOPs of models, by name or by a glob such as 'resnet*'; one multiply-add counts as one flop.

    Without --dataset the input is 224 pixels with 1000 classes. A suite file stands for its nets at their input sizes.
    With --speed, bench keeps the answers for the columns latency and throughput of bench report.
    """
    from bench.api.measuring import try_models
    from bench.api.net_speeds import SpeedOptions

    if not speed and (device or threads or precision or again):
        raise UsageError("--device, --threads, --precision and --again are about --speed; add it")
    options = SpeedOptions(device=device or "auto", threads=threads or 1, precision=precision, again=again)
    nets, failures = try_models(
        expand(names),
        dataset=dataset,
        input_size=input_size,
        num_classes=num_classes,
        stem=stem,
        speed=options if speed else None,
        note=note,
    )
    if as_json:
        errors = [{"model": name, "error": failure.error} for name, failure in failures.items()]
        print_json({"models": [entry(net) for net in nets], "errors": errors})
    elif nets:
        say(table(nets, speed=speed))
    if failures:  # after what could be measured, which no other net's fault may hide
        raise ModelError("\n".join(map(str, failures.values())))


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
    if name.endswith((".yaml", ".yml")):
        return False
    return any(mark in name for mark in "*?[") and ".py:" not in name and "(" not in name


def table(nets: "Sequence[Measured]", *, speed: bool) -> str:
    """Nets as lines, with their speeds and what these mean."""
    if not speed:
        return columns(HEADERS, [row(net) for net in nets])
    rows = [(*row(net)[:-1], *times(net.speed), row(net)[-1]) for net in nets]
    timed = [net.speed for net in nets if net.speed]
    meaning = "latency of one image, images/s in batches of {}, in eval mode; medians of repeats ± interquartile range"
    conditions = dict.fromkeys((each.conditions, each.batch) for each in timed)
    legend = "".join(f"\n{condition}: {meaning.format(batch)}" for condition, batch in conditions)
    return columns((*HEADERS[:-1], "latency(ms)", "images/s", ""), rows) + legend


def times(speed: "NetSpeed | None") -> tuple[str, str]:
    """Latency and throughput as the table shows them."""
    if speed is None:
        return "-", "-"
    return (
        f"{speed.latency_ms:.2f} ± {speed.latency_iqr_ms:.2f}",
        f"{speed.images_per_s:.0f} ± {speed.images_per_s_iqr:.0f}",
    )


HEADERS = ("model", "stem", "input", "classes", "params(M)", "flops(M)", "conv+linear(M)", "")


def row(net: "Measured") -> tuple[object, ...]:
    """A net as a row of the table."""
    size = f"{net.input_size}x{net.input_size}"
    counts = (net.cost.params, net.cost.flops, net.cost.conv_linear_macs)
    return (net.model, net.stem, size, net.num_classes, *map(millions, counts), remark(net))


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
        "torch_macs": net.cost.torch_macs,
        "uncounted": list(net.cost.uncounted),
        "remark": remark(net),
        **(asdict(net.speed) if net.speed else {}),
    }


def remark(net: "Measured") -> str:
    """What a reader must know about a measurement."""
    cost = net.cost
    remarks = [cost.unmeasured] if cost.unmeasured else []
    if net.model in AUXILIARY:
        remarks.append("without its auxiliary heads")
    if not cost.agrees:
        remarks.append(f"torch's counter gives {millions(cost.torch_macs)} M conv+linear")
    if cost.uncounted:
        remarks.append(f"uncounted: {', '.join(cost.uncounted)}")
    return "; ".join(remarks)
