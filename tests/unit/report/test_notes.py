"""Caveats about a row's accuracies."""

import math
from dataclasses import replace

import pytest
from helpers.cells import MakeCell
from helpers.outcomes import complete

from bench.report.notes import run_notes
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite


def outcome_of(cell: Cell, **changes: object) -> Outcome:
    outcome = complete(cell, 90.0, classes=10, train_images=640, test_images=360, train_loss=0.01, test_loss=0.5)
    return replace(outcome, **changes)  # type: ignore[arg-type]


def test_a_healthy_run_has_no_note(make_cell: MakeCell) -> None:
    cell = make_cell(batch_size=64)
    assert run_notes(cell, outcome_of(cell)) == []
    assert run_notes(cell, complete(cell, 90.0)) == [], "nor has one of before these facts were kept"


@pytest.mark.parametrize(("images", "batch_size", "noted"), [(160, 81, True), (1437, 64, False), (100, 100, False)])
def test_images_that_fill_no_batch_are_counted_where_they_are_many(
    make_cell: MakeCell, images: int, batch_size: int, noted: bool
) -> None:
    cell = make_cell(batch_size=batch_size)
    notes = run_notes(cell, outcome_of(cell, train_images=images))
    assert bool(notes) == noted
    if noted:
        assert "leaves out 79 of the 160 training images" in notes[0]
    kept = make_cell(batch_size=batch_size, drop_last=False)
    assert run_notes(kept, outcome_of(kept, train_images=images)) == []


def test_a_batch_larger_than_the_set_is_said_with_the_one_that_was_used(make_cell: MakeCell) -> None:
    cell = make_cell(batch_size=5000)
    [note] = run_notes(cell, outcome_of(cell, train_images=1437))
    assert note.startswith("trains in batches of 1437 and not of 5000")


@pytest.mark.parametrize(
    ("top1", "loss", "noted"),
    [(9.72, 0.012, True), (11.0, 1.86, True), (9.72, 2.30, False), (20.56, 0.01, False)],
    ids=["chance though fitted", "nearly chance", "nothing learned", "better than chance"],
)
def test_a_row_at_chance_whose_training_loss_fell_says_why(
    make_cell: MakeCell, top1: float, loss: float, noted: bool
) -> None:
    cell = make_cell()
    notes = run_notes(cell, outcome_of(cell, top1=top1, train_loss=loss))
    assert bool(notes) == noted
    assert not noted or "at chance although the training loss fell" in notes[0]


def test_a_test_loss_that_is_not_finite_is_said(make_cell: MakeCell) -> None:
    cell = make_cell()
    [note] = run_notes(cell, outcome_of(cell, top1=9.7, test_loss=math.nan))
    assert "test loss is nan" in note


def test_notes_of_runs_stand_in_the_row(make_cell: MakeCell) -> None:
    cells = tuple(make_cell(seed=seed, batch_size=81) for seed in range(2))
    suite = Suite(name="s", description="", path="s.yaml", source="", cells=cells)
    [table] = build_tables(suite, {cell.id: outcome_of(cell, train_images=160) for cell in cells})
    assert table.rows[0].note.count("leaves out 79") == 1


def test_a_stale_result_that_was_kept_knowingly_says_what_had_changed(make_cell: MakeCell) -> None:
    cell = make_cell()
    before, now = {"torch": "2.14.0", "data": "a" * 64}, {"torch": "2.15.0", "data": "a" * 64}
    assert run_notes(cell, outcome_of(cell, fingerprint=before, accepted=before)) == []
    [note] = run_notes(cell, outcome_of(cell, fingerprint=before, accepted=now))
    assert note == "kept by --accept-stale although torch changed from 2.14.0 to 2.15.0 since it was made"
