"""What the HTML page says of the classes of a row: accuracies and confusions, from the predictions that lie here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.report.model import Row
from bench.text import one_line

if TYPE_CHECKING:
    from bench.report.predictions import Predictions

MATRIX_CLASSES = 20
"""Up to so many classes the whole matrix is shown; of more, the worst classes and the largest confusions."""
WORST = 20
LARGEST = 30


def class_details(row: Row, predictions: "Mapping[str, Predictions]") -> dict[str, object] | None:
    """The classes of a row for the page's script; None where no predictions of its runs lie here.

    Args:
        row: The row.
        predictions: Predictions by cell id.
    """
    from bench.report.predictions import class_accuracies, confusions, mean_confusion

    runs = [predictions[run.cell_id] for run in row.runs if run.cell_id in predictions]
    runs = [run for run in runs if run.labels.tolist() == runs[0].labels.tolist() and run.names == runs[0].names]
    if not runs:
        return None
    classes = [
        {
            "name": one_line(each.name),
            "images": each.images,
            "top1": None if each.accuracy is None else round(each.accuracy.mean, 2),
        }
        for each in class_accuracies(runs)
    ]
    if len(classes) <= MATRIX_CLASSES:
        return {"seeds": len(runs), "classes": classes, "matrix": mean_confusion(runs).round(1).tolist()}
    classes.sort(key=lambda each: float("inf") if each["top1"] is None else float(str(each["top1"])))
    pairs = [
        {"true": one_line(each.true), "predicted": one_line(each.predicted), "images": round(each.images, 1)}
        for each in confusions(runs)[:LARGEST]
    ]
    return {"seeds": len(runs), "classes": classes[:WORST], "pairs": pairs}
