"""Download the files of a data set: resumed, checked, and from the first source that serves them well.

Called by :mod:`bench.datasets.download` under the data set's lock. Nothing else in bench touches the network for data.

====================================  =================================================================================
BENCH_MIRROR is set                   ``BENCH_MIRROR/NAME/FILE`` is tried first, for every set of files, at any speed
several sets of files                 in the catalog's order; the first one that arrives complete is used
several sources of a file             in the catalog's order
the connection breaks                 resumed with a Range request, up to TRIES connections per source
a source is slow                      left after SLOW_AFTER_S seconds below SLOW_BYTES_PER_S; tried again, at any speed,
                                      if no other source serves the data set
HTTP error, no answer                 next source
wrong checksum                        the file is deleted; from the beginning if it was resumed, else next source
more bytes than published             cut off and treated as a wrong checksum
disk too small                        refused before the first byte
====================================  =================================================================================

A file is ``FILE.part`` until its checksum is right and is then renamed, so that a final name is always a whole file.
Over 250 lines because of this table.
"""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.catalog.datasets import Archive
from bench.datasets.checksums import archive_problem
from bench.datasets.published import Progress
from bench.errors import DataError
from bench.workspace.files import sync_folder

if TYPE_CHECKING:
    import requests

TIMEOUT_S = (10, 30)
"""To connect, and between two reads."""
TRIES = 4
"""Connections to one source before the next source is tried; each resumes where the last broke off."""
SLOW_BYTES_PER_S, SLOW_AFTER_S = 100_000, 20
"""Toronto's host served 55 kB/s for weeks, an hour for CIFAR-10 (pytorch/vision#9536)."""
CHUNK = 1 << 14
"""Bytes read at a time; a broken connection loses less than one chunk."""


@dataclass(frozen=True)
class Round:
    """One pass over all sets of files."""

    mirror: str = ""
    """Base URL to use instead of the catalog's; empty for the catalog's."""
    skip_slow: bool = False
    """Whether a slow source is left for the next one."""

    def urls(self, archive: Archive) -> Sequence[str]:
        """Where a file is looked for."""
        return [f"{self.mirror}/{archive.name}"] if self.mirror else archive.urls


def download(
    name: str, archive_sets: Sequence[Sequence[Archive]], folder: Path, on_progress: Progress | None
) -> str | None:
    """Download the first set of files that can be had completely; None, or the reason per source if none can.

    Raises:
        DataError: The disk is too small.
    """
    mirror = os.environ.get("BENCH_MIRROR", "").rstrip("/")
    rounds = [Round(mirror=f"{mirror}/{name}")] if mirror else []
    rounds += [Round(skip_slow=True), Round()]
    reasons: list[str] = []
    slow = False
    for current in rounds:
        if current == Round() and not slow:
            break  # nothing was skipped, so a second pass would fail as the first did
        for archives in archive_sets:
            failure = _download_set(archives, current, folder, on_progress)
            if failure is None:
                _remove_partial(archive_sets, folder)
                return None
            reasons += failure.reasons
            slow = slow or failure.slow
    return "\n".join(dict.fromkeys(reasons)) or "  (no source is known; BENCH_MIRROR can name one)"


def partial_path(target: Path) -> Path:
    """Where a file is while it is being downloaded."""
    return target.with_name(target.name + ".part")


@dataclass(frozen=True)
class _Failure:
    """Why a file could not be downloaded."""

    reasons: list[str]
    """One line per source."""
    slow: bool
    """Whether one of them was only too slow."""


def _download_set(
    archives: Sequence[Archive], current: Round, folder: Path, on_progress: Progress | None
) -> _Failure | None:
    for archive in archives:
        target = folder / archive.name
        if target.is_file():
            if archive_problem(target, archive) is None:
                continue
            target.unlink()
        _check_disk(archive, folder)
        if failure := _download_file(archive, current, target, on_progress):
            return failure
    return None


def _download_file(archive: Archive, current: Round, target: Path, on_progress: Progress | None) -> _Failure | None:
    reasons, slow = [], False
    for url in current.urls(archive):
        try:
            _download_from(url, archive, target, on_progress, skip_slow=current.skip_slow)
        except _SourceError as error:
            reasons.append(f"  {url}: {error}")
            slow = slow or isinstance(error, _SlowSourceError)
        else:
            return None
    return _Failure(reasons, slow)


def _remove_partial(archive_sets: Sequence[Sequence[Archive]], folder: Path) -> None:
    """Remove what was begun of other sets of files."""
    for archive in (archive for archives in archive_sets for archive in archives):
        partial_path(folder / archive.name).unlink(missing_ok=True)


class _SourceError(Exception):
    """One source does not serve the file; the text is the reason."""


class _SlowSourceError(_SourceError):
    """It would, but slowly, and another source may be faster."""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_disk(archive: Archive, folder: Path) -> None:
    missing = archive.size - _size(partial_path(folder / archive.name))
    free = shutil.disk_usage(folder).free
    if free < missing:
        raise DataError(
            f"{archive.name} needs {missing / 1e6:,.0f} MB more in {folder}, where {free / 1e6:,.0f} MB are free;"
            " make room, or name another folder in BENCH_DATA"
        )


def _download_from(url: str, archive: Archive, target: Path, on_progress: Progress | None, *, skip_slow: bool) -> None:
    """Download one file from one source: resume what is there, check it, rename it.

    Raises:
        _SourceError: The source does not serve it.
    """
    import requests

    partial = partial_path(target)
    reason = ""
    for _ in range(TRIES):
        start = _size(partial)
        if not archive.size or start < archive.size:
            try:
                _receive(url, archive, partial, start, on_progress, skip_slow=skip_slow)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                reason = _short_reason(error)
                if _size(partial) <= start:
                    break
                continue  # some bytes arrived before it broke: resume
            except requests.RequestException as error:
                raise _SourceError(_short_reason(error)) from error
            if start < _size(partial) < archive.size:
                reason = "the connection was closed too early"
                continue
        if not partial.exists():
            raise _SourceError("empty response")
        if problem := archive_problem(partial, archive):
            partial.unlink()
            reason = f"checksum mismatch: {problem.replace(str(partial), 'the response')}"
            if start:
                continue  # the wrong bytes may have come from an earlier source
            break
        partial.replace(target)
        sync_folder(target.parent)
        return
    raise _SourceError(reason)


def _receive(
    url: str, archive: Archive, partial: Path, start: int, on_progress: Progress | None, *, skip_slow: bool
) -> None:
    """Append to ``partial`` what one connection gives from byte ``start`` on."""
    import requests

    # without "identity" a server may compress, and sizes and ranges would be those of other bytes
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and start:
            return  # no more bytes: the file is complete, or its checksum will show that it is not
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _SourceError(f"it answers with the range {response.headers.get('Content-Range', 'unknown')!r}")
        received = start if resumed else 0
        expected = archive.size or _announced(response, received)
        clock = _SpeedCheck(received)
        with partial.open("ab" if resumed else "wb") as stream:
            for chunk in response.iter_content(CHUNK):
                received += len(chunk)
                stream.write(chunk)
                if archive.size and received > archive.size:
                    break  # already too much; the checksum refuses it
                if skip_slow and clock.too_slow(received):
                    raise _SlowSourceError(f"slower than {SLOW_BYTES_PER_S / 1e3:,.0f} kB/s")
                if on_progress:
                    on_progress(archive.name, received, expected)
            stream.flush()
            os.fsync(stream.fileno())


class _SpeedCheck:
    """Measures a download in windows of SLOW_AFTER_S seconds."""

    def __init__(self, received: int) -> None:
        self._since, self._received = time.monotonic(), received

    def too_slow(self, received: int) -> bool:
        """Whether the last complete window was below SLOW_BYTES_PER_S."""
        passed = time.monotonic() - self._since
        if passed < SLOW_AFTER_S:
            return False
        slow = received - self._received < SLOW_BYTES_PER_S * passed
        self._since, self._received = time.monotonic(), received
        return slow


def _announced(response: "requests.Response", start: int) -> int:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else 0


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
