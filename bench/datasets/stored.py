"""Copies of the small public data sets on this machine: published files, imported arrays, or any other format.

Called by :mod:`bench.datasets.download` and by the worker's reader. Only names and sizes of files are looked at, and
the ``card.json`` of imported arrays.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypedDict

from bench.catalog.datasets import DATASETS
from bench.datasets.checksums import size_problem
from bench.datasets.formats import FORMATS, KIND_NAMES, Detection, StoredFormat, detect_format, expected_formats
from bench.datasets.reading import os_error_sentence
from bench.errors import DataError

IMPORTED = "imported"
"""Folder in ``BENCH_DATA/NAME`` of arrays that were decoded from files elsewhere; its card is written last."""
IMPORT_FOLDERS = (IMPORTED, "adopted")
"""The same, with the name that earlier versions gave it."""
TARS = (".tar.gz", ".tgz", ".tar")
MAX_DEPTH = 6
"""Depth of subfolders in which files are looked for."""


@dataclass(frozen=True, kw_only=True)
class StoredCopy:
    """Where a copy of a data set is, and in which format."""

    path: Path
    """A folder, or a tar archive."""
    format: StoredFormat | None = None
    """None for an archive, whose content shows when it is read, and for imported arrays."""
    published: bool = False
    """Whether its files are published ones; the reader compares their checksums."""
    imported: bool = False
    """Whether it is a folder of imported arrays."""

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"{KIND_NAMES[self.format.kind]} in {self.path}" if self.format else f"the archive {self.path}"


class ImportCard(TypedDict):
    """What was recorded of imported arrays; the file holds more."""

    origin: str
    """Path that they were decoded from."""
    digest: str
    bytes: dict[str, int]
    """Size of each file."""
    sha256: dict[str, str]
    """Of each file, in hexadecimal."""


@dataclass(frozen=True)
class Import:
    """Arrays that were decoded from files elsewhere."""

    folder: Path
    card: ImportCard


def locate(name: str, home: Path) -> StoredCopy | None:
    """The copy of a data set in the data folder, or None. Published files go first, then imported arrays.

    Raises:
        DataError: A part of the folder may not be read.
    """
    folder = home / name
    for archives in DATASETS[name].archive_sets:
        if all((folder / file.name).is_file() and not size_problem(folder / file.name, file) for file in archives):
            stored = detect_format(name, [file.name for file in archives]).format
            return StoredCopy(path=folder if stored else folder / archives[0].name, format=stored, published=True)
    if found := find_import(name, home):
        return StoredCopy(path=found.folder, imported=True)
    stored = detect_other(name, folder).format
    return StoredCopy(path=folder, format=stored) if stored else None


def find_import(name: str, home: Path) -> Import | None:
    """The imported arrays of a data set, or None if there are none or they are not complete."""
    for folder in [home / name / folder for folder in IMPORT_FOLDERS]:
        try:
            card: ImportCard = json.loads((folder / "card.json").read_text(encoding="utf-8"))
            complete = all((folder / file).stat().st_size == size for file, size in card["bytes"].items())
            if complete and card["sha256"] and card["digest"]:
                return Import(folder, card)
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def detect_other(name: str, folder: Path) -> Detection:
    """The format of the other files in the data set's folder; published files and imports are checked elsewhere.

    Raises:
        DataError: A part of the folder may not be read.
    """
    if not folder.is_dir():
        return Detection()
    published = {file.name for archives in DATASETS[name].archive_sets for file in archives}
    files = [file for file in list_files(folder) if file not in published and file.split("/")[0] not in IMPORT_FOLDERS]
    return detect_format(name, files)


def find_copy(name: str, path: Path) -> StoredCopy:
    """The copy of a data set in a folder or archive given by the user.

    Raises:
        DataError: There is no such path, it may not be read, or it holds no format of the data set, or an incomplete
            one.
    """
    if path.is_file():
        if path.name.lower().endswith(TARS):
            return StoredCopy(path=path)
        raise DataError(f"{path} is neither a folder nor a tar archive ({', '.join(TARS)}); {expected_formats(name)}")
    files = list_files(path)
    detection = detect_format(name, files)
    if detection.format:
        return StoredCopy(path=path, format=detection.format)
    if archive := next((file for file in files if _is_published_tar(name, file)), None):
        return StoredCopy(path=path / archive)
    title = DATASETS[name].title
    if detection.problem:
        raise DataError(f"{path} is not {title}: {detection.problem}; {detection.remedy}")
    raise DataError(f"{path} holds no format of {title} that bench knows; {expected_formats(name)}")


def list_files(folder: Path) -> list[str]:
    """Names of all files in a folder and its subfolders, sorted, down to MAX_DEPTH and without hidden ones.

    Raises:
        DataError: There is no such folder, or a part of it may not be read.
    """

    def refuse(error: OSError) -> None:
        raise DataError(os_error_sentence(error, folder)) from error

    names = []
    for root, folders, files in os.walk(folder, onerror=refuse):
        parent = PurePosixPath(Path(root).relative_to(folder).as_posix())
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(parent.parts) >= MAX_DEPTH:
            folders.clear()
        names += [(parent / file).as_posix() for file in files if not file.startswith(".")]
    return sorted(names)


def _is_published_tar(name: str, file: str) -> bool:
    published = {archive.name for archives in DATASETS[name].archive_sets for archive in archives}
    return file.endswith(TARS) and file.rpartition("/")[2] in published


def is_importable(name: str) -> bool:
    """Whether ``bench data get NAME --from PATH`` reads this data set."""
    return name in FORMATS
