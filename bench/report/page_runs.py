"""What the HTML page says of a run: the line that stands for it, and the column of it in the details of its row."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.report.model import Report, RunReference
from bench.text import percent
from bench.workspace.paths import CellFolder

if TYPE_CHECKING:
    from markupsafe import Markup

RUN_HEADINGS = (
    "Seed",
    "State",
    "Top-1(%)",
    "Top-5(%)",
    "Best top-1(%)",
    "Test loss",
    "Time(s)",
    "Images/s",
    "Peak(MB)",
    "Device",
    "Computed",
    "Commit",
    "Cell",
    "MLflow run",
    "Log",
)


def run_texts(run: RunReference, report: Report) -> tuple[str, ...]:
    """A run under :data:`RUN_HEADINGS`."""
    return (
        str(run.seed),
        f"{run.state} (stale: {run.stale})" if run.stale else run.state,
        "-" if run.top1 is None else percent(run.top1),
        "-" if run.top5 is None else percent(run.top5),
        "-" if run.best_top1 is None else percent(run.best_top1),
        _number(run.test_loss, 4),
        _number(run.seconds, 1),
        _number(run.images_per_s, 0),
        _number(run.peak_mb, 0),
        run.device or "-",
        run.mode or "-",
        run.commit[:10] or "-",
        run.cell_id,
        _link(run.run_id, report.store),
        _log(run.cell_id, report.home),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}".replace(",", " ")


def _link(run_id: str, store: str) -> "str | Markup":
    """A run's id; where a server keeps it, as a link to its page there."""
    from markupsafe import Markup

    if not run_id or not store.startswith(("http://", "https://")):
        return run_id or "-"
    return Markup('<a href="{}/#/runs/{}">{}</a>').format(store.rstrip("/"), run_id, run_id)


def _log(cell_id: str, home: Path | None) -> str:
    """The log of a cell's last attempt, if it lies here."""
    attempts = CellFolder.of(home, cell_id).attempts() if home else []
    return str(attempts[-1].log) if attempts and attempts[-1].log.exists() else "-"
