"""What the page says of the classes of a row."""

from collections.abc import Callable

import numpy as np
from helpers.outcomes import complete

from bench.report.model import Row
from bench.report.page_classes import LARGEST, WORST, class_details
from bench.report.predictions import Predictions
from bench.report.table import build_tables
from bench.values import Cell, Suite

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]


def predictions(labels: list[int], classes: list[int], names: tuple[str, ...]) -> Predictions:
    answers = np.array(classes).reshape(-1, 1)
    return Predictions(labels=np.array(labels), classes=answers, scores=np.ones(answers.shape), names=names)


def row_of(make_cell: MakeCell, make_suite: MakeSuite) -> Row:
    cells = [make_cell(seed=seed) for seed in (0, 1)]
    return build_tables(make_suite(*cells), {cell.id: complete(cell, 50.0) for cell in cells})[0].rows[0]


def test_class_details_of_few_classes_have_the_mean_matrix(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    row = row_of(make_cell, make_suite)
    names = ("cat", "d\nog")
    found = [predictions([0, 0, 1], [0, 0, 1], names), predictions([0, 0, 1], [0, 1, 1], names)]
    details = class_details(row, dict(zip([run.cell_id for run in row.runs], found, strict=True)))
    assert details == {
        "seeds": 2,
        "classes": [{"name": "cat", "images": 2, "top1": 75.0}, {"name": "d og", "images": 1, "top1": 100.0}],
        "matrix": [[1.5, 0.5], [0.0, 1.0]],
    }


def test_class_details_of_many_classes_have_the_hardest_and_the_largest_confusions(
    make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    row = row_of(make_cell, make_suite)
    labels = list(range(60))
    details = class_details(
        row, {row.runs[0].cell_id: predictions(labels, [*labels[1:], 0], tuple(str(label) for label in labels))}
    )
    assert details is not None
    assert "matrix" not in details
    assert len(details["classes"]) == WORST  # type: ignore[arg-type]
    assert len(details["pairs"]) == LARGEST  # type: ignore[arg-type]


def test_class_details_are_none_without_predictions(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    assert class_details(row_of(make_cell, make_suite), {}) is None
