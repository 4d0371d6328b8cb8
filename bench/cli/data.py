"""``bench data list | get | verify | card | path``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bench.catalog.datasets import DATASETS, dataset_problem
from bench.cli.options import complete_datasets, json_option
from bench.cli.output import columns, note, print_json
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
    from bench.datasets.status import status
    from bench.workspace.paths import data_home

    found = [status(name, data_home()) for name in DATASETS]
    if as_json:
        content = [
            {
                "dataset": s.name,
                "state": s.state,
                "folder": str(s.folder),
                "note": s.sentence,
                "size_bytes": s.size_bytes,
                "classes": DATASETS[s.name].num_classes,
                "train_images": DATASETS[s.name].train_images,
                "test_images": DATASETS[s.name].test_images,
            }
            for s in found
        ]
        print_json({"datasets": content})
        return
    rows = [(each.name, each.state, each.sentence.splitlines()[0]) for each in found]
    click.echo(columns(("dataset", "state", ""), rows))
    click.echo(f"\nfolder: {data_home()}")


@data.command()
@names_argument
@click.option(
    "--from",
    "source",
    metavar="PATH",
    help="Adopt the data set from this folder or archive, in any usual form, instead of fetching it. For imagenet300: "
    "imagenet, whose images its list is made of.",
)
def get(names: Sequence[str], source: str | None) -> None:
    """Fetch data sets, with a checksum, or adopt one that is already here."""
    from bench.datasets.download import require
    from bench.workspace.paths import data_home

    if source is not None and "imagenet300" in names:
        make_image_list(known(names), source)
        return
    if source is not None:
        adopt(known(names), Path(source).expanduser().absolute())
        return
    with show_progress() as on_progress:
        require(list(known(names)), data_home(), download=True, on_progress=on_progress)
    for name in names:
        click.echo(f"{name}: ready")


def adopt(names: Sequence[str], path: Path) -> None:
    """Have a worker decode a data set from a folder or an archive into the data folder.

    Raises:
        UsageError: More than one name, or a data set that is not adopted.
        DataError: What lies there is not the data set, or not all of it.
    """
    from bench.datasets.formats import LAYOUTS
    from bench.scheduler.calls import call_worker
    from bench.scheduler.devices import cpu_cores
    from bench.workspace.paths import data_home
    from bench.workspace.requests import Failure, Import

    if len(names) > 1:
        raise UsageError(f"--from brings one data set; name one of {', '.join(names)}")
    [name] = names
    if name not in LAYOUTS:
        raise UsageError(f"--from brings {', '.join(LAYOUTS)}; {name} is not among them")
    if not path.exists():
        raise DataError(f"there is no {path}; --from names the folder or archive that has {name}")
    request = Import(dataset=name, path=str(path), data_home=str(data_home()))
    [answer] = call_worker([request], threads=cpu_cores())
    if isinstance(answer, Failure):
        raise DataError(answer.error)
    card = answer.card
    click.echo(f"{name}: ready, read from the {card['form']}")
    click.echo(f"  {card['train_images']:,} training and {card['test_images']:,} test images, digest {card['digest']}")


def make_image_list(names: Sequence[str], source: str) -> None:
    """Write imagenet300's list and say what is in it.

    Raises:
        UsageError: Something else is asked for.
        DataError: ImageNet is not here, is not complete, or the list cannot be written.
    """
    from bench.datasets.imagenet300 import write_list
    from bench.datasets.status import status
    from bench.workspace.paths import data_home

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
@click.option("--deep", is_flag=True, help="Decode all images: class balance, duplicates, contradicting labels.")
@json_option
def verify(names: Sequence[str], deep: bool, as_json: bool) -> None:
    """Check data sets whole: checksums of files, layout and images of folders."""
    from bench.datasets.status import verify as verify_one
    from bench.workspace.paths import data_home

    found = [verify_one(name, data_home()) for name in known(names)]
    bad = [each.name for each in found if each.state != "ready"]
    contents = inspected([each.name for each in found if each.state == "ready"]) if deep else {}
    if as_json:
        entries = [
            {
                "dataset": each.name,
                "state": each.state,
                "note": each.sentence,
                **({"contents": contents[each.name]} if each.name in contents else {}),
            }
            for each in found
        ]
        print_json({"datasets": entries})
    else:
        for each in found:
            click.echo(f"{each.name}: {each.state}. {each.sentence}")
            for line in content_lines(contents[each.name]) if each.name in contents else ():
                click.echo(f"  {line}")
    broken = [content["error"] for content in contents.values() if "error" in content]
    if bad or broken:
        raise DataError("\n".join([*([f"not ready: {', '.join(bad)}"] if bad else []), *broken]))


def inspected(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What data sets hold, from a worker, by name: see :func:`bench.worker.data.contents.inspect`; or ``error``."""
    from bench.scheduler.calls import call_worker
    from bench.scheduler.devices import cpu_cores
    from bench.workspace.paths import data_home
    from bench.workspace.requests import Failure, Inspect

    if not names:
        return {}
    answers = call_worker([Inspect(dataset=name, data_home=str(data_home())) for name in names], threads=cpu_cores())
    return {
        name: {"error": answer.error} if isinstance(answer, Failure) else dict(answer.contents)
        for name, answer in zip(names, answers, strict=True)
    }


def content_lines(content: dict[str, Any]) -> list[str]:
    """What a data set holds, for people."""
    if "error" in content:
        return []
    lines = []
    for split, part in content["splits"].items():
        counts = part["per_class"].values()
        balance = f"{min(counts):,} to {max(counts):,} a class"
        lines.append(f"{split}: {part['images']:,} images, {balance}, {part['repeated']:,} repeat an earlier one")
    torn = content["contradicting"]
    lines.append(f"test images that are training images too: {content['shared']:,}")
    lines.append(f"equal images of different classes: {torn['images']:,} (of {torn['contents']:,} different contents)")
    for kind in ("repeated", "shared", "contradicting"):
        lines += [f"{kind}: {first} = {second}" for first, second in content["examples"][kind]]
    if content["unreadable"]:
        lines.append(
            f"files that are no images: {content['unreadable']:,}, {', '.join(content['examples']['unreadable'])}"
        )
    return lines


@data.command()
@names_argument
@json_option
def card(names: Sequence[str], as_json: bool) -> None:
    """Say what data sets are: classes, counts, sizes, mean and deviation, licence, sources, checksums, digest."""
    from bench.workspace.paths import data_home

    cards = [card_of(name, data_home()) for name in known(names)]
    if as_json:
        print_json({"datasets": cards})
        return
    for number, each in enumerate(cards):
        click.echo(("\n" if number else "") + "\n".join(card_lines(each)))


def card_of(name: str, home: Path) -> dict[str, Any]:
    """Everything that is known of a data set without decoding it, for JSON.

    Raises:
        DataError: A folder is no image tree.
    """
    from bench.catalog.datasets import dataset_title
    from bench.datasets.prepared import pack_cards
    from bench.datasets.status import groups, status

    spec, found = DATASETS.get(name), status(name, home)
    own = {key: getattr(spec, key) for key in CARD} if spec else folder_card(name)
    packs = pack_cards(name, home)
    packed = packs.get(own["input_size"]) or next(iter(packs.values()), {})
    return {
        "dataset": name,
        "title": dataset_title(name),
        **own,
        **({key: packed[key] for key in ("input_size", "mean", "std") if key in packed}),
        "files": [
            [{**vars(file), "checksum": file.checksum} for file in group] for group in (groups(spec) if spec else ())
        ],
        "state": found.state,
        "folder": str(found.folder),
        "note": found.sentence,
        "digest": packed.get("digest", ""),
    }


CARD = (
    "num_classes",
    "classes",
    "input_size",
    "channels",
    "train_images",
    "test_images",
    "mean",
    "std",
    "licence",
    "source",
    "by_hand",
)
"""What the catalog says of a data set."""


def folder_card(name: str) -> dict[str, Any]:
    """What can be said of an image folder in place of a catalog's entry.

    Raises:
        DataError: It is no image tree.
    """
    from bench.catalog.datasets import FOLDER_INPUT_SIZE
    from bench.datasets.image_folder import folder_layout, folder_path, image_counts

    layout = folder_layout(folder_path(name))
    values = (
        len(layout.classes),
        layout.classes,
        FOLDER_INPUT_SIZE,
        3,
        *image_counts(layout),
        (),
        (),
        "",
        str(layout.train.parent),
        "",
    )
    return dict(zip(CARD, values, strict=True))


def card_lines(card: dict[str, Any]) -> list[str]:
    """A card for people."""

    def numbers(values: Sequence[float]) -> str:
        return ", ".join(f"{value:.4f}" for value in values) or "computed when the images are decoded"

    shown = ", ".join(card["classes"][:10]) + (", ..." if len(card["classes"]) > 10 else "")
    rows = [
        ("classes", f"{card['num_classes']:,}" + (f": {shown}" if shown else "")),
        ("training images", f"{card['train_images']:,}"),
        ("test images", f"{card['test_images']:,}"),
        ("pixels", f"{card['input_size']}x{card['input_size']}, {'grey' if card['channels'] == 1 else 'colour'}"),
        ("mean", numbers(card["mean"])),
        ("deviation", numbers(card["std"])),
        ("licence", card["licence"] or "not known to bench"),
        ("source", card["source"] or card["folder"]),
        ("here", f"{card['state']}. {card['note']}"),
        ("digest", card["digest"] or "not decoded yet"),
    ]
    for group in card["files"]:
        for file in group:
            size = f"{file['size']:,} bytes" if file["size"] else "size not published"
            rows.append(("file", f"{file['name']}, {size}, {file['checksum']}"))
            rows += [("", url) for url in file["urls"]]
    lines = [f"{label:<16} {text}" for label, text in rows]
    return [f"{card['dataset']}: {card['title']}", *lines]


@data.command()
@names_argument
def path(names: Sequence[str]) -> None:
    """Print the folders of data sets."""
    from bench.datasets.status import status
    from bench.workspace.paths import data_home

    for name in known(names):
        click.echo(status(name, data_home()).folder)
