"""``bench data list | get | verify | path``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from bench.catalog import DATASETS, dataset_problem
from bench.cli.common import columns, complete_datasets, json_option, note, print_json
from bench.errors import DataError, UsageError

Progress = Callable[[str, int, int], None]

names_argument = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_datasets)


@click.group()
def data() -> None:
    """List, fetch, verify and locate data sets. They live in BENCH_DATA (default: the user's cache folder)."""


@contextmanager
def show_progress() -> Iterator[Progress]:
    """A download bar on a terminal, one line a file elsewhere. Yields ``(file, bytes done, bytes in all)``."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, object] = {}

    def on_progress(file: str, done: int, total: int) -> None:
        if file not in tasks:
            tasks[file] = shown.add_task(file, total=total or None)
            if not console.is_terminal:
                note(f"fetching {file} ({total / 1e6:.1f} MB)")
        shown.update(tasks[file], completed=done, total=total or None)  # type: ignore[arg-type]

    with shown:
        yield on_progress


def known(names: Sequence[str]) -> Sequence[str]:
    """The names, all of which are data sets.

    Raises:
        UsageError: One is not.
    """
    if problems := [problem for name in names if (problem := dataset_problem(name))]:
        raise UsageError("\n".join(problems))
    return names


@data.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show which data sets are here."""
    from bench.fetch import status
    from bench.paths import data_home

    found = [status(name, data_home()) for name in DATASETS]
    if as_json:
        content = [{"dataset": s.name, "state": s.state, "folder": str(s.folder), "note": s.sentence} for s in found]
        print_json({"datasets": content})
        return
    click.echo(columns(("dataset", "state", ""), [(each.name, each.state, each.sentence) for each in found]))
    click.echo(f"\nfolder: {data_home()}")


@data.command()
@names_argument
@click.option("source", "--from", metavar="imagenet", help="Make imagenet300's list of images from the ImageNet here.")
def get(names: Sequence[str], source: str | None) -> None:
    """Fetch data sets, with a checksum."""
    from bench.fetch import require
    from bench.paths import data_home

    if source is not None:
        make_image_list(known(names), source)
        return
    with show_progress() as on_progress:
        require(list(known(names)), data_home(), download=True, on_progress=on_progress)
    for name in names:
        click.echo(f"{name}: ready")


def make_image_list(names: Sequence[str], source: str) -> None:
    """Write imagenet300's list and say what is in it.

    Raises:
        UsageError: Something else is asked for.
        DataError: ImageNet is not here, is not complete, or the list cannot be written.
    """
    from bench.fetch import status
    from bench.layouts.imagenet300 import write_list
    from bench.paths import data_home

    if list(names) != ["imagenet300"] or source != "imagenet":
        raise UsageError("--from makes one data set out of another: bench data get imagenet300 --from imagenet")
    path = write_list(data_home())
    found = status("imagenet300", data_home())
    click.echo(f"imagenet300: {found.state}. {found.sentence}")
    if found.state != "ready":
        raise DataError(
            f"{path} was written, but the ImageNet that it was made from is not complete; make it again then"
        )


@data.command()
@names_argument
def verify(names: Sequence[str]) -> None:
    """Check data sets whole: checksums of archives, layout and images of folders."""
    from bench.fetch import verify as verify_one
    from bench.paths import data_home

    found = [verify_one(name, data_home()) for name in known(names)]
    for each in found:
        click.echo(f"{each.name}: {each.state}. {each.sentence}")
    if bad := [each.name for each in found if each.state != "ready"]:
        raise DataError(f"not ready: {', '.join(bad)}")


@data.command()
@names_argument
def path(names: Sequence[str]) -> None:
    """Print the folders of data sets."""
    from bench.fetch import status
    from bench.paths import data_home

    for name in known(names):
        click.echo(status(name, data_home()).folder)
