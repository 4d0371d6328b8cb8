"""Rows by the names that people have of them, and what their predictions say."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cells import MakeCell
from helpers.finished import finish_suite, write_npz

from bench.api.classes import class_options, class_text
from bench.errors import BenchError, UsageError
from bench.report.classes import LARGEST, MATRIX_CLASSES
from bench.values import Suite
from bench.workspace.paths import CellFolder

LABELS, FIRST, SECOND = [0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 2]


@pytest.fixture
def suite(project: Path, make_cell: MakeCell, make_suite: Callable[..., Suite]) -> Suite:
    """Two seeds of a net and one of another, complete on this machine, with predictions but for the last."""
    cells = [make_cell(seed=0), make_cell(seed=1), make_cell("resnet18")]
    suite = make_suite(*cells)
    finish_suite(suite, project / ".bench")
    for cell, predicted in zip(cells, (FIRST, SECOND), strict=False):
        write_npz(CellFolder.of(project / ".bench", cell.id), LABELS, predicted)
    return suite


def text(suite: Suite, name: str, *, option: str = "per-class", format_: str = "markdown") -> str:
    return class_text([suite], None, option, name, format_)


def test_a_row_of_several_seeds_has_mean_and_spread(suite: Suite) -> None:
    page = text(suite, "shufflenet_v2_x0_5")
    assert page.startswith("## Digits: shufflenet_v2_x0_5, cosine\n\n| Class | Images |")
    assert "| 0     |      2 | 75.00 ± 35.36 (n=2) | 1 (0.5 images)" in page
    assert "| 2     |      0 |                   - | -  " in page
    assert "(4 images, mean over 2 seeds). Top-1 of all classes: 75.00 ± 0.00 (n=2)%." in page


@pytest.mark.parametrize("name", ["shuffle", "SHUFFLENET_v2_x0_5, cosine", "test: Digits: shuff"])
def test_a_unique_part_of_the_label_is_enough(suite: Suite, name: str) -> None:
    assert "mean over 2 seeds" in text(suite, name, format_="plain")


def test_the_beginning_of_an_id_means_one_seed(suite: Suite) -> None:
    page = text(suite, suite.cells[1].id[:8], option="confusion", format_="plain")
    assert "(4 images, seed 1)" in page
    assert page.splitlines()[2].split() == ["0", "2", *"." * 9]
    assert page.splitlines()[3].split() == ["1", ".", "1", "1", *"." * 7]


def test_a_part_of_several_rows_is_refused_with_the_ids_that_tell_them_apart(suite: Suite) -> None:
    with pytest.raises(UsageError, match="2 rows are meant by 'cosine'") as refused:
        text(suite, "cosine")
    assert all(cell.id in str(refused.value) for cell in suite.cells)


@pytest.mark.parametrize("name", ["vgg", "", "0123456"])
def test_a_row_that_is_not_there_is_answered_with_those_that_are(suite: Suite, name: str) -> None:
    with pytest.raises(UsageError, match=r"(?s)no row, cell or run is called .*Digits: resnet18, cosine"):
        text(suite, name)


def test_a_row_without_predictions_says_where_they_were_looked_for(suite: Suite) -> None:
    with pytest.raises(BenchError, match=r"resnet18 .* has no predictions: .*predictions\.npz.*--rerun --filter id="):
        text(suite, "resnet18")


def test_a_seed_without_predictions_is_named_and_the_others_count(suite: Suite, project: Path) -> None:
    CellFolder.of(project / ".bench", suite.cells[0].id).predictions.write_bytes(b"no zip")
    page = text(suite, "shuffle", format_="plain")
    assert "seed 1)" in page
    assert f"(cell {suite.cells[0].id}) are damaged" in page


def test_csv_and_json_hold_every_digit_and_no_formula(suite: Suite, project: Path) -> None:
    for cell, predicted in zip(suite.cells, (FIRST, SECOND), strict=False):
        names = ["=cmd", "b", *"cdefghij"]
        write_npz(CellFolder.of(project / ".bench", cell.id), LABELS, predicted, names=names)
    first, second, *_ = csv.DictReader(io.StringIO(text(suite, "shuffle", format_="csv")))
    assert (first["class"], first["images"], first["top1_mean"], second["mistaken_for"]) == ("'=cmd", "2", "75.0", "c")
    pairs = list(csv.reader(io.StringIO(text(suite, "shuffle", option="confusion", format_="csv"))))
    assert pairs == [
        ["true", "predicted", "images", "percent"],
        ["'=cmd", "b", "0.5", "25.0"],
        ["b", "c", "0.5", "25.0"],
    ]
    document = json.loads(text(suite, "shuffle", option="confusion", format_="json"))
    assert (document["schema"], document["n"], document["matrix"][0][:2]) == (1, 2, [1.5, 0.5])
    assert document["confusions"][0] == {"true": "=cmd", "predicted": "b", "images": 0.5, "share": 25.0}


def test_of_many_classes_the_largest_confusions_are_listed(suite: Suite, project: Path) -> None:
    count = MATRIX_CLASSES + LARGEST
    labels = list(range(count))
    folder = CellFolder.of(project / ".bench", suite.cells[2].id)
    write_npz(folder, labels, [*labels[1:], 0], names=[f"c|{label}" for label in labels])
    lines = text(suite, "resnet18", option="confusion").splitlines()
    assert r"| c\|0  | c\|1      |      1 |          100.00 |" in lines
    assert f"Confusions, the {LARGEST} largest of {count}, on the test set" in lines[-3]


def test_formats_of_tables_alone_and_two_documents_at_once_are_refused(suite: Suite) -> None:
    with pytest.raises(UsageError, match="--per-class has no runs format; choose one of markdown, plain, csv, json"):
        text(suite, "shuffle", format_="runs")
    with pytest.raises(UsageError, match="ask for one of them"):
        class_options([suite], None, "a", "b", "markdown")
