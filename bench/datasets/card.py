"""What a data set is and what it holds, as data for JSON and as lines for people: ``bench data list | card | verify``.

Called by the command line. Reads the catalog, the status and the cards of packs; decodes nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.datasets.prepared import Card, pack_cards
from bench.datasets.source import Source, open_source, published_sources
from bench.datasets.status import StatusState, range_per_class


class DatasetState(NamedTuple):
    """A published data set on this machine. The names are keys of a JSON contract."""

    dataset: str
    state: StatusState
    folder: str
    note: str
    size_bytes: int
    classes: int
    train_images: int
    test_images: int


def dataset_states(home: Path) -> list[DatasetState]:
    """Every published data set, its state in the data folder and its published counts."""
    return [_state(source, home) for source in published_sources()]


def _state(source: Source, home: Path) -> DatasetState:
    status, facts = source.status(home), source.facts()
    return DatasetState(
        dataset=source.name,
        state=status.state,
        folder=str(status.folder),
        note=status.sentence,
        size_bytes=status.size_bytes,
        classes=facts.num_classes,
        train_images=facts.train_images,
        test_images=facts.test_images,
    )


def dataset_card(name: str, home: Path) -> Card:
    """Everything that is known of a data set without decoding it.

    Raises:
        DataError: The name is unknown, or a folder is malformed.
    """
    source = open_source(name)
    status, facts, packs = source.status(home), source.facts(), pack_cards(name, home)
    pack = packs.get(facts.input_size) or next(iter(packs.values()), {})
    return {
        "dataset": name,
        "title": source.title,
        **facts._asdict(),
        **({key: pack[key] for key in ("input_size", "mean", "std") if key in pack}),
        "files": [[{**vars(file), "checksum": file.checksum} for file in files] for files in source.archive_sets],
        "state": status.state,
        "folder": str(status.folder),
        "note": status.sentence,
        "digest": pack.get("digest", ""),
    }


def card_lines(card: Card) -> list[str]:
    """A card for people."""

    def numbers(values: Sequence[float]) -> str:
        return ", ".join(f"{value:.4f}" for value in values) or "computed when the images are decoded"

    names = ", ".join(card["classes"][:10]) + (", ..." if len(card["classes"]) > 10 else "")
    rows = [
        ("classes", f"{card['num_classes']:,}" + (f": {names}" if names else "")),
        ("training images", f"{card['train_images']:,}"),
        ("test images", f"{card['test_images']:,}"),
        ("pixels", f"{card['input_size']}x{card['input_size']}, {'grey' if card['channels'] == 1 else 'colour'}"),
        ("mean", numbers(card["mean"])),
        ("deviation", numbers(card["std"])),
        ("licence", card["licence"] or "unknown"),
        ("source", card["source"] or card["folder"]),
        ("status", f"{card['state']}. {card['note']}"),
        ("digest", card["digest"] or "not decoded yet"),
    ]
    for file in (file for files in card["files"] for file in files):
        size = f"{file['size']:,} bytes" if file["size"] else "size not published"
        rows.append(("file", f"{file['name']}, {size}, {file['checksum']}"))
        rows += [("", url) for url in file["urls"]]
    return [f"{card['dataset']}: {card['title']}", *(f"{label:<16} {text}" for label, text in rows)]


def content_lines(content: Card) -> list[str]:
    """The content of a data set (:func:`bench.worker.data.contents.inspect`) for people; none for an error."""
    if "error" in content:
        return []
    lines = []
    for name, split in content["splits"].items():
        balance, repeated = range_per_class(split["per_class"].values()), split["repeated"]
        lines.append(f"{name}: {split['images']:,} images, {balance}, {repeated:,} repeat an earlier one")
    conflicts, examples = content["contradicting"], content["examples"]
    lines.append(f"test images that are also training images: {content['shared']:,}")
    lines.append(
        f"identical images with different labels: {conflicts['images']:,} ({conflicts['contents']:,} distinct images)"
    )
    for kind in ("repeated", "shared", "contradicting"):
        lines += [f"{kind}: {first} = {second}" for first, second in examples[kind]]
    if content["unreadable"]:
        lines.append(f"unreadable files: {content['unreadable']:,}")
        lines += [f"  {name}" for name in examples["unreadable"]]
    return lines
