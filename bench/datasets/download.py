"""The source of data sets that bench can download: their status in the data folder, and fetching them.

Called through :mod:`bench.datasets.source`. Archives are in ``BENCH_DATA/NAME/FILE`` and are never extracted. A data
set that is read in several formats (:mod:`bench.datasets.formats`) is here if any copy is: published files, imported
arrays, or another format. Decodes nothing; the network is touched by :meth:`DownloadSource.fetch` alone, and never with
BENCH_OFFLINE=1.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.catalog.datasets import Archive
from bench.datasets.checksums import archive_problem, file_problem, has_sha256, size_problem
from bench.datasets.formats import FORMATS
from bench.datasets.published import Progress, PublishedSource
from bench.datasets.reading import os_error_sentence, writing
from bench.datasets.status import Status, StatusState
from bench.datasets.stored import StoredCopy, detect_other, find_import, locate
from bench.datasets.transfer import download, partial_path
from bench.errors import DataError

ORDER = "images by the SHA-256 of label and pixels"
"""The order of images in each split of a data set with several formats; part of the identity of packs."""
IMPORT_MARK = "adopted"
"""What marks imported arrays in the identity of packs; packs that exist were made with this word."""


def offline() -> bool:
    """Whether BENCH_OFFLINE forbids the network: set, and neither empty nor 0."""
    return os.environ.get("BENCH_OFFLINE", "") not in ("", "0")


@dataclass(frozen=True)
class DownloadSource(PublishedSource):
    """A data set whose published files are downloaded."""

    fetchable = True

    # --- Status -------------------------------------------------------------------------------------------------------

    def status(self, home: Path, *, deep: bool = False) -> Status:
        """Look at sizes of files; with ``deep`` compare every checksum."""
        folder = home / self.name
        try:
            published = self._published_status(folder, deep=deep)
            if published.state == "ready" or self.name not in FORMATS:
                return published
            return self._import_status(home, deep=deep) or self._other_status(folder, deep=deep) or published
        except OSError as error:
            return self._status("corrupt", folder, os_error_sentence(error, folder))
        except DataError as error:
            return self._status("corrupt", folder, str(error))

    def _status(self, state: StatusState, folder: Path, sentence: str, size: int = 0) -> Status:
        return Status(self.name, state, folder, sentence, size)

    def _published_status(self, folder: Path, *, deep: bool) -> Status:
        """By the published files alone: ready if one of their sets is complete, else what the official one misses."""
        check = archive_problem if deep else size_problem
        problems: list[str] = []
        size, begun = 0, False
        for archives in self.archive_sets:
            present = [file for file in archives if (folder / file.name).is_file()]
            set_size = sum((folder / file.name).stat().st_size for file in present)
            wrong = [problem for file in present if (problem := check(folder / file.name, file))]
            if len(present) == len(archives) and not wrong:
                return self._status("ready", folder, f"{self.name} is in {folder}", set_size)
            size += set_size
            problems += wrong
            begun = begun or bool(present) or any(_is_begun(folder, file) for file in archives)
        remedy = self.remedy(folder.parent)
        if problems:
            return self._status("corrupt", folder, f"{'; '.join(problems)}. {remedy}", size)
        missing = [file.name for file in self.spec.archives if not (folder / file.name).is_file()]
        sentence = f"{self.name} is not complete: {', '.join(missing)} missing from {folder}. {remedy}"
        return self._status("incomplete" if begun else "absent", folder, sentence, size)

    def _import_status(self, home: Path, *, deep: bool) -> Status | None:
        """By imported arrays; None if there are none."""
        if (found := find_import(self.name, home)) is None:
            return None
        folder, size = home / self.name, sum(found.card["bytes"].values())
        for file, sha256 in found.card["sha256"].items() if deep else ():
            if not has_sha256(found.folder / file, sha256):
                sentence = (
                    f"{found.folder / file} does not match its recorded SHA-256. Delete {found.folder} and run: "
                    f"bench data get {self.name} --from PATH"
                )
                return self._status("corrupt", folder, sentence, size)
        return self._status("ready", folder, f"{self.name} was imported from {found.card['origin']}", size)

    def _other_status(self, folder: Path, *, deep: bool) -> Status | None:
        """By files in another format; None if there are none."""
        detection = detect_other(self.name, folder)
        if (stored := detection.format) is not None:
            size = sum((folder / file).stat().st_size for file in stored.files)
            md5s = self.spec.file_md5s if stored.kind == "pickle" else {}
            for file in stored.files if deep else ():
                if problem := file_problem(folder / file, md5s):
                    return self._status("corrupt", folder, f"{problem}; extract it again", size)
            copy = StoredCopy(path=folder, format=stored)
            return self._status("ready", folder, f"{self.name} is there as {copy.description}", size)
        if detection.problem:
            sentence = f"{folder} is not {self.title}: {detection.problem}; {detection.remedy}"
            return self._status("incomplete", folder, sentence)
        return None

    def remedy(self, home: Path) -> str:
        """The commands that get it."""
        folder = home / self.name
        lines = [f"Get it with: bench data get {self.name}"]
        if self.name in FORMATS:
            lines.append(f"or, if you already have it: bench data get {self.name} --from PATH")
        if with_urls := [file for file in self.spec.archives if file.urls]:
            commands = (f"curl -L --create-dirs -o {folder / file.name} {file.urls[0]}" for file in with_urls)
            lines.append(f"or download it manually: {'; '.join(commands)}")
        return "\n  ".join(lines)

    def signature(self, home: Path) -> list[str]:
        """Published checksums where there are any, else sizes and modification times of files."""
        if self.name not in FORMATS:
            return [f"{archive.name}|{archive.md5}" for archive in self.spec.archives]
        copy = locate(self.name, home)
        if copy is None:
            return [ORDER]
        if copy.imported:
            found = find_import(self.name, home)
            return [ORDER, IMPORT_MARK, found.card["digest"] if found else ""]
        files = copy.format.files if copy.format else [copy.path.name]
        if copy.published:
            checksums = {file.name: file.checksum for archives in self.archive_sets for file in archives}
            return [ORDER, *(f"{file}|{checksums[file]}" for file in files)]
        stats = [(file, (copy.path / file).stat()) for file in files]
        return [ORDER, *(f"{file}|{stat.st_size}|{stat.st_mtime_ns}" for file, stat in stats)]

    # --- Fetching -----------------------------------------------------------------------------------------------------

    def fetch(self, home: Path, on_progress: Progress | None = None) -> None:
        """Download what is missing. Two processes download once.

        Raises:
            DataError: It could not be had; the text lists every source with its reason, and the commands to try.
        """
        folder = home / self.name
        if offline():
            status = self.status(home, deep=True)
            if status.state != "ready":
                raise DataError(f"BENCH_OFFLINE is set and {status.sentence}")
            return
        from bench.workspace.locks import wait_for_lock

        with writing(self.name, folder):
            folder.mkdir(parents=True, exist_ok=True)
            with wait_for_lock(home / f".{self.name}.lock"):
                if self.status(home, deep=True).state == "ready":
                    return
                failure = download(self.name, self.archive_sets, folder, on_progress)
        if failure:
            raise DataError(f"{self.name} could not be downloaded to {folder}:\n{failure}\n{self.remedy(home)}")


def _is_begun(folder: Path, file: Archive) -> bool:
    return partial_path(folder / file.name).exists()
