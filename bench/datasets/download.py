"""What lies in the data folder, and bringing what does not: checked downloads and checked image folders.

Called by the command line before a run and by ``bench data``; the worker's loaders use the checks. Archives lie in
``BENCH_DATA/NAME/FILE``, have their final name only once their checksum is right, and are never unpacked. A data set of
several forms (:mod:`bench.datasets.formats`) is here when one of them is: published files, then what was adopted,
then any other.
Nothing here decodes pixels. The network is touched by :func:`fetch` and :func:`require` only, and never with
BENCH_OFFLINE=1.
"""

import os
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.catalog.datasets import DATASETS, FOLDER_PREFIX, Archive, DatasetSpec
from bench.datasets.checksums import archive_problem
from bench.datasets.status import _partial, _remedy, _spec, groups, status, verify
from bench.errors import DataError
from bench.workspace.files import sync_folder

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
        home: The data folder, see :func:`bench.workspace.paths.data_home`.
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
