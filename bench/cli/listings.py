"""``bench models`` and ``bench datasets``: what a suite can name."""

import click

from bench.catalog.models import matching_models, model_stems, timm_names
from bench.cli.options import json_option
from bench.cli.output import columns, print_json, say
from bench.datasets.source import published_sources
from bench.text import counted


@click.command()
@click.argument("pattern", default="*")
@click.option("--timm", is_flag=True, help="List timm's models, too, before the others.")
@json_option
def models(pattern: str, timm: bool, as_json: bool) -> None:
    """List the models that a suite can name, those that match PATTERN (a glob such as 'resnet*')."""
    found = matching_models(pattern, timm=timm)
    if as_json:
        print_json({"models": [{"model": name, "stems": model_stems(name)} for name in found]})
        return
    say(columns(("model", "stems"), [(name, ", ".join(model_stems(name))) for name in found]))
    say(f"\n{counted(len(found), 'model')}; also timm/NAME ({len(timm_names())} nets) and path/to/file.py:function")


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
    say(columns(("dataset", "title", "classes", "pixels", "train", "test"), rows))
    say("\nalso folder:PATH, a tree of train/CLASS/*.jpg and val/ or test/; bench data list says what is here")
