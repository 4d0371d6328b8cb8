"""What lies in the data folder, and bringing what does not: checked downloads and checked image folders.

Called by the command line before a run and by ``bench data``; the worker's loaders use the checks. Archives lie in
``BENCH_DATA/NAME/FILE``, have their final name only once their checksum is right, and are never unpacked. Nothing here
decodes pixels. The network is touched by :func:`fetch` and :func:`require` only, and never with BENCH_OFFLINE=1.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.catalog import DATASETS, FOLDER_PREFIX, Archive, DatasetSpec, dataset_problem
from bench.errors import DataError
from bench.paths import sync_folder

if TYPE_CHECKING:
    import requests

Progress = Callable[[str, int, int], None]
"""Called with the file's name, the bytes there are and the bytes there will be (0 where unknown)."""

TIMEOUT_S = (10, 30)
"""To connect, and between two reads."""
TRIES = 4
"""Connections to one source before the next is asked; each goes on where the last broke off."""
CHUNK = 1 << 14
"""Bytes read at a time; a broken connection loses less than one."""
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
PACK_FORMAT = 1
"""Raised whenever the same source would be packed to other pixels or files than before."""
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
    return _look(name, home, _folder_status, _size_problem)


def verify(name: str, home: Path) -> Status:
    """Check a data set in full: the checksum of every archive, or the header of every image in a folder.

    Raises:
        DataError: The name is no data set.
    """
    return _look(name, home, _verified_folder, archive_problem)


def _look(
    name: str, home: Path, of_folder: Callable[[str], Status], of_archive: Callable[[Path, Archive], str | None]
) -> Status:
    if name.startswith(FOLDER_PREFIX):
        return of_folder(name)
    if name in DATASETS and DATASETS[name].loader is None:
        return Status(name, "absent", home / name, _planned_only(name), 0)
    return _archive_status(name, _spec(name), home / name, of_archive)


def num_classes(name: str, home: Path) -> int:  # noqa: ARG001 - a data set may come to count what it finds at home
    """Classes of a data set, also of those that are only planned.

    Raises:
        DataError: The name is no data set, or its folder is missing or no image tree.
    """
    if name.startswith(FOLDER_PREFIX):
        return len(folder_classes(folder_path(name)))
    if problem := dataset_problem(name):
        raise DataError(problem)
    return DATASETS[name].num_classes


def archive_problem(path: Path, archive: Archive) -> str | None:
    """Say why an archive on disk is not the published one (size, MD5), or return None."""
    if problem := _size_problem(path, archive):
        return problem
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if found == archive.md5 else f"{path} has MD5 {found} instead of {archive.md5}"


def _size_problem(path: Path, archive: Archive) -> str | None:
    found = path.stat().st_size
    if archive.size and found != archive.size:
        return f"{path} has {found:,} bytes instead of {archive.size:,}"
    return None


def _spec(name: str) -> DatasetSpec:
    if problem := dataset_problem(name):
        raise DataError(problem)
    spec = DATASETS[name]
    if spec.loader is None:
        raise DataError(_planned_only(name))
    return spec


def _planned_only(name: str) -> str:
    return (
        f"{name} is only planned and measured so far; if you have its images as {LAYOUT}, name that folder in the "
        f"suite: folder:PATH. {DATASETS[name].by_hand}"
    ).rstrip()


def _archive_status(
    name: str, spec: DatasetSpec, folder: Path, problem_of: Callable[[Path, Archive], str | None]
) -> Status:
    if not spec.archives:
        return Status(name, "ready", folder, f"{name} comes with scikit-learn; nothing to fetch", 0)
    try:
        present = [archive for archive in spec.archives if (folder / archive.name).is_file()]
        size = sum((folder / archive.name).stat().st_size for archive in present)
        problems = [problem for archive in present if (problem := problem_of(folder / archive.name, archive))]
        partial = any(_partial(folder / archive.name).exists() for archive in spec.archives)
    except OSError as error:
        return Status(name, "corrupt", folder, f"{error.filename or folder} cannot be read: {error.strerror}", 0)
    if problems:
        return Status(name, "corrupt", folder, f"{'; '.join(problems)}. {_remedy(name, spec, folder)}", size)
    missing = [archive.name for archive in spec.archives if archive not in present]
    if not missing:
        return Status(name, "ready", folder, f"{name} is in {folder}", size)
    state: Literal["incomplete", "absent"] = "incomplete" if present or partial else "absent"
    sentence = f"{name} is not complete: {folder} lacks {', '.join(missing)}. {_remedy(name, spec, folder)}"
    return Status(name, state, folder, sentence, size)


def _remedy(name: str, spec: DatasetSpec, folder: Path) -> str:
    if spec.by_hand:
        return spec.by_hand
    fetches = "; ".join(f"curl -L --create-dirs -o {folder / each.name} {each.urls[0]}" for each in _sourced(spec))
    return f"Get it with: bench data get {name}" + (f"\n  or by hand: {fetches}" if fetches else "")


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
    names = _entries(folder)
    for name in names:
        if Path(name).suffix.lower() in IMAGE_SUFFIXES:
            yield folder / name
    for name in names:
        if Path(name).suffix.lower() not in IMAGE_SUFFIXES and (folder / name).is_dir():
            yield from image_files(folder / name)


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208
    except FileNotFoundError:
        raise DataError(f"there is no folder {folder}; a folder: data set holds {LAYOUT}") from None
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


def pack_folder(dataset: str, input_size: int, home: Path) -> Path:
    """Where the decoded arrays of a data set lie, or would: another folder whenever its files have changed.

    Raises:
        DataError: The name is no data set, or its folder is missing or no image tree.
    """
    if dataset.startswith(FOLDER_PREFIX):
        path = folder_path(dataset)
        layout = folder_layout(path)
        identity = [str(path)]
        for part in (layout.train, layout.test):
            for file in (each for name in layout.classes for each in image_files(part / name)):
                stat = file.stat()
                identity.append(f"{file.relative_to(path)}|{stat.st_size}|{stat.st_mtime_ns}")
        label = f"folder-{path.name}"
    else:
        if problem := dataset_problem(dataset):
            raise DataError(problem)
        identity = [f"{archive.name}|{archive.md5}" for archive in DATASETS[dataset].archives]
        label = dataset
    text = json.dumps([PACK_FORMAT, dataset, input_size, identity])
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", label)[:60]
    return (
        home
        / "packed"
        / f"{safe}-{input_size}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    )


def packed_digest(dataset: str, input_size: int, home: Path) -> str:
    """Digest of a data set's pixels and labels as they are now; empty where it has not been decoded or is not here."""
    return str(_packed_card(dataset, input_size, home).get("digest", ""))


def train_images(dataset: str, input_size: int, home: Path) -> int:
    """Training images of a data set that has been decoded; 0 where it has not."""
    return int(_packed_card(dataset, input_size, home).get("train_images", 0))


def _packed_card(dataset: str, input_size: int, home: Path) -> dict[str, Any]:
    try:
        card = json.loads((pack_folder(dataset, input_size, home) / "card.json").read_text(encoding="utf-8"))
    except (DataError, OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


# --- Fetching --------------------------------------------------------------------------------------------------------


def require(names: Sequence[str], home: Path, *, download: bool, on_progress: Progress | None = None) -> None:
    """Have every data set of a run ready: fetch what can be fetched, refuse before that what cannot.

    Args:
        names: Names out of suites; repeated ones are looked at once.
        home: The data folder, see :func:`bench.paths.data_home`.
        download: False never touches the network, and neither does BENCH_OFFLINE=1.
        on_progress: See :data:`Progress`.

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
            for archive in spec.archives:
                _fetch_archive(name, spec, archive, folder, on_progress)
    except OSError as error:
        raise DataError(
            f"{name} cannot be written to {folder}: {error.strerror or error}; BENCH_DATA names another folder"
        ) from error
    return folder


def _fetch_archive(name: str, spec: DatasetSpec, archive: Archive, folder: Path, on_progress: Progress | None) -> None:
    target = folder / archive.name
    if target.is_file():
        if archive_problem(target, archive) is None:
            return
        target.unlink()
    _check_disk(archive, folder)
    reasons = []
    for url in _sources(name, archive):
        try:
            _download(url, archive, target, on_progress)
        except _SourceError as error:
            reasons.append(f"  {url}: {error}")
        else:
            return
    tried = "\n".join(reasons) or "  (there is no source; BENCH_MIRROR can name one)"
    raise DataError(
        f"{archive.name} of {name} could not be fetched to {folder}:\n{tried}\n{_remedy(name, spec, folder)}"
    )


class _SourceError(Exception):
    """One source does not give the archive; the text is the reason."""


def _sources(name: str, archive: Archive) -> list[str]:
    mirror = os.environ.get("BENCH_MIRROR", "").rstrip("/")
    return ([f"{mirror}/{name}/{archive.name}"] if mirror else []) + list(archive.urls)


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


def _download(url: str, archive: Archive, target: Path, on_progress: Progress | None) -> None:
    """Bring one archive from one source: resume what is there, check it, give it its name."""
    import requests

    partial = _partial(target)
    reason = ""
    for _ in range(TRIES):
        began = _size(partial)
        if not archive.size or began < archive.size:
            try:
                _receive(url, archive, partial, began, on_progress)
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


def _receive(url: str, archive: Archive, partial: Path, began: int, on_progress: Progress | None) -> None:
    import requests

    # a server that compresses on the way would make ranges and sizes those of other bytes
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={began}-"} if began else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink()
            raise _SourceError("it cannot go on with the part that was here, which is now removed; try again")
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        done = began if resumed else 0
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {began}-"):
            raise _SourceError(f"it answers with the range {response.headers.get('Content-Range', 'unknown')!r}")
        with partial.open("ab" if resumed else "wb") as stream:
            for chunk in response.iter_content(CHUNK):
                done += len(chunk)
                stream.write(chunk)
                if archive.size and done > archive.size:
                    break  # what is already too much will be refused
                if on_progress:
                    on_progress(archive.name, done, archive.size or _total(response, began if resumed else 0))
            stream.flush()
            os.fsync(stream.fileno())


def _total(response: "requests.Response", began: int) -> int:
    length = response.headers.get("Content-Length", "")
    return began + int(length) if length.isdigit() else 0


def _short_reason(error: "requests.RequestException") -> str:
    import requests

    if error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_S[0]} s, or nothing for {TIMEOUT_S[1]} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection broke {TRIES} times"
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return str(cause or error).split(": ", 1)[-1][:200]
