"""The tables in a markdown file, kept up to date: ``bench report --update FILE`` and ``--check FILE``.

Markers in the file say which tables (:mod:`bench.report.markers`). Every table is made before anything is written, so
one that cannot be made leaves the file as it is.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError, SuiteError, UsageError

if TYPE_CHECKING:
    from bench.api.options import Note
    from bench.report.markers import Block
    from bench.report.model import Layout, Report
    from bench.tracking import Store
    from bench.values import Suite


@dataclass(frozen=True, kw_only=True)
class BlockRequest:
    """What a marker, or the command itself, asks for."""

    paths: tuple[str, ...] = ()
    """Suite files, relative to the current folder."""
    saved: str = ""
    """A JSON file to take the figures from, in place of the runs."""
    filters: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    best: bool = False
    runs: bool = False
    layout: "Layout"


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A markdown file before and after its blocks were made again."""

    path: str
    before: bytes
    after: bytes
    blocks: int
    """How many blocks were made again."""

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return self.before != self.after

    def diff(self) -> str:
        """What differs, as ``diff -u`` writes it."""
        from bench.report.markers import unified_diff

        return unified_diff(self.before, self.after, self.path)

    def write(self) -> None:
        """Replace the file, which keeps its permissions; what a link leads to is replaced.

        Raises:
            UsageError: The file cannot be written, or somebody changed it meanwhile.
        """
        from bench.workspace.files import write_atomically

        path = Path(self.path).resolve()
        try:
            mode = path.stat().st_mode
            if not os.access(path, os.W_OK):
                raise UsageError(f"{self.path} cannot be written: Permission denied")
            if path.read_bytes() != self.before:
                raise UsageError(f"{self.path} was changed by somebody else while its tables were made; try again")
            write_atomically(path, self.after)
            path.chmod(mode)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error


def rewrite(
    path: str,
    own: BlockRequest,
    parse: Callable[[Sequence[str]], BlockRequest],
    tracking_uri: str | None,
    note: "Note",
) -> Rewritten:
    """Make the blocks of a markdown file again, without writing it.

    Args:
        path: The file.
        own: What the command names beside the file: suites or a JSON file, whose blocks alone are made again. A block
            whose marker names neither takes these.
        parse: Turns the arguments in a marker into a request.
        tracking_uri: The store; None: the usual one.
        note: Takes sentences for the user.

    Raises:
        UsageError: The file or a marker is wrong, a suite has no finished run, or no block is of the suites.
        TrackingError: The store cannot be read.
    """
    from bench.report.markers import find_blocks, replace_blocks

    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', '') or error}") from error
    blocks = find_blocks(content, path)
    maker = _Maker(tracking_uri, note)
    wanted = maker.names(own)
    texts = {}
    for block in blocks:
        try:
            request = parse(block.arguments)
            if not (request.paths or request.saved):
                request = replace(request, paths=own.paths, saved=own.saved)
            elif wanted and not maker.is_of(request, wanted):
                continue
            elif own.saved and not request.saved:
                request = replace(request, saved=own.saved)
            texts[block] = maker.text(request)
        except BenchError as error:
            error.args = (f"{path}:{block.line}: {error}",)
            raise
    if not texts:
        raise UsageError(f"{path} has no block of {', '.join(wanted)}; its markers:\n{_listed(path, blocks)}")
    return Rewritten(path=path, before=content, after=replace_blocks(content, texts), blocks=len(texts))


def _listed(path: str, blocks: "Sequence[Block]") -> str:
    import shlex

    return "\n".join(f"{path}:{block.line}: bench report {shlex.join(block.arguments)}" for block in blocks)


class _Maker:
    """Makes the texts of blocks; the store is opened once, and only if a block needs it."""

    def __init__(self, tracking_uri: str | None, note: "Note") -> None:
        self._tracking_uri, self._note = tracking_uri, note
        self._store: Store | None = None
        self._found = False

    def names(self, request: BlockRequest) -> list[str]:
        """The names of the suites that are asked for."""
        if request.saved and not request.paths:
            from bench.report.saved import read_report

            return [suite.name for suite in read_report(request.saved).suites]
        return [suite.name for suite in self._suites(request)]

    def is_of(self, request: BlockRequest, names: Sequence[str]) -> bool:
        """Whether a block is of one of these suites; one whose suites cannot be read is not."""
        try:
            return not {*names}.isdisjoint(self.names(request))
        except SuiteError:
            return False

    def text(self, request: BlockRequest) -> str:
        """The text of a block."""
        from bench.api.saved import saved_report
        from bench.report.block import block_text

        if request.saved:
            names = [suite.name for suite in self._suites(request)]
            reports = [saved_report(request.saved, names, request.best, request.layout)[0]]
        else:
            reports = self._from_runs(request)
        return "\n".join(block_text(report, runs=request.runs) for report in reports)

    def _from_runs(self, request: BlockRequest) -> "list[Report]":
        from bench.api.outcomes import find_store, select, stored_suites
        from bench.api.reports import make_reports

        if not self._found:
            self._store, self._found = find_store(self._tracking_uri), True
        suites = self._suites(request) or stored_suites(self._store, self._note)
        suites = [select(suite, request.filters) for suite in suites]
        reports, missing = make_reports(suites, self._store, "markdown", request.best, self._note, request.layout)
        if missing == len({cell.id for suite in suites for cell in suite.cells}):
            names = ", ".join(suite.name for suite in suites)
            raise UsageError(f"no cell of {names} has a result here, so nothing is written; bench plan says why")
        return reports

    def _suites(self, request: BlockRequest) -> "list[Suite]":
        from bench.api.outcomes import load_suites

        return load_suites(request.paths, request.overrides, past=True)
