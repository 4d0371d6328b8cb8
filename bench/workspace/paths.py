"""Where everything is on disk. One class owns all paths of a cell; nothing else joins names below BENCH_HOME."""

import os
from dataclasses import dataclass
from pathlib import Path


def bench_home() -> Path:
    """Folder of cells, checkpoints and caches: BENCH_HOME, else ``.bench`` in the current folder. Absolute."""
    return Path(os.environ.get("BENCH_HOME") or ".bench").absolute()


def data_home() -> Path:
    """Folder of data sets: BENCH_DATA, else ``bench/data`` in the user's cache folder. Absolute."""
    if named := os.environ.get("BENCH_DATA"):
        return expand(named).absolute()
    return _cache_home() / "data"


def empty_store_file(version: str) -> Path:
    """An MLflow database without runs, as this version of MLflow creates it, in the user's cache folder."""
    return _cache_home() / f"mlflow-{version}.db"


def costs_file(home: Path) -> Path:
    """Measured params and FLOPs of nets below a BENCH_HOME."""
    return home / "costs.json"


def net_traceback(home: Path, name: str) -> Path:
    """The traceback of a net that could not be measured, below a BENCH_HOME; overwritten by the next try."""
    return home / "failures" / f"{name}.txt"


def speeds_file() -> Path:
    """Measured speeds of nets on this machine, in the user's cache folder."""
    return _cache_home() / "speeds.json"


def net_speeds_file() -> Path:
    """Measured latencies and throughputs of finished nets on this machine, in the user's cache folder."""
    return _cache_home() / "net_speeds.json"


def devices_lock() -> Path:
    """The lock file of this machine's devices, in the user's cache folder."""
    return _cache_home() / "devices.lock"


def _cache_home() -> Path:
    """The user's cache folder."""
    ensure_home()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "bench"


def ensure_home() -> None:
    """Make BENCH_HOME the home of a user without one, as in many containers: MLflow and torch ask for it."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(bench_home())
        os.environ.setdefault("LOGNAME", "unknown")  # torch's compiler names its folder after the user


def expand(path: str) -> Path:
    """A path with its ``~`` replaced; as it is for a user without a home, where :meth:`Path.expanduser` raises."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def cell_names(home: Path) -> frozenset[str]:
    """The names of the folders of cells below a BENCH_HOME."""
    try:
        return frozenset(os.listdir(home / "cells"))  # noqa: PTH208 - ten thousand names, no paths
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def cell_files(home: Path) -> list[Path]:
    """The files of cells below a BENCH_HOME, each a :class:`bench.values.Cell` as JSON, in no order."""
    return list((home / "cells").glob("*/cell.json"))


def suite_files(home: Path) -> list[Path]:
    """The suites that were run below a BENCH_HOME, each a :class:`bench.values.Suite` as JSON, by name."""
    return sorted((home / "suites").glob("*.json"))


def suite_file(home: Path, name: str) -> Path:
    """The copy of a suite, so that its journals can be replayed without the file that it came from."""
    return home / "suites" / f"{name}.json"


@dataclass(frozen=True)
class AttemptFolder:
    """Paths of one attempt at a cell."""

    root: Path

    @property
    def request(self) -> Path:
        """The :class:`bench.values.Attempt` as JSON, the input of the worker."""
        return self.root / "attempt.json"

    @property
    def journal(self) -> Path:
        """Append-only events, see :mod:`bench.workspace.journal`."""
        return self.root / "journal.jsonl"

    @property
    def log(self) -> Path:
        """Standard output and error of the worker."""
        return self.root / "log.txt"

    @property
    def traceback(self) -> Path:
        """The traceback of a failed attempt."""
        return self.root / "traceback.txt"

    @property
    def number(self) -> int:
        """1 for the first attempt."""
        return int(self.root.name.removeprefix("attempt-"))


@dataclass(frozen=True)
class CellFolder:
    """Paths of one cell: ``BENCH_HOME/cells/CELL-ID``."""

    root: Path

    @classmethod
    def of(cls, home: Path, cell_id: str) -> "CellFolder":
        """The folder of a cell below a BENCH_HOME."""
        return cls(home / "cells" / cell_id)

    @property
    def home(self) -> Path:
        """The BENCH_HOME that it is in."""
        return self.root.parent.parent

    @property
    def cell(self) -> Path:
        """The :class:`bench.values.Cell` as JSON."""
        return self.root / "cell.json"

    @property
    def result(self) -> Path:
        """Written last, by rename, when the cell is complete."""
        return self.root / "result.json"

    @property
    def accepted(self) -> Path:
        """The fingerprint under which a stale result was kept knowingly, as JSON; missing where none was."""
        return self.root / "accepted.json"

    def checkpoint(self, epochs: int, steps: int) -> Path:
        """State after some epochs and some steps of the next; valid only with the ``.sha256`` file next to it."""
        return self.root / f"checkpoint-{epochs:06d}-{steps:08d}.pt"

    def checkpoints(self) -> list[Path]:
        """All checkpoints on disk, newest first."""
        return sorted(self.root.glob("checkpoint-*.pt"), reverse=True)

    @property
    def weights(self) -> Path:
        """Weights after the last epoch."""
        return self.root / "weights.safetensors"

    @property
    def predictions(self) -> Path:
        """Class scores of the test set after the last epoch."""
        return self.root / "predictions.npz"

    @property
    def environment(self) -> Path:
        """Versions, device and host of the last attempt, as JSON."""
        return self.root / "environment.json"

    @property
    def tracking(self) -> Path:
        """Which runs of which stores hold the journal, and up to which byte."""
        return self.root / "tracking.json"

    @property
    def tracking_lock(self) -> Path:
        """Held while a run is searched for or created."""
        return self.root / "tracking.lock"

    @property
    def lock(self) -> Path:
        """Held by the scheduler that runs the cell."""
        return self.root / "lock"

    @property
    def worker_lock(self) -> Path:
        """Held by the worker that trains the cell, which may outlive its scheduler by the seconds it takes to save."""
        return self.root / "worker.lock"

    def attempt(self, number: int) -> AttemptFolder:
        """The folder of one attempt."""
        return AttemptFolder(self.root / f"attempt-{number}")

    def attempts(self) -> list[AttemptFolder]:
        """All attempts that were started, first to last."""
        attempts = [AttemptFolder(path) for path in self.root.glob("attempt-*") if path.name[8:].isdigit()]
        return sorted(attempts, key=lambda attempt: attempt.number)

    def new_archive(self, timestamp: str) -> Path:
        """The folder of a series of attempts that is archived now."""
        return self.root / f"before-{timestamp}"

    def archives(self) -> list[Path]:
        """The folders of archived series, oldest first."""
        return sorted(self.root.glob("before-*"))

    def locks(self) -> list[Path]:
        """The lock files, which belong to the cell and not to a series."""
        return [self.lock, *self.root.glob("*.lock")]
