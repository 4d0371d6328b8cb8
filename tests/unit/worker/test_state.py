"""Setting up a cell's training, and continuing it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.values import Attempt, Cell, Cost, Mode
from bench.worker import state
from bench.worker.speed import random_dataset
from bench.worker.state import Training
from bench.workspace.events import CostMeasured, Resumed
from bench.workspace.journal import Journal, read_from

CPU = torch.device("cpu")
MakeCell = Callable[..., Cell]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def build(cell: Cell, journal: Journal, folder: Path) -> Training:
    data = random_dataset(images=64, size=8, classes=10)
    return state.build(attempt_of(cell, folder), data, CPU, journal, lambda: False)


def attempt_of(cell: Cell, folder: Path, cost: Cost | None = None) -> Attempt:
    return Attempt(
        cell=cell, number=1, folder=str(folder), data_home="", device="cpu", mode=Mode(threads=1), suite="",
        series="", created_ms=0, cost=cost,
    )  # fmt: skip


class TestBuild:
    def test_initial_weights_are_a_function_of_the_seed(
        self, make_cell: MakeCell, tmp_path: Path, journal: Journal
    ) -> None:
        with journal:
            nets = []
            for seed, draws in ((0, 0), (0, 5), (1, 0)):
                torch.rand(draws)  # what was drawn before must not matter
                nets.append(build(make_cell(seed=seed), journal, tmp_path).net.state_dict())
        same, other = ([torch.equal(value, net[name]) for name, value in nets[0].items()] for net in nets[1:])
        assert all(same)
        assert not all(other)


class TestSaveAndResume:
    def test_a_resumed_cell_has_the_state_that_was_saved(
        self, make_cell: MakeCell, tmp_path: Path, journal: Journal
    ) -> None:
        cell = make_cell()
        with journal:
            before = build(cell, journal, tmp_path)
            before.epochs_done, before.steps_done, before.losses = 1, 2, torch.tensor([1.0, 2.0, 0.0])
            with torch.no_grad():
                for parameter in before.net.parameters():
                    parameter.add_(1)
            before.began -= 100
            state.save(before)
            after = build(cell, journal, tmp_path)
            state.resume(after)
        assert (after.epochs_done, after.steps_done) == (1, 2)
        assert torch.equal(after.losses, before.losses)
        assert after.began == pytest.approx(before.began, abs=60)
        for name, value in before.net.state_dict().items():
            assert torch.equal(value, after.net.state_dict()[name])
        events, _ = read_from(tmp_path / "journal.jsonl")
        assert [event.steps_done for event in events if isinstance(event, Resumed)] == [2]

    def test_without_a_checkpoint_nothing_changes(self, make_cell: MakeCell, tmp_path: Path, journal: Journal) -> None:
        with journal:
            training = build(make_cell(), journal, tmp_path)
            state.resume(training)
        assert (training.epochs_done, training.steps_done) == (0, 0)

    def test_a_slow_checkpoint_delays_the_next_one(
        self, make_cell: MakeCell, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = iter([100.0, 102.0, 102.0])  # before, after, and when the next time is set
        with journal:
            training = build(make_cell(), journal, tmp_path)
            monkeypatch.setattr("time.monotonic", lambda: next(clock))
            state.save(training)
        assert training.save_after == 102.0 + 2.0 / state.CHECKPOINT_SHARE


class TestJournalInputs:
    def cost_of(self, cost: Cost | None, cell: Cell, folder: Path) -> Cost:
        with Journal(folder / "journal.jsonl") as journal:
            training = build(cell, journal, folder)
            state.journal_inputs(attempt_of(cell, folder, cost), training.data, training.net, journal)
        events, _ = read_from(folder / "journal.jsonl")
        [measured] = [event.cost for event in events if isinstance(event, CostMeasured)]
        return measured

    def test_a_cost_of_another_net_is_measured_again(self, make_cell: MakeCell, tmp_path: Path) -> None:
        expected = self.cost_of(None, make_cell(), tmp_path)
        (tmp_path / "again").mkdir()
        wrong = Cost(params=1, flops=2, conv_linear_macs=3, torch_macs=3)
        assert self.cost_of(wrong, make_cell(), tmp_path / "again") == expected
        assert expected.params > 1

    def test_a_cost_of_this_net_is_taken_over(self, make_cell: MakeCell, tmp_path: Path) -> None:
        params = self.cost_of(None, make_cell(), tmp_path).params
        (tmp_path / "again").mkdir()
        known = Cost(params=params, flops=2, conv_linear_macs=3, torch_macs=3)
        assert self.cost_of(known, make_cell(), tmp_path / "again").flops == 2


def test_prepare_device_sets_the_threads_of_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    assert state.prepare_device(Mode(threads=3), "cpu", deterministic=False) == CPU
    assert threads == [3]
