"""``bench data list | get | verify | card | path``: parse, call, print."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.options import complete_datasets, json_option
from bench.cli.output import columns, print_json, say
from bench.errors import DataError, UsageError

names_argument = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_datasets)


@click.group()
def data() -> None:
    """List, download, import, verify and locate data sets in BENCH_DATA (default: the user's cache folder)."""


def valid_names(names: Sequence[str]) -> Sequence[str]:
    """The names, if all of them can be data sets.

    Raises:
        UsageError: Some cannot; every one is named.
    """
    from bench.datasets.source import dataset_problem

    if problems := [problem for name in names if (problem := dataset_problem(name))]:
        raise UsageError("\n".join(problems))
    return names


@data.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show which data sets are on this machine."""
    from bench.datasets.card import dataset_states
    from bench.workspace.paths import data_home

    states = dataset_states(data_home())
    if as_json:
        print_json({"datasets": [state._asdict() for state in states]})
        return
    rows = [(state.dataset, state.state, state.note.splitlines()[0]) for state in states]
    say(columns(("dataset", "state", ""), rows))
    say(f"\nfolder: {data_home()}")


@data.command()
@names_argument
@click.option(
    "--from",
    "origin",
    metavar="PATH",
    help="Import the data set from this folder or archive, in any common format, instead of downloading it. For "
    "imagenet300: imagenet, to generate its image list.",
)
def get(names: Sequence[str], origin: str | None) -> None:
    """Download data sets and check them, or import a copy that you already have."""
    from bench.cli.downloads import show_downloads
    from bench.datasets.source import require
    from bench.workspace.paths import data_home, expand

    valid_names(names)
    if origin is None:
        with show_downloads() as on_progress:
            require(names, data_home(), download=True, on_progress=on_progress)
        for name in names:
            say(f"{name}: ready")
    elif "imagenet300" in names:
        report_image_list(names, origin)
    else:
        report_import(names, expand(origin).absolute())


def report_import(names: Sequence[str], path: Path) -> None:
    """Import a data set and say what it holds. Raises as :func:`bench.api.data.import_copy`."""
    from bench.api.data import import_copy

    card = import_copy(names, path)
    say(f"{names[0]}: ready, imported from the {card['form']}")
    say(f"  {card['train_images']:,} training and {card['test_images']:,} test images, digest {card['digest']}")


def report_image_list(names: Sequence[str], origin: str) -> None:
    """Generate imagenet300's list and say what is in it.

    Raises:
        UsageError: As :func:`bench.api.data.generate_image_list`.
        DataError: ImageNet is missing or incomplete, or the list cannot be written.
    """
    from bench.api.data import generate_image_list
    from bench.datasets.source import open_source
    from bench.workspace.paths import data_home

    path = generate_image_list(names, origin)
    status = open_source("imagenet300").status(data_home())
    say(f"imagenet300: {status.state}. {status.sentence}")
    if status.state != "ready":
        raise DataError(f"{path} was written, but from an incomplete ImageNet; regenerate it once ImageNet is complete")


@data.command()
@names_argument
@click.option("--deep", is_flag=True, help="Also decode all images: class balance, duplicates, contradicting labels.")
@json_option
def verify(names: Sequence[str], deep: bool, as_json: bool) -> None:
    """Check data sets completely: checksums of files, counts of images, headers of images in folders."""
    from bench.api.data import inspect_contents
    from bench.datasets.card import content_lines
    from bench.datasets.source import open_source
    from bench.workspace.paths import data_home

    found = [open_source(name).status(data_home(), deep=True) for name in valid_names(names)]
    contents = inspect_contents([status.name for status in found if status.state == "ready"]) if deep else {}
    if as_json:
        rows = [{"dataset": status.name, "state": status.state, "note": status.sentence} for status in found]
        contents_of = {name: {"contents": content} for name, content in contents.items()}
        print_json({"datasets": [{**row, **contents_of.get(row["dataset"], {})} for row in rows]})
    else:
        for status in found:
            say(f"{status.name}: {status.state}. {status.sentence}")
            for line in content_lines(contents[status.name]) if status.name in contents else ():
                say(f"  {line}")
    bad = [status.name for status in found if status.state != "ready"]
    broken = [content["error"] for content in contents.values() if "error" in content]
    if bad or broken:
        raise DataError("\n".join([*([f"not ready: {', '.join(bad)}"] if bad else []), *broken]))


@data.command()
@names_argument
@json_option
def card(names: Sequence[str], as_json: bool) -> None:
    """Describe data sets: classes, counts, sizes, mean and deviation, licence, sources, checksums, digest."""
    from bench.datasets.card import card_lines, dataset_card
    from bench.workspace.paths import data_home

    cards = [dataset_card(name, data_home()) for name in valid_names(names)]
    if as_json:
        print_json({"datasets": cards})
        return
    say("\n\n".join("\n".join(card_lines(content)) for content in cards))


@data.command()
@names_argument
def path(names: Sequence[str]) -> None:
    """Print the folders of data sets."""
    from bench.datasets.source import open_source
    from bench.workspace.paths import data_home

    for name in valid_names(names):
        say(str(open_source(name).status(data_home()).folder))
