"""``bench models``, ``bench datasets`` and ``bench schedules``: what a suite can name."""

import fnmatch

import click

from bench.catalog.models import MODELS, model_stems, timm_names
from bench.catalog.options import Option
from bench.catalog.training import SCHEDULES, WARMUP
from bench.cli.options import json_option
from bench.cli.output import columns, print_json
from bench.datasets.source import published_sources


@click.command()
@click.argument("pattern", default="*")
@click.option("--timm", is_flag=True, help="List timm's models too.")
@json_option
def models(pattern: str, timm: bool, as_json: bool) -> None:
    """List the models that a suite can name, those that match PATTERN (a glob such as 'resnet*')."""
    names = [*MODELS, *([f"timm/{name}" for name in timm_names()] if timm or pattern.startswith("timm/") else [])]
    found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    if as_json:
        print_json({"models": [{"model": name, "stems": model_stems(name)} for name in found]})
        return
    click.echo(columns(("model", "stems"), [(name, ", ".join(model_stems(name))) for name in found]))
    click.echo(f"\n{len(found)} models; also timm/NAME ({len(timm_names())} nets) and path/to/file.py:function")


@click.command()
@json_option
def datasets(as_json: bool) -> None:
    """List the data sets that a suite can name."""
    if as_json:
        fields = ("num_classes", "input_size", "channels", "train_images", "test_images", "licence", "source")
        content = [
            {
                "dataset": source.name,
                "title": source.title,
                **{field: getattr(source.facts(), field) for field in fields},
            }
            for source in published_sources()
        ]
        print_json({"datasets": content})
        return
    rows = [
        (
            source.name,
            source.title,
            source.num_classes,
            source.input_size,
            f"{source.train_images:,}",
            f"{source.test_images:,}",
        )
        for source in published_sources()
    ]
    click.echo(columns(("dataset", "title", "classes", "pixels", "train", "test"), rows))
    click.echo("\nalso folder:PATH, a tree of train/CLASS/*.jpg and val/ or test/; bench data list says what is here")


@click.command()
@json_option
def schedules(as_json: bool) -> None:
    """List the learning-rate schedules that a suite can name."""
    if as_json:
        print_json({"schedules": [schedule_entry(kind) for kind in SCHEDULES]})
        return
    for kind, spec in SCHEDULES.items():
        click.echo(f"{kind}: {spec.formula}")
        for name, option in {**spec.options, **WARMUP}.items():
            default = "required" if option.default is None else f"default {option.default}"
            click.echo(f"    {name:<14} {option.doc} ({default})")


def schedule_entry(kind: str) -> dict[str, object]:
    """A schedule as ``schedules --json`` shows it."""
    spec = SCHEDULES[kind]
    options = {name: option_entry(option) for name, option in {**spec.options, **WARMUP}.items()}
    return {"kind": kind, "formula": spec.formula, "options": options}


def option_entry(option: Option) -> dict[str, object]:
    """An option as JSON shows it."""
    return {"type": option.type, "default": option.default, "required": option.default is None, "doc": option.doc}
