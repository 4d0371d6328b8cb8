"""What lies in the data folder, and bringing what does not: checked downloads and checked image folders.

Called by the command line before a run and by ``bench data``; the worker's loaders use the checks. Archives lie in
``BENCH_DATA/NAME/FILE``, have their final name only once their checksum is right, and are never unpacked. A data set of
several forms (:mod:`bench.forms`) is here when one of them is: published files, then what was adopted, then any other.
Nothing here decodes pixels. The network is touched by :func:`fetch` and :func:`require` only, and never with
BENCH_OFFLINE=1.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench import forms
from bench.catalog import DATASETS, FOLDER_PREFIX, Archive, DatasetSpec, dataset_problem
from bench.errors import DataError
from bench.layouts import survey
from bench.paths import sync_folder

if TYPE_CHECKING:
    import requests

Progress = Callable[[str, int, int], None]
"""Called with the file's name, the bytes there are and the bytes there will be (0 where unknown)."""

TIMEOUT_S = (10, 30)
"""To connect, and between two reads."""
TRIES = 4
"""Connections to one source before the next is asked; each goes on where the last broke off."""
SLOW_BYTES_PER_S, SLOW_AFTER_S = 100_000, 20
"""A source that gave less than this over so long is left for the next one; if no other gives it, it is taken after
all. Toronto's host gave 55 kB/s for weeks, an hour for CIFAR-10 (pytorch/vision#9536)."""
CHUNK = 1 << 14
"""Bytes read at a time; a broken connection loses less than one."""
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
PACK_FORMAT = 1
"""Raised whenever the same source would be packed to other pixels or files than before."""
ADOPTED = "adopted"
"""Folder below ``BENCH_DATA/NAME`` of arrays that were decoded from files elsewhere; its card is written last."""
LAYOUT = "train/CLASS/*.jpg and val/CLASS/*.jpg or test/CLASS/*.jpg"


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


@dataclass(frozen=True)
class FolderLayout:
    """A checked ``folder:PATH`` data set."""

    train: Path
    test: Path
    """``test/`` where both ``test/`` and ``val/`` exist, else ``val/``."""
    classes: tuple[str, ...]
    """Names of the class folders, sorted."""


# --- Looking ---------------------------------------------------------------------------------------------------------


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


def archive_problem(path: Path, archive: Archive) -> str | None:
    """Say why an archive on disk is not the published one (size, checksum), or return None."""
    if problem := _size_problem(path, archive):
        return problem
    kind, _, wanted = archive.checksum.partition(":")
    found = file_digest(path, kind)
    return None if found == wanted else f"{path} has {kind.upper()} {found} instead of {wanted}"


def file_digest(path: Path, kind: str) -> str:
    """The ``md5`` or ``sha256`` of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _size_problem(path: Path, archive: Archive) -> str | None:
    found = path.stat().st_size
    if archive.size and found != archive.size:
        return f"{path} has {found:,} bytes instead of {archive.size:,}"
    return None


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
        if found.state == "ready" or name not in forms.LAYOUTS:
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
        place = forms.Place(path=folder, form=found.form)
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


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and file_digest(path, "sha256") == sha256


def part_problem(path: Path, parts: Mapping[str, str]) -> str | None:
    """Say why an unpacked file is not the published one, or return None, also where no checksum is known."""
    wanted = parts.get(path.name)
    if not wanted or (found := file_digest(path, "md5")) == wanted:
        return None
    return f"{path} has MD5 {found} instead of {wanted}"


def groups(spec: DatasetSpec) -> tuple[tuple[Archive, ...], ...]:
    """The published files by form, each tuple a whole data set; the official ones first."""
    return (spec.archives, *spec.alternatives)


def locate(name: str, home: Path) -> forms.Place | None:
    """Where a data set of several forms lies in the data folder, None where it does not; published files go first.

    Raises:
        DataError: A part of the folder may not be read.
    """
    folder, spec = home / name, DATASETS[name]
    for group in groups(spec):
        if all((folder / each.name).is_file() and not _size_problem(folder / each.name, each) for each in group):
            form = forms.recognise(name, [each.name for each in group]).form
            return forms.Place(path=folder if form else folder / group[0].name, form=form, checked=True)
    if adopted_card(name, home):
        return forms.Place(path=folder / ADOPTED)
    form = _by_hand(name, folder).form
    return forms.Place(path=folder, form=form) if form else None


def _by_hand(name: str, folder: Path) -> forms.Found:
    """The form among files that somebody laid into the data set's folder; published files are judged elsewhere."""
    if not folder.is_dir():
        return forms.Found()
    published = {archive.name for group in groups(DATASETS[name]) for archive in group}
    names = [file for file in forms.listing(folder) if file not in published and not file.startswith(f"{ADOPTED}/")]
    return forms.recognise(name, names)


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
    adopt = f"\n  or, if you have it somewhere: bench data get {name} --from PATH" if name in forms.LAYOUTS else ""
    return f"Get it with: bench data get {name}" + adopt + (f"\n  or by hand: {fetches}" if fetches else "")


def _sourced(spec: DatasetSpec) -> list[Archive]:
    return [archive for archive in spec.archives if archive.urls]


# --- Image folders ---------------------------------------------------------------------------------------------------


def folder_path(name: str) -> Path:
    """The absolute path in a ``folder:PATH`` name; a relative one counts from the current folder."""
    return Path(name.removeprefix(FOLDER_PREFIX)).expanduser().absolute()


def folder_classes(path: Path) -> list[str]:
    """The classes of an image folder, sorted; a class's label is its place in this list.

    Raises:
        DataError: As :func:`folder_layout`.
    """
    return list(folder_layout(path).classes)


def folder_layout(path: Path) -> FolderLayout:
    """Check that a folder holds train/ and test/ or val/ with the same classes, an image in each.

    Raises:
        DataError: It does not, or may not be read; the text names the first folder that is wrong.
    """
    parts = _subfolders(path)
    test = next((part for part in ("test", "val") if part in parts), None)
    if "train" not in parts or test is None:
        lacking = "train/" if "train" not in parts else "val/ or test/"
        raise DataError(f"{path} has no {lacking}; an image folder holds {LAYOUT}")
    layout = FolderLayout(train=path / "train", test=path / test, classes=tuple(_subfolders(path / "train")))
    tested = _subfolders(layout.test)
    if differing := sorted(set(layout.classes) ^ set(tested)):
        where = {name: f"{layout.train.name}/" if name in layout.classes else f"{test}/" for name in differing}
        listed = ", ".join(f"{name} (only in {where[name]})" for name in differing[:5])
        raise DataError(f"{path}: train/ and {test}/ must hold the same class folders; they differ in {listed}")
    if len(layout.classes) < 2:
        raise DataError(f"{layout.train} has {len(layout.classes)} class folders; a task needs at least 2 ({LAYOUT})")
    for part in (layout.train, layout.test):
        for name in layout.classes:
            if next(image_files(part / name), None) is None:
                raise DataError(f"{part / name} holds no image; put one there or remove the class ({LAYOUT})")
    return layout


def image_files(folder: Path) -> Iterator[Path]:
    """Images below a class folder, depth first, names sorted within each folder; hidden files are left out.

    Raises:
        DataError: A folder may not be read.
    """
    return map(Path, image_names(str(folder)))


def image_names(folder: str) -> Iterator[str]:
    """The same as strings: every run looks at every file, and making paths takes longer than the looking.

    Raises:
        DataError: A folder may not be read.
    """
    others = []
    for name in _entries(Path(folder)):
        if name[name.rfind(".") :].lower() in IMAGE_SUFFIXES:
            yield f"{folder}/{name}"
        else:
            others.append(name)
    for name in others:
        if Path(folder, name).is_dir():
            yield from image_names(f"{folder}/{name}")


def image_counts(layout: FolderLayout) -> tuple[int, int]:
    """Training and test images of an image folder.

    Raises:
        DataError: A folder may not be read.
    """
    train, test = (
        sum(1 for name in layout.classes for _ in image_names(str(part / name))) for part in (layout.train, layout.test)
    )
    return train, test


def file_marks(layout: FolderLayout) -> Iterator[str]:
    """Of every image of an image folder its name, size and time of change: what is compared to notice a change.

    Raises:
        DataError: A folder may not be read.
        OSError: A file was removed meanwhile.
    """
    root = str(layout.train.parent)
    for part in (layout.train, layout.test):
        for name in layout.classes:
            for file in image_names(str(part / name)):
                stat = os.stat(file)  # noqa: PTH116 - see image_names
                yield f"{file.removeprefix(root).lstrip('/')}|{stat.st_size}|{stat.st_mtime_ns}"


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208
    except FileNotFoundError:
        raise DataError(
            f"there is no folder {folder}; put the images there ({LAYOUT}), or name another in the suite"
        ) from None
    except NotADirectoryError:
        raise DataError(f"{folder} is not a folder; a folder: data set holds {LAYOUT}") from None
    except PermissionError:
        raise DataError(f"{folder} may not be read by this user; allow it with: chmod -R u+rX {folder}") from None
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error


def _subfolders(folder: Path) -> list[str]:
    return [name for name in _entries(folder) if (folder / name).is_dir()]


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


# --- Packs -----------------------------------------------------------------------------------------------------------


def pack_cards(dataset: str, home: Path) -> dict[int, dict[str, Any]]:
    """What packs say of a data set as it is now (counts, mean, std, digest, ...), by input size.

    Raises:
        DataError: As :func:`pack_folder`.
    """
    label = pack_folder(dataset, 0, home).name.rsplit("-", 2)[0]
    names = [path.name for path in (home / "packed").glob(f"{label}-*-*")]
    sizes = sorted({int(size) for name in names if (size := name.rsplit("-", 2)[1]).isdigit()})
    cards = {size: _packed_card(dataset, size, home) for size in sizes}
    return {size: card for size, card in cards.items() if card}


def pack_folder(dataset: str, input_size: int, home: Path) -> Path:
    """Where the decoded arrays of a data set lie, or would: another folder whenever its files have changed.

    Raises:
        DataError: The name is no data set, or its folder is missing or no image tree.
    """
    if dataset.startswith(FOLDER_PREFIX):
        path = folder_path(dataset)
        identity = [str(path), *file_marks(folder_layout(path))]
        label = f"folder-{path.name}"
    else:
        if problem := dataset_problem(dataset):
            raise DataError(problem)
        identity = _pack_identity(dataset, home)
        label = dataset
    text = json.dumps([PACK_FORMAT, dataset, input_size, identity])
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", label)[:60]
    return (
        home
        / "packed"
        / f"{safe}-{input_size}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    )


def _pack_identity(dataset: str, home: Path) -> list[str]:
    """What tells a pack from one of other pixels: published checksums, or the sizes and times of files."""
    if dataset not in forms.LAYOUTS:
        return [f"{archive.name}|{archive.md5}" for archive in DATASETS[dataset].archives]
    place = locate(dataset, home)
    if place is None:
        return [forms.ORDER]
    if place.path.name == ADOPTED:
        return [forms.ORDER, ADOPTED, (adopted_card(dataset, home) or {}).get("digest", "")]
    files = place.form.files if place.form else [place.path.name]
    if place.checked:
        known = {each.name: each.checksum for group in groups(DATASETS[dataset]) for each in group}
        return [forms.ORDER, *(f"{file}|{known[file]}" for file in files)]
    stats = [(file, (place.path / file).stat()) for file in files]
    return [forms.ORDER, *(f"{file}|{stat.st_size}|{stat.st_mtime_ns}" for file, stat in stats)]


def packed_digest(dataset: str, input_size: int, home: Path) -> str:
    """Digest of a data set's pixels and labels as they are now; empty where it has not been decoded or is not here."""
    return str(_packed_card(dataset, input_size, home).get("digest", ""))


def _packed_card(dataset: str, input_size: int, home: Path) -> dict[str, Any]:
    try:
        card = json.loads((pack_folder(dataset, input_size, home) / "card.json").read_text(encoding="utf-8"))
    except (DataError, OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


# --- Fetching --------------------------------------------------------------------------------------------------------


def require(
    names: Sequence[str],
    home: Path,
    *,
    download: bool,
    on_progress: Progress | None = None,
    partly: Collection[str] = (),
) -> None:
    """Have every data set of a run ready: fetch what can be fetched, refuse before that what cannot.

    Args:
        names: Names out of suites; repeated ones are looked at once.
        home: The data folder, see :func:`bench.paths.data_home`.
        download: False never touches the network, and neither does BENCH_OFFLINE=1.
        on_progress: See :data:`Progress`.
        partly: Names of which a part is enough, where it was brought by hand.

    Raises:
        DataError: Names all data sets that are missing, where each was looked for, and how to get it.
    """
    may_download = download and not offline()
    problems, to_fetch = [], []
    for name in dict.fromkeys(names):
        try:
            found = status(name, home)
        except DataError as error:
            problems.append(str(error))
            continue
        if found.state == "ready":
            continue
        if found.state == "incomplete" and name in partly and name in DATASETS and DATASETS[name].layout:
            continue
        if may_download and name in DATASETS and not DATASETS[name].by_hand:
            to_fetch.append(name)
        else:
            problems.append(found.sentence)
    if not problems:
        for name in to_fetch:
            try:
                fetch(name, home, on_progress=on_progress)
            except DataError as error:
                problems.append(str(error))
    if problems:
        why = "" if may_download else "\n(nothing was downloaded: it is switched off)"
        raise DataError("the data is not complete:\n" + "\n".join(f"- {problem}" for problem in problems) + why)


def offline() -> bool:
    """Whether BENCH_OFFLINE forbids the network: set, and neither empty nor 0."""
    return os.environ.get("BENCH_OFFLINE", "") not in ("", "0")


def fetch(name: str, home: Path, *, on_progress: Progress | None = None) -> Path:
    """Download what is missing of a data set and return its folder. Two processes fetch once.

    Raises:
        DataError: It could not be had; the text lists every source with its reason and how to do it by hand.
    """
    if name.startswith(FOLDER_PREFIX):
        found = status(name, home)
        if found.state == "ready":
            return found.folder
        raise DataError(found.sentence)
    spec, folder = _spec(name), home / name
    if not spec.archives:
        return folder
    if offline():
        found = verify(name, home)
        if found.state == "ready":
            return folder
        raise DataError(f"BENCH_OFFLINE is set and {found.sentence}")
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(home / f".{name}.lock"):
            if verify(name, home).state != "ready":
                _fetch_first(name, spec, folder, on_progress)
    except OSError as error:
        raise DataError(
            f"{name} cannot be written to {folder}: {error.strerror or error}; BENCH_DATA names another folder"
        ) from error
    return folder


def _fetch_first(name: str, spec: DatasetSpec, folder: Path, on_progress: Progress | None) -> None:
    """Bring the first form that some source gives: of BENCH_MIRROR all forms are asked for, then of public sources."""
    mirror = os.environ.get("BENCH_MIRROR", "").rstrip("/")
    rounds: list[tuple[Callable[[Archive], Sequence[str]], bool]] = [(lambda archive: archive.urls, True)]
    if mirror:
        rounds.insert(0, (lambda archive: [f"{mirror}/{name}/{archive.name}"], False))
    reasons: list[str] = []
    slow = False
    for urls_of, hurried in rounds:
        for group in groups(spec):
            try:
                for archive in group:
                    _fetch_archive(archive, urls_of(archive), folder, on_progress, hurried=hurried)
            except _NoSourceError as error:
                reasons.append(str(error))
                slow = slow or error.slow
            else:
                _tidy(spec, folder)
                return
        if hurried and slow:
            rounds.append((urls_of, False))  # slow is better than not at all
    tried = "\n".join(dict.fromkeys(reason for reason in reasons if reason))
    tried = tried or "  (there is no source; BENCH_MIRROR can name one)"
    raise DataError(f"{name} could not be fetched to {folder}:\n{tried}\n{_remedy(name, spec, folder)}")


def _tidy(spec: DatasetSpec, folder: Path) -> None:
    """Remove what is left of forms that were begun before another one came whole."""
    for archive in (each for group in groups(spec) for each in group):
        _partial(folder / archive.name).unlink(missing_ok=True)


def _fetch_archive(
    archive: Archive, urls: Sequence[str], folder: Path, on_progress: Progress | None, *, hurried: bool
) -> None:
    """Bring one file from the first of its sources that gives it.

    Raises:
        _NoSourceError: None does.
    """
    target = folder / archive.name
    if target.is_file():
        if archive_problem(target, archive) is None:
            return
        target.unlink()
    _check_disk(archive, folder)
    reasons, slow = [], False
    for url in urls:
        try:
            _download(url, archive, target, on_progress, hurried=hurried)
        except _SourceError as error:
            reasons.append(f"  {url}: {error}")
            slow = slow or isinstance(error, _SlowSourceError)
        else:
            return
    raise _NoSourceError("\n".join(reasons), slow=slow)


class _NoSourceError(Exception):
    """No source gives a file; the text has a line for each with its reason."""

    def __init__(self, text: str, *, slow: bool) -> None:
        super().__init__(text)
        self.slow = slow


class _SourceError(Exception):
    """One source does not give the archive; the text is the reason."""


class _SlowSourceError(_SourceError):
    """It would give the file, but takes too long while others may not."""


def _partial(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_disk(archive: Archive, folder: Path) -> None:
    partial = _partial(folder / archive.name)
    needed = archive.size - _size(partial)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{archive.name} needs {needed / 1e6:,.0f} MB more in {folder}, where {free / 1e6:,.0f} MB are free;"
            " make room, or name another folder in BENCH_DATA"
        )


def _download(url: str, archive: Archive, target: Path, on_progress: Progress | None, *, hurried: bool = False) -> None:
    """Bring one archive from one source: resume what is there, check it, give it its name."""
    import requests

    partial = _partial(target)
    reason = ""
    for _ in range(TRIES):
        began = _size(partial)
        if not archive.size or began < archive.size:
            try:
                _receive(url, archive, partial, began, on_progress, hurried=hurried)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                reason = _short_reason(error)
                if _size(partial) <= began:
                    break
                continue  # it broke on the way: go on from there
            except requests.RequestException as error:
                raise _SourceError(_short_reason(error)) from error
            if began < _size(partial) < archive.size:
                reason = "the connection was closed too early"
                continue
        if not partial.exists():
            raise _SourceError("it sends nothing")
        if problem := archive_problem(partial, archive):
            partial.unlink()
            reason = f"wrong bytes: {problem.replace(str(partial), 'what it sends')}"
            if began:
                continue  # the fault may lie in what an earlier source sent
            break
        partial.replace(target)
        sync_folder(target.parent)
        return
    raise _SourceError(reason)


def _receive(
    url: str, archive: Archive, partial: Path, began: int, on_progress: Progress | None, *, hurried: bool
) -> None:
    import requests

    # a server that compresses on the way would make ranges and sizes those of other bytes
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={began}-"} if began else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and began:
            return  # there is no more: the part is the whole, or its checksum shows that it is none
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        done = began if resumed else 0
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {began}-"):
            raise _SourceError(f"it answers with the range {response.headers.get('Content-Range', 'unknown')!r}")
        clock = _Clock(done)
        with partial.open("ab" if resumed else "wb") as stream:
            for chunk in response.iter_content(CHUNK):
                done += len(chunk)
                stream.write(chunk)
                if archive.size and done > archive.size:
                    break  # what is already too much will be refused
                if hurried and clock.too_slow(done):
                    raise _SlowSourceError(f"gave less than {SLOW_BYTES_PER_S / 1e3:,.0f} kB/s")
                if on_progress:
                    on_progress(archive.name, done, archive.size or _total(response, began if resumed else 0))
            stream.flush()
            os.fsync(stream.fileno())


class _Clock:
    """Tells a source that trickles, by windows of SLOW_AFTER_S."""

    def __init__(self, done: int) -> None:
        self._since, self._done = time.monotonic(), done

    def too_slow(self, done: int) -> bool:
        """Whether the last whole window gave too little, ``done`` being the bytes there are now."""
        passed = time.monotonic() - self._since
        if passed < SLOW_AFTER_S:
            return False
        slow = done - self._done < SLOW_BYTES_PER_S * passed
        self._since, self._done = time.monotonic(), done
        return slow


def _total(response: "requests.Response", began: int) -> int:
    length = response.headers.get("Content-Length", "")
    return began + int(length) if length.isdigit() else 0


def _short_reason(error: "requests.RequestException") -> str:
    import requests
    from urllib3.exceptions import TimeoutError as AnyTimeout

    if error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout) or (error.args and isinstance(error.args[0], AnyTimeout)):
        return f"no answer within {TIMEOUT_S[0]} s, or nothing for {TIMEOUT_S[1]} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection broke {TRIES} times"
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return str(cause or error).split(": ", 1)[-1][:200]
