"""Results and curves as pandas DataFrames, for the Python API; no command uses them.

Column names are those of the MLflow params and metrics, so that a frame and a store can be joined.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.catalog.labels import variants
from bench.recipe import recipe_values
from bench.report.curves import TYPES, curves
from bench.report.model import Table
from bench.report.render import row_record
from bench.values import Cell, Outcome, Suite

if TYPE_CHECKING:
    from pandas import DataFrame

    from bench.report.predictions import Predictions


def results_frame(*results: tuple[Suite, Mapping[str, Outcome]]) -> "DataFrame":
    """One row per cell of suites with outcomes, in their order: axes, recipe, state, accuracies, cost, speed and run.

    Accuracies are percent of the test images, ``params`` and ``flops`` plain counts (one multiply-add is one flop),
    times seconds. A number that does not exist yet is NaN. A cell without an outcome has the state ``missing``.
    """
    import pandas as pd

    return pd.DataFrame(
        [
            _record(suite.name, cell, variant, outcomes.get(cell.id))
            for suite, outcomes in results
            for cell, variant in zip(suite.cells, variants(suite.cells), strict=True)
        ]
    )


def rows_frame(tables: Sequence[Table], *, best: bool = False) -> "DataFrame":
    """One row per row of the tables: the columns of the CSV format, numbers that do not exist as NaN."""
    import pandas as pd

    return pd.DataFrame([row_record(table, row, best) for table in tables for row in table.rows])


def curves_frame(suites: Sequence[Suite], home: Path) -> "DataFrame":
    """One row per cell and epoch, from the journals below a BENCH_HOME: losses, learning rate and accuracies."""
    import pandas as pd

    lines: list[list[str]] = []
    for suite in suites:
        header, *own = csv.reader(io.StringIO(curves(suite, home)))
        lines += own
    return pd.DataFrame(lines, columns=header).astype(TYPES)


def _record(suite: str, cell: Cell, variant: str, outcome: Outcome | None) -> dict[str, object]:
    run = outcome or Outcome(cell_id=cell.id, state="missing")
    cost = run.cost
    return {
        "cell": cell.id,
        "model": cell.model,
        "dataset": cell.dataset,
        "schedule": cell.schedule_name,
        "seed": cell.seed,
        "state": run.state,
        "kind": run.kind,
        "top1": _number(run.top1),
        "top5": _number(run.top5),
        "best_top1": _number(run.best_top1),
        "test_loss": _number(run.test_loss),
        "params": _number(cost.params if cost else None),
        "flops": _number(cost.flops if cost else None),
        "epochs_done": run.epochs_done,
        "images_per_s": _number(run.images_per_s),
        "epoch_s": _number(run.epoch_s),
        "total_s": _number(run.total_s),
        "peak_mb": _number(run.peak_mb),
        "device": run.device,
        "commit": run.commit,
        "run_id": run.run_id,
        "stale": run.stale,
        "reason": run.reason,
        "suite": suite,
        "variant": variant,
        **recipe_values(cell.recipe),
        "decay": cell.schedule.name,
        **{f"decay_{key}": value for key, value in cell.schedule.as_dict().items()},
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def predictions_frame(predictions: "Predictions", files: Sequence[str]) -> "DataFrame":
    """One row per test image; ``files`` are their names, (N,), or empty."""
    import pandas as pd

    names = pd.Series(predictions.names, dtype="object")
    columns: dict[str, object] = {
        "image": range(len(predictions.labels)),
        "file": list(files) or "",
        "label": predictions.labels,
        "label_name": names[predictions.labels].to_numpy(),
    }
    for place in range(predictions.classes.shape[1]):
        end = f"_{place + 1}" if place else ""
        columns[f"predicted{end}"] = predictions.classes[:, place]
        columns[f"predicted_name{end}"] = names[predictions.classes[:, place]].to_numpy()
        columns[f"score{end}"] = predictions.scores[:, place]
    frame = pd.DataFrame(columns)
    frame["correct"] = frame["predicted"] == frame["label"]
    return frame
