"""Options that several commands share, and what completes and checks them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from bench.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., object])


def complete_models(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shell completion of model names."""
    from bench.catalog.models import MODELS, timm_names

    names = [f"timm/{name}" for name in timm_names()] if incomplete.startswith("timm/") else [*MODELS, "timm/"]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_datasets(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shell completion of data set names."""
    from bench.datasets.source import complete_name

    return [CompletionItem(name) for name in complete_name(incomplete)]


def suite_options(command: Command) -> Command:
    """``SUITE...``, ``--filter`` and ``--set``."""
    for decorate in (
        click.argument("paths", metavar="[SUITE]...", nargs=-1, type=click.Path()),
        click.option(
            "filters",
            "--filter",
            metavar="AXIS=GLOB",
            multiple=True,
            help="Only cells that match, e.g. model='resnet*'. Axes: model, dataset, schedule, seed, stem, id. "
            "Repeatable.",
        ),
        click.option(
            "overrides",
            "--set",
            metavar="recipe.KEY=VALUE",
            multiple=True,
            help="Change the recipe of every cell, e.g. recipe.epochs=3 or recipe.optimizer.lr=0.05. Repeatable.",
        ),
    ):
        command = decorate(command)
    return command


max_images_option = click.option(
    "--max-images-per-class",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use N images per class (chosen by a hash of their names); counted as separate cells.",
)


tracking_option = click.option(
    "tracking_uri",
    "--tracking-uri",
    metavar="URI",
    help="MLflow store. Default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db in the current folder.",
)


json_option = click.option("as_json", "--json", is_flag=True, help="Print JSON.")


runs_option = click.option("--runs", is_flag=True, help="List the runs behind the numbers below the table.")


def all_overrides(overrides: Sequence[str], max_images_per_class: int | None) -> Sequence[str]:
    """The ``--set`` strings, with ``--max-images-per-class`` as one more."""
    if max_images_per_class is None:
        return overrides
    return [*overrides, f"recipe.max_images_per_class={max_images_per_class}"]


def required(paths: Sequence[str]) -> Sequence[str]:
    """At least one suite file.

    Raises:
        UsageError: None was named.
    """
    if not paths:
        found = sorted(str(path) for folder in (Path(), Path("suites")) for path in folder.glob("*.yaml"))
        command = f"{context.command_path} " if (context := click.get_current_context(silent=True)) else ""
        raise UsageError(f"missing suite file, e.g. {command}{found[0] if found else 'suites/digits.yaml'}")
    return paths
