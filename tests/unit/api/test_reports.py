"""The tables of suites, from folders as runs leave them."""

import json
from pathlib import Path

import pytest
from helpers.cells import suite_text

from bench.api import report
from bench.api.reports import as_it_ran, render_suites
from bench.errors import UsageError
from bench.report.model import Layout
from bench.suite import load_suite
from bench.values import Suite, to_json
from bench.workspace.cells import keep_suite
from bench.workspace.events import Ended, EpochDone, Started
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder, bench_home


def train(suite: Suite, top1: float) -> None:
    """Leave what a run of a suite leaves."""
    keep_suite(suite, bench_home())
    for cell in suite.cells:
        folder = CellFolder.of(bench_home(), cell.id)
        metrics = {"train/loss": 1.0, "train/lr": 0.1, "test/loss": 1.0, "test/top1": top1, "test/top5": 99.0}
        with Journal(folder.attempt(1).journal) as journal:
            journal.write(Started(attempt=1, epochs=1, device="cpu"))
            journal.write(EpochDone(epoch=1, metrics=metrics, epoch_s=1.0, images_per_s=1.0))
            journal.write(Ended(state="complete"))
        folder.cell.write_text(to_json(cell))
        folder.result.write_text("{}")


@pytest.fixture
def file(project: Path) -> str:
    (project / "two.yaml").write_text(suite_text(["resnet18", "vgg11"], name="two"))
    return "two.yaml"


def test_a_suite_that_ran_only_with_set_is_shown_as_it_ran(file: str) -> None:
    train(load_suite(file, overrides=["recipe.epochs=1"]), 12.5)
    notes: list[str] = []
    text, missing = render_suites([load_suite(file)], None, "markdown", False, notes.append)
    assert (text.count("12.50"), missing) == (2, 0)
    assert notes == [
        "two: nothing ran yet as the file says; these are the results of: bench run two.yaml --set recipe.epochs=1"
    ]
    short = load_suite(file)
    short = Suite(**{**vars(short), "cells": short.cells[:1]})
    assert len(as_it_ran(short, None, notes.append).cells) == 1, "a filter holds"


def test_a_suite_that_ran_as_its_file_says_is_shown_so(file: str) -> None:
    plain = load_suite(file)
    train(plain, 50.0)
    train(load_suite(file, overrides=["recipe.epochs=1"]), 12.5)
    assert as_it_ran(plain, None, lambda _: None) == plain


def test_a_suite_that_never_ran_is_missing(file: str) -> None:
    assert render_suites([load_suite(file)], None, "markdown", False)[1] == 2


class TestSeveralSuites:
    """Two suites that share a data set and a cell."""

    @pytest.fixture
    def suites(self, project: Path) -> list[Suite]:
        (project / "one.yaml").write_text(suite_text(["resnet18", "vgg11"], name="one"))
        (project / "two.yaml").write_text(suite_text(["vgg11", "alexnet"], name="two"))
        suites = [load_suite(name) for name in ("one.yaml", "two.yaml")]
        train(suites[0], 50.0)
        return suites

    def test_people_get_one_table_per_data_set_in_which_every_cell_is_once(self, suites: list[Suite]) -> None:
        text, missing = render_suites(suites, None, "markdown", False)
        table = text.partition("Params:")[0]
        assert (table.count("## "), table.count("| vgg11 "), table.count("50.00"), missing) == (1, 1, 2, 1)
        assert text.count("± is the standard deviation") == 1
        assert text.count("Suite `") == 2

    def test_suites_can_be_separate(self, suites: list[Suite]) -> None:
        text, _ = render_suites(suites, None, "markdown", False, layout=Layout(separate=True))
        assert ("## Digits (one)" in text, "## Digits (two)" in text, text.count("50.00")) == (True, True, 3)

    def test_programs_always_get_every_suite(self, suites: list[Suite]) -> None:
        notes: list[str] = []
        text, _ = render_suites(suites, None, "json", False, notes.append, Layout(columns=("model",)))
        tables = json.loads(text)["tables"]
        assert [(table["suite"], len(table["rows"])) for table in tables] == [("one", 2), ("two", 2)]
        assert notes == ["json always has every figure: columns, order, pivot and title are those of tables for people"]

    def test_the_function_takes_what_the_command_takes(self, suites: list[Suite]) -> None:
        text = report(suites, columns=["model", "top1"], sort="model", highlight=True, title="Ours")
        assert text.startswith("## Ours\n\n| Model ")
        assert [line.split()[1] for line in text.splitlines()[4:7]] == ["alexnet", "resnet18", "vgg11"]
        assert text.count("**50.00**") == 2
        assert report(suites[0]) == report([suites[0]])
        with pytest.raises(UsageError, match=r"did you mean 'top1'\?"):
            report(suites, columns="top-1")
        with pytest.raises(UsageError, match="unknown format 'pdf'"):
            report(suites, format="pdf")
        with pytest.raises(UsageError, match="suites of different names, here: one, one"):
            report([suites[0], suites[0]])
        with pytest.raises(UsageError, match="here: none"):
            report([])


def test_a_page_of_suites_without_a_finished_run_has_their_rows_and_no_chart(project: Path) -> None:
    files = [project / "a.yaml", project / "b.yaml"]
    for file in files:
        file.write_text(suite_text(["resnet18"], name=file.stem))
    text, missing = render_suites([load_suite(str(file)) for file in files], None, "html", False)
    assert missing == 1
    assert text.count("<!DOCTYPE html>") == 1
    assert "No run of this table has finished yet" in text
    assert 'id="libraries"' not in text
