"""What is known of cells: from which folders and names, what was deleted, and what is stale."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.cells import MakeCell

from bench.api.known import DELETED, Known, accept_stale, known_outcomes, without_deleted
from bench.values import Cell, Outcome, Suite, to_json
from bench.workspace.events import DataLoaded, Ended, EpochDone, Started
from bench.workspace.fingerprint import fingerprint
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

NETS = "def net(num_classes):\n    return 1\n"
MakeSuite = Callable[..., Suite]


def complete(home: Path, cell: Cell, top1: float = 90.0, **recorded: str) -> CellFolder:
    """A cell with a result, as a worker leaves it."""
    folder = CellFolder.of(home, cell.id)
    parts = {**fingerprint(cell, data="", device=""), **recorded}
    with Journal(folder.attempt(1).journal) as journal:
        journal.write(Started(attempt=1, epochs=1, device="cpu"))
        journal.write(
            DataLoaded(dataset="digits", digest="d", classes=10, train_images=1, test_images=1, fingerprint=parts)
        )
        journal.write(EpochDone(epoch=1, metrics={"test/top1": top1}, epoch_s=1.0, images_per_s=1.0))
        journal.write(Ended(state="complete", fingerprint=parts))
    folder.cell.write_text(to_json(cell))
    folder.attempt(1).request.write_text(json.dumps({"series": f"series of {cell.id}"}))
    folder.result.write_text("{}")
    return folder


@pytest.fixture
def home(project: Path) -> Path:
    Path("nets.py").write_text(NETS)
    return project / ".bench"


def known(suite: Suite) -> list[tuple[str, float | None, str]]:
    outcomes = known_outcomes(None, suite).outcomes
    found = [outcomes.get(cell.id, Outcome(cell_id=cell.id, state="missing")) for cell in suite.cells]
    assert [outcome.cell_id for outcome in found] == [cell.id for cell in suite.cells]
    return [(outcome.state, outcome.top1, outcome.stale) for outcome in found]


def test_a_result_under_another_spelling_is_that_of_the_plain_one(
    home: Path, make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    complete(home, make_cell("./nets.py:net"), 91.0)
    assert known(make_suite(make_cell("nets.py:net"), make_cell("nets.py:net", seed=1))) == [
        ("complete", 91.0, ""),
        ("missing", None, ""),
    ]


def test_a_file_that_moved_takes_its_result_along_and_a_copy_does_not(
    home: Path, make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    complete(home, make_cell("nets.py:net"), 92.0)
    suite = make_suite(make_cell("lib/zoo.py:net"))
    Path("lib").mkdir()
    Path("lib/zoo.py").write_text(f"# moved\n{NETS}")
    assert known(suite) == [("missing", None, "")]
    Path("nets.py").unlink()
    assert known(suite) == [("complete", 92.0, "")]
    Path("lib/zoo.py").write_text(NETS.replace("1", "2"))
    assert known(suite) == [("missing", None, "")]


def test_a_function_of_a_moved_file_takes_no_result_of_another_function(
    home: Path, make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    both = NETS + NETS.replace("net", "same")
    Path("nets.py").write_text(both)
    complete(home, make_cell("nets.py:net"), 92.0)
    Path("nets.py").rename("zoo.py")
    assert known(make_suite(make_cell("zoo.py:net"), make_cell("zoo.py:same"), make_cell("zoo.py:net", seed=1))) == [
        ("complete", 92.0, ""),
        ("missing", None, ""),
        ("missing", None, ""),
    ]


def test_a_result_whose_net_is_gone_is_stale(home: Path, make_cell: MakeCell, make_suite: MakeSuite) -> None:
    complete(home, make_cell("nets.py:net"), 93.0)
    Path("nets.py").unlink()
    assert known(make_suite(make_cell("nets.py:net"))) == [("complete", 93.0, "the net's file or function is missing")]


def test_a_result_is_stale_when_a_helper_changes_and_not_when_an_unrelated_function_is_added(
    home: Path, make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    Path("nets.py").write_text("from blocks import WIDTH\n\n\ndef net(num_classes):\n    return WIDTH\n")
    Path("blocks.py").write_text("WIDTH = 8\n")
    complete(home, make_cell("nets.py:net"), 94.0)
    suite = make_suite(make_cell("nets.py:net"))
    with Path("nets.py").open("a") as file:
        file.write("\n\ndef another(num_classes):\n    return 3\n")
    assert known(suite) == [("complete", 94.0, "")]
    Path("blocks.py").write_text("WIDTH = 512\n")
    assert known(suite) == [("complete", 94.0, "the net's source changed")]


def test_accept_stale_keeps_a_result_until_something_changes_again(
    home: Path, make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    cell = make_cell("nets.py:net")
    complete(home, cell, 95.0, torch="1.0")
    suite = make_suite(cell)
    Path("nets.py").write_text(NETS.replace("1", "2"))
    before = known_outcomes(None, suite)
    assert "the net's source changed" in before.outcomes[cell.id].stale
    assert accept_stale(None, suite, before).outcomes[cell.id].stale == ""
    assert known(suite) == [("complete", 95.0, "")]
    Path("nets.py").write_text(NETS.replace("1", "3"))
    assert known(suite) == [("complete", 95.0, "the net's source changed")]
    Path("nets.py").write_text(NETS)
    assert known(suite)[0][2] != "", "what was accepted counts, and not what was before"


def test_accept_stale_of_a_missing_net_is_stale_no_longer(
    home: Path, make_cell: MakeCell, make_suite: MakeSuite
) -> None:
    cell = make_cell("nets.py:net")
    complete(home, cell)
    Path("nets.py").unlink()
    suite = make_suite(cell)
    accept_stale(None, suite, known_outcomes(None, suite))
    assert known(suite) == [("complete", 90.0, "")]


def test_accept_stale_leaves_other_results_alone(home: Path, make_cell: MakeCell, make_suite: MakeSuite) -> None:
    folder = complete(home, make_cell("nets.py:net"))
    suite = make_suite(make_cell("nets.py:net"), make_cell("resnet18"))
    before = known_outcomes(None, suite)
    assert accept_stale(None, suite, before) == Known(before.stored, before.outcomes)
    assert not folder.accepted.exists()


def test_without_deleted_a_result_is_missing_and_says_why(home: Path, make_cell: MakeCell) -> None:
    cell = make_cell("nets.py:net")
    complete(home, cell)
    outcome = Outcome(cell_id=cell.id, state="complete", top1=90.0)
    assert without_deleted(outcome, {"another series"}, home) == outcome
    gone = without_deleted(outcome, {f"series of {cell.id}"}, home)
    assert (gone.state, gone.kind, gone.reason, gone.top1) == ("missing", "deleted", DELETED, None)
    running = replace(outcome, state="running")
    assert without_deleted(running, {f"series of {cell.id}"}, home) == running
