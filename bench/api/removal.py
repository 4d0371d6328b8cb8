"""What takes up space and what can be removed: results of a suite or a cell, and what bench can make again.

Nothing is removed that a run is using. Results in the store are deleted as MLflow does it: ``mlflow gc`` frees them.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DiskError, UsageError

if TYPE_CHECKING:
    from bench.tracking import Store
    from bench.values import Cell
    from bench.workspace.paths import CellFolder


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Results that would be removed."""

    name: str
    """In words, e.g. ``suite digits``."""
    cells: "Sequence[Cell]"
    folders: "Sequence[CellFolder]"
    """Of these cells, on this machine."""
    runs: Mapping[str, str]
    """Runs in the store: id -> suite."""
    kept: Sequence[str] = ()
    """Cells that stay because another suite has them too, by id."""
    files: Sequence[Path] = field(default=())
    """Other files, on this machine."""

    @property
    def size(self) -> int:
        """Bytes on this machine's disk."""
        return sum(size_of(folder.root) for folder in self.folders)


def size_of(path: Path) -> int:
    """Bytes of a file or of everything in a folder; what vanishes meanwhile counts as nothing."""
    total = 0
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        try:
            total += each.lstat().st_size if not each.is_dir() else 0
        except OSError:
            continue
    return total


def find_removal(name: str, store: "Store | None") -> Removal:
    """The results that a suite's name, its file or the beginning of a cell's id stands for.

    Raises:
        UsageError: It is none of these, or one of the cells is running.
    """
    from bench.api.cells import all_suites, find_cell
    from bench.workspace.locks import is_held
    from bench.workspace.paths import CellFolder, bench_home, suite_file

    home, suites = bench_home(), all_suites(store)
    own = [suite for suite in suites if name in (suite.name, suite.path)]
    if own:
        cells = {cell.id: cell for suite in own for cell in suite.cells}
        others = {cell.id for suite in suites if suite not in own for cell in suite.cells if suite.name != own[0].name}
        kept = [cell_id for cell_id in cells if cell_id in others]
        runs = _runs_of({own[0].name: None}, store)
        files, title = [suite_file(home, own[0].name)], f"suite {own[0].name}"
    else:
        found = find_cell(name, store)
        cells, kept, files, title = {found.cell.id: found.cell}, [], [], f"cell {found.cell.id} ({found.cell.title})"
        runs = _runs_of({suite.name: found.cell.id for suite in found.suites}, store)
    folders = [CellFolder.of(home, cell_id) for cell_id in cells if cell_id not in kept]
    folders = [folder for folder in folders if folder.root.is_dir()]
    if running := [folder.root.name for folder in folders if is_held(folder)]:
        raise UsageError(f"{title}: {', '.join(running)} is running now; stop its bench run first (Ctrl-C saves it)")
    return Removal(name=title, cells=list(cells.values()), folders=folders, runs=runs, kept=kept, files=files)


def _runs_of(suites: Mapping[str, str | None], store: "Store | None") -> dict[str, str]:
    """Runs of suites, or of one cell of each: id -> suite."""
    if store is None:
        return {}
    runs: dict[str, str] = {}
    with store.translated("cannot be read"):
        for suite, cell_id in suites.items():
            chosen = f"tags.`bench.cell` = '{cell_id}'" if cell_id else ""
            runs |= {run.info.run_id: suite for run in store.runs(suite, chosen)}
    return runs


def remove(removal: Removal, store: "Store | None") -> None:
    """Remove results from the store and from this machine.

    Raises:
        TrackingError: The store cannot be written; nothing on this machine was removed.
        DiskError: A folder cannot be removed.
    """
    if store is not None and removal.runs:
        with store.translated("cannot delete runs"):
            for run_id in removal.runs:
                store.client.delete_run(run_id)
    delete([*(folder.root for folder in removal.folders), *removal.files])


def delete(paths: Iterable[Path]) -> None:
    """Delete files and whole folders; a link is deleted and not what it leads to.

    Raises:
        DiskError: One cannot be deleted; those before it are.
    """
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise DiskError(f"{error.filename or path} cannot be removed: {error.strerror}") from error


@dataclass(frozen=True, kw_only=True)
class Waste:
    """A kind of files that ``bench clean`` can remove."""

    description: str
    paths: Sequence[Path]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(size_of, self.paths))


def find_waste() -> dict[str, Waste]:
    """What can be removed without losing a number of any table, by name; cells that are running are left out."""
    from bench.workspace.paths import bench_home, data_home

    idle = list(_idle_cells(bench_home()))
    data = [path for kind in ("packed", "indexed") for path in sorted((data_home() / kind).glob("*"))]

    def of_complete(files: "Callable[[CellFolder], Sequence[Path]]") -> list[Path]:
        return [path for folder in idle if folder.result.exists() for path in files(folder) if path.exists()]

    return {
        "packs": Waste(
            description="decoded copies and lists of data sets; made again when they are needed", paths=data
        ),
        "attempts": Waste(
            description="earlier attempts that a rerun has replaced; their runs in the store stay",
            paths=[archive for folder in idle for archive in folder.archives()],
        ),
        "checkpoints": Waste(
            description="of complete cells, which need none",
            paths=of_complete(lambda folder: [each for path in folder.checkpoints() for each in with_digest(path)]),
        ),
        "weights": Waste(
            description="weights and predictions of complete cells, of which the store has copies",
            paths=of_complete(lambda folder: [folder.weights, folder.predictions] if folder.tracking.exists() else []),
        ),
    }


def with_digest(checkpoint: Path) -> list[Path]:
    """A checkpoint and the file of its digest."""
    return [checkpoint, checkpoint.with_name(f"{checkpoint.name}.sha256")]


def _idle_cells(home: Path) -> "Iterator[CellFolder]":
    from bench.workspace.locks import is_held
    from bench.workspace.paths import CellFolder, cell_names

    for name in sorted(cell_names(home)):
        folder = CellFolder.of(home, name)
        if folder.root.is_dir() and not is_held(folder):
            yield folder
