"""What every check for a GPU is given, and what it yields. Standard library only."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The repository."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the table."""

    name: str
    value: str
    target: str = ""
    holds: bool | None = None
    """None if there is no target."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every check is given."""

    folder: str
    """The ImageFolder tree; empty without one."""
    output: Path
    """Kept: findings, logs, packed data, the cells of a suite."""
    runs: Path
    """Removed when a check holds: the cells that it trained."""
    dry: bool

    @property
    def data(self) -> Path:
        """Where data sets are packed, once for all checks."""
        return self.output / "data"

    @property
    def device(self) -> str:
        """Where checks compute."""
        return "cpu" if self.dry else "cuda"

    @property
    def dataset(self) -> str:
        """What whole cells are trained on."""
        return f"folder:{self.folder}" if self.folder else "digits"

    def judged(self, holds: bool) -> bool | None:
        """Whether a speed meets its target; None in a dry run, whose speeds mean nothing."""
        return None if self.dry else holds


def environment(threads: int = 0) -> dict[str, str]:
    """The environment of all processes here; cuBLAS gives the same bits every time only with its workspace fixed."""
    fixed = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if threads}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **fixed, "PYTHONPATH": path, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


Check = Callable[[Setup], Iterator[Finding]]
"""Yields findings as they come."""
