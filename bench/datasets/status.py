"""datasets.status."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.catalog.datasets import DATASETS, FOLDER_PREFIX, Archive, DatasetSpec, dataset_problem
from bench.datasets import formats
from bench.datasets.checksums import _is, _size_problem, archive_problem, part_problem
from bench.datasets.image_folder import folder_classes, folder_layout, folder_path, image_files
from bench.datasets.manual import survey
from bench.errors import DataError

if TYPE_CHECKING:
    pass


ADOPTED = "adopted"
"""Folder below ``BENCH_DATA/NAME`` of arrays that were decoded from files elsewhere; its card is written last."""


@dataclass(frozen=True)
class Status:
    """What is known of a data set on this machine."""

    name: str
    state: Literal["ready", "absent", "incomplete", "corrupt"]
    folder: Path
    """Where it lies or was looked for."""
    sentence: str
    """What was found, and what to do if it is not ready."""
    size_bytes: int
    """Bytes of its archives on disk; 0 for digits and for image folders that were not verified."""


def status(name: str, home: Path) -> Status:
    """Look quickly whether a data set is here: sizes of archives, layout of folders; nothing is read.

    Raises:
        DataError: The name is no data set.
    """
    return _look(name, home, _folder_status, _size_problem, thorough=False)


def verify(name: str, home: Path) -> Status:
    """Check a data set in full: the checksum of every archive, or the header of every image in a folder.

    Raises:
        DataError: The name is no data set.
    """
    return _look(name, home, _verified_folder, archive_problem, thorough=True)


def _look(
    name: str,
    home: Path,
    of_folder: Callable[[str], Status],
    of_archive: Callable[[Path, Archive], str | None],
    *,
    thorough: bool,
) -> Status:
    if name.startswith(FOLDER_PREFIX):
        return of_folder(name)
    if name in DATASETS and DATASETS[name].layout is not None:
        found = survey(name, home, thorough=thorough)
        return Status(name, found.state, found.folder, found.sentence, 0)
    return _archive_status(name, _spec(name), home / name, of_archive)


def num_classes(name: str, home: Path) -> int:  # noqa: ARG001 - a data set may come to count what it finds at home
    """Classes of a data set, whether or not it is here.

    Raises:
        DataError: The name is no data set, or its folder is missing or no image tree.
    """
    if name.startswith(FOLDER_PREFIX):
        return len(folder_classes(folder_path(name)))
    if problem := dataset_problem(name):
        raise DataError(problem)
    return DATASETS[name].num_classes


def _spec(name: str) -> DatasetSpec:
    if problem := dataset_problem(name):
        raise DataError(problem)
    return DATASETS[name]


def _archive_status(
    name: str, spec: DatasetSpec, folder: Path, problem_of: Callable[[Path, Archive], str | None]
) -> Status:
    if not spec.archives:
        return Status(name, "ready", folder, f"{name} comes with scikit-learn; nothing to fetch", 0)
    try:
        found = _published(name, spec, folder, problem_of)
        if found.state == "ready" or name not in formats.LAYOUTS:
            return found
        return _other_form(name, folder, deep=problem_of is archive_problem) or found
    except OSError as error:
        return Status(name, "corrupt", folder, f"{error.filename or folder} cannot be read: {error.strerror}", 0)
    except DataError as error:
        return Status(name, "corrupt", folder, str(error), 0)


def _published(name: str, spec: DatasetSpec, folder: Path, problem_of: Callable[[Path, Archive], str | None]) -> Status:
    """Status by the published files alone: ready if one of their groups is whole, else what the official one lacks."""
    problems: list[str] = []
    size, partial = 0, False
    for group in groups(spec):
        present = [archive for archive in group if (folder / archive.name).is_file()]
        held = sum((folder / archive.name).stat().st_size for archive in present)
        wrong = [problem for archive in present if (problem := problem_of(folder / archive.name, archive))]
        if len(present) == len(group) and not wrong:
            return Status(name, "ready", folder, f"{name} is in {folder}", held)
        size += held
        problems += wrong
        partial = partial or bool(present) or any(_partial(folder / archive.name).exists() for archive in group)
    if problems:
        return Status(name, "corrupt", folder, f"{'; '.join(problems)}. {_remedy(name, spec, folder)}", size)
    missing = [archive.name for archive in spec.archives if not (folder / archive.name).is_file()]
    state: Literal["incomplete", "absent"] = "incomplete" if partial else "absent"
    sentence = f"{name} is not complete: {folder} lacks {', '.join(missing)}. {_remedy(name, spec, folder)}"
    return Status(name, state, folder, sentence, size)


def _other_form(name: str, folder: Path, *, deep: bool) -> Status | None:
    """Status by what was adopted or laid there by hand; None where there is nothing of the kind."""
    if card := adopted_card(name, folder.parent):
        size = sum(card["bytes"].values())
        wrong = [file for file, digest in card["sha256"].items() if deep and not _is(folder / ADOPTED / file, digest)]
        if wrong:
            sentence = f"{folder / ADOPTED / wrong[0]} is not what was adopted; remove {folder / ADOPTED}, adopt again"
            return Status(name, "corrupt", folder, sentence, size)
        return Status(name, "ready", folder, f"{name} was adopted from {card['origin']}", size)
    found = _by_hand(name, folder)
    if found.form:
        place = formats.Place(path=folder, form=found.form)
        size = sum((folder / file).stat().st_size for file in found.form.files)
        parts = DATASETS[name].parts if found.form.kind == "pickle" else {}
        for file in found.form.files if deep else ():
            if problem := part_problem(folder / file, parts):
                return Status(name, "corrupt", folder, f"{problem}; extract it again", size)
        return Status(name, "ready", folder, f"{name} is there as {place.words}", size)
    if found.problem:
        sentence = f"{folder} is not {DATASETS[name].title}: {found.problem}; {found.remedy}"
        return Status(name, "incomplete", folder, sentence, 0)
    return None


def groups(spec: DatasetSpec) -> tuple[tuple[Archive, ...], ...]:
    """The published files by form, each tuple a whole data set; the official ones first."""
    return (spec.archives, *spec.alternatives)


def locate(name: str, home: Path) -> formats.Place | None:
    """Where a data set of several forms lies in the data folder, None where it does not; published files go first.

    Raises:
        DataError: A part of the folder may not be read.
    """
    folder, spec = home / name, DATASETS[name]
    for group in groups(spec):
        if all((folder / each.name).is_file() and not _size_problem(folder / each.name, each) for each in group):
            form = formats.recognise(name, [each.name for each in group]).form
            return formats.Place(path=folder if form else folder / group[0].name, form=form, checked=True)
    if adopted_card(name, home):
        return formats.Place(path=folder / ADOPTED)
    form = _by_hand(name, folder).form
    return formats.Place(path=folder, form=form) if form else None


def _by_hand(name: str, folder: Path) -> formats.Found:
    """The form among files that somebody laid into the data set's folder; published files are judged elsewhere."""
    if not folder.is_dir():
        return formats.Found()
    published = {archive.name for group in groups(DATASETS[name]) for archive in group}
    names = [file for file in formats.listing(folder) if file not in published and not file.startswith(f"{ADOPTED}/")]
    return formats.recognise(name, names)


def adopted_card(name: str, home: Path) -> dict[str, Any] | None:
    """What is known of arrays that were adopted: origin, digest, bytes and sha256 of each file. None without them."""
    folder = home / name / ADOPTED
    try:
        card: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        whole = all((folder / file).stat().st_size == size for file, size in card["bytes"].items())
        return card if whole and card["sha256"] and card["digest"] else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _remedy(name: str, spec: DatasetSpec, folder: Path) -> str:
    if spec.by_hand:
        return spec.by_hand
    fetches = "; ".join(f"curl -L --create-dirs -o {folder / each.name} {each.urls[0]}" for each in _sourced(spec))
    adopt = f"\n  or, if you have it somewhere: bench data get {name} --from PATH" if name in formats.LAYOUTS else ""
    return f"Get it with: bench data get {name}" + adopt + (f"\n  or by hand: {fetches}" if fetches else "")


def _sourced(spec: DatasetSpec) -> list[Archive]:
    return [archive for archive in spec.archives if archive.urls]


def _folder_status(name: str) -> Status:
    path = folder_path(name)
    try:
        layout = folder_layout(path)
    except DataError as error:
        state: Literal["absent", "corrupt"] = "corrupt" if path.is_dir() else "absent"
        return Status(name, state, path, str(error), 0)
    return Status(name, "ready", path, f"{path} holds {len(layout.classes)} classes", 0)


def _verified_folder(name: str) -> Status:
    quick = _folder_status(name)
    if quick.state != "ready":
        return quick
    layout, size, lines, broken = folder_layout(quick.folder), 0, [], []
    for part in (layout.train, layout.test):
        counts = []
        for label in layout.classes:
            files = list(image_files(part / label))
            bad = [problem for file in files if (problem := _image_problem(file))]
            counts.append(len(files) - len(bad))
            broken += bad
            size += sum(file.stat().st_size for file in files if file.exists())
        lines.append(f"{part.name}/ {sum(counts):,} images ({min(counts):,} to {max(counts):,} a class)")
    sentence = f"{quick.sentence}: {', '.join(lines)}"
    if broken:
        sentence += f"; {len(broken):,} cannot be read, the first is {broken[0]}"
    return Status(name, "corrupt" if broken else "ready", quick.folder, sentence, size)


def _image_problem(file: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(file):
            return None
    except (OSError, SyntaxError, ValueError) as error:
        return f"{file} ({type(error).__name__})"


def _partial(target: Path) -> Path:
    return target.with_name(target.name + ".part")
