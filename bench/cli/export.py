"""``bench export``: the trained net of a run for other programs."""

from typing import TYPE_CHECKING

import click

from bench.cli.options import tracking_option
from bench.cli.output import say
from bench.text import counted, percent

if TYPE_CHECKING:
    from bench.workspace.requests import ExportFormat


@click.command()
@click.argument("run")
@click.option(
    "--to",
    required=True,
    type=click.Choice(["onnx", "torchscript", "folder"]),
    help="onnx: one file for any runtime of ONNX; torchscript: one file for torch; folder: weights, configuration, "
    "classes and the lines that load them.",
)
@click.option("-o", "--output", type=click.Path(), help="File or folder. Default: named after the net and the cell.")
@tracking_option
def export(run: str, to: "ExportFormat", output: str | None, tracking_uri: str | None) -> None:
    """Write the trained net of a run for other programs; RUN is the beginning of an MLflow run's or a cell's id.

    What was written is tried: it must give the same classes as the trained net on 1,000 test images.
    """
    from bench.api.export import export_run
    from bench.api.outcomes import find_store

    path, exported = export_run(run, to, output, find_store(tracking_uri))
    size = exported.input_size
    all_of = "all " if exported.images == exported.test_images else ""
    ties = f" ({counted(exported.ties, 'tie')} went the other way)" if exported.ties else ""
    say(f"wrote {path}, which needs {exported.needs}")
    say(f"takes normalised images (N, 3, {size}, {size}) float32, gives scores (N, {exported.classes})")
    say(
        f"the same classes as the trained net on {all_of}{counted(exported.images, 'test image')}{ties}, "
        f"{percent(exported.top1)}% of them right"
    )
